package command

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func clients() *cobra.Command {
	return group("clients", "Lists, shows and changes clients", clientsList(), clientsShow(),
		changeClient(clientChange{
			action: "suspend", short: "Suspends a client", undoable: true, done: "suspended",
			long: `Suspends a client: it gets no tokens, its tokens are inactive, and it manages nothing,
until it is resumed. Nothing is deleted.`,
		}),
		changeClient(clientChange{
			action: "resume", short: "Ends the suspension of a client", undoable: true, done: "resumed",
			long: `Ends the suspension of a client. Suspensions of its software, its organisation and its
directory stay.`,
		}),
		changeClient(clientChange{
			action: "delete", short: "Deletes a client, at the authorization server too", done: "deleted", also: ", here and at the authorization server",
			long: `Deletes a client here, and at the authorization server, at once or as soon as that can be
reached. Its TPP can register again. This cannot be undone, so that the command asks for
confirmation; --yes is for scripts.`,
		}))
}

// clientChange is a change of one client.
type clientChange struct {
	action, short, long string
	undoable            bool
	// done is what was done then, also what is done beside.
	done, also string
}

func changeClient(ch clientChange) *cobra.Command {
	var f changing
	more := ""
	if !ch.undoable {
		more = " --yes"
	}
	c := &cobra.Command{
		Use:   ch.action + " <client_id> --reason <text>",
		Short: ch.short,
		Long:  ch.long,
		Example: fmt.Sprintf(`  caddy dcr clients %[1]s 7f3c2a51 --reason "ticket 4711"
  caddy dcr clients %[1]s 7f3c2a51 --workspace default/obuk --reason "ticket 4711" --operator "Anna Smith"%[2]s`, ch.action, more),
		Args: oneArgument("the client_id"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, change{
				resource: apiPath("clients", args[0]), action: ch.action, final: !ch.undoable, show: showClient, done: ch.done + " client " + visible(args[0]),
				describe: func(resource json.RawMessage) (string, error) {
					about, err := clientInWords(resource)
					return ch.action + " " + about + ch.also, err
				},
			})
		},
	}
	f.flags(c, ch.undoable)
	c.ValidArgsFunction = completeList("clients", "client_id", "client_name").first(&f.runningGateway)
	return c
}

// clientInWords names a client so that an operator sees which one it is.
func clientInWords(resource json.RawMessage) (string, error) {
	c, err := decode[clientDetails](&apiAnswer{body: resource})
	return fmt.Sprintf("client %s (%s) of software %s, organisation %s, in workspace %s", c.ClientID, c.ClientName, c.SoftwareID, c.OrgID, c.Workspace), err
}
