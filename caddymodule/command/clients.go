package command

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// client is the resource of clients.
var client = &resource{
	path: "clients", id: "client_id", example: "7f3c2a51", name: clientName, show: showClient, ids: completeList("clients", "client_id", "client_name"),
}

// deletedLater says where a deletion is that the authorization server has not made yet.
const deletedLater = "; caddy dcr outbox list has it until the authorization server has deleted it too"

// clientName names a client so that an operator sees which one it is.
func clientName(one json.RawMessage) (string, error) {
	c, err := decode[clientDetails](&apiAnswer{body: one})
	return fmt.Sprintf("client %s (%s) of software %s, organisation %s, in workspace %s", c.ClientID, c.ClientName, c.SoftwareID, c.OrgID, c.Workspace), err
}

func clients() *cobra.Command {
	return group("clients", "Lists, shows and changes clients",
		clientsList(),
		client.showing("Shows all that the registry has of one client", `Shows all that the registry has of one client: its metadata, certificate, suspensions,
open work and newest changes. With --json also the claims of its request and software
statement. Secrets are not shown.`),
		client.changing(resourceChange{
			action: "suspend", short: "Suspends a client", undoable: true, done: "suspended client",
			long: `Suspends a client: it gets no tokens, its tokens are inactive, and it manages nothing,
until it is resumed. Nothing is deleted.`,
		}),
		client.changing(resourceChange{
			action: "resume", short: "Ends the suspension of a client", undoable: true, done: "resumed client",
			long: `Ends the suspension of a client. Suspensions of its software, its organisation and its
directory stay.`,
		}),
		client.changing(resourceChange{
			action: "approve", short: "Approves a client that awaits approval", undoable: true, seen: true, done: "approved client",
			long: `Approves a client that awaits approval. caddy dcr clients list --status awaiting_approval
lists them. Look at the client with caddy dcr clients show, and give the etag that it
prints: if the client has changed since, nothing is done. A client that is suspended stays
suspended.`,
		}),
		client.changing(resourceChange{
			action: "refuse", short: "Refuses a client that awaits approval: deletes it", done: "refused client", also: ", which deletes it here and at the authorization server", then: deletedLater,
			long: `Refuses a client that awaits approval: it is deleted here and at the authorization server,
also if it was approved before and has asked for more since. Its TPP can register again.
This cannot be undone, so that the command asks for confirmation; --yes is for scripts.`,
		}),
		client.changing(resourceChange{
			action: "delete", short: "Deletes a client, at the authorization server too", done: "deleted client", also: ", here and at the authorization server", then: deletedLater,
			long: `Deletes a client here, and at the authorization server, at once or as soon as that can be
reached. Its TPP can register again. This cannot be undone, so that the command asks for
confirmation; --yes is for scripts.`,
		}))
}
