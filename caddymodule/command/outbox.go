package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// outboxWork is the resource of the outbox's entries.
var outboxWork = &resource{
	path: "outbox", id: "id", example: "MDAwMDAxOTNiN2Yy", name: outboxName, show: showOutboxEntry, ids: completeList("outbox", "id", "last_error"),
}

func outboxName(one json.RawMessage) (string, error) {
	e, err := decode[registry.OutboxEntry](&apiAnswer{body: one})
	name := fmt.Sprintf("entry %s: %s", e.ID, e.Kind)
	if e.Registration != "" {
		name += " of registration " + e.Registration
	}
	return name + ", in workspace " + e.Workspace, err
}

func outbox() *cobra.Command {
	return group("outbox", "Lists what the authorization server has yet to be told, and retries it or gives it up", outboxList(),
		outboxWork.showing("Shows one entry", `Shows one entry of the outbox, with the error of its last attempt.`),
		outboxWork.changing(resourceChange{
			action: "retry", short: "Tries an entry at once", undoable: true, done: "entry", then: " is due now; caddy dcr outbox list has it until it is done",
			long: `Tries an entry at once, and not only when it is due.`,
		}),
		outboxWork.changing(resourceChange{
			action: "give_up", short: "Gives up an entry", done: "gave up entry",
			long: `Gives up an entry: it is not tried any more. What the authorization server may have
otherwise is in caddy dcr discrepancies from then on. This cannot be undone, so that the
command asks for confirmation; --yes is for scripts.`,
		}))
}

func outboxList() *cobra.Command {
	var l listing
	var workspace string
	c := &cobra.Command{
		Use:   "list",
		Short: "Lists what the authorization server has yet to be told",
		Long: `Lists what the authorization server has yet to be told, because it did not answer: tokens
to revoke, clients to delete, and updates to take back. The gateway tries by itself.`,
		Example: `  caddy dcr outbox list
  caddy dcr outbox list --workspace default/obuk --limit 1000 --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return printList(c, &l, list[registry.OutboxEntry]{what: "entries", path: "outbox", query: url.Values{"workspace": {workspace}}, columns: outboxColumns, row: outboxRow})
		},
	}
	l.flags(c)
	workspaceFlag(c, &workspace, &l.runningGateway)
	return c
}

func showOutboxEntry(out io.Writer, one json.RawMessage, tag string) error {
	e, err := decode[registry.OutboxEntry](&apiAnswer{body: one})
	if err != nil {
		return err
	}
	d := details{out: out}
	d.value("id", e.ID)
	d.value("kind", e.Kind)
	d.value("workspace", e.Workspace)
	d.value("registration", e.Registration)
	d.value("since", secondsText(e.Since))
	d.value("attempts", e.Attempts)
	d.value("last attempt", secondsText(e.Tried))
	d.value("next attempt", secondsText(e.Due))
	d.value("last error", e.LastError)
	d.value("etag", tag)
	return d.flush()
}

var outboxColumns = []column{
	{title: "ID", whole: true}, {title: "KIND"}, {title: "ATTEMPTS"}, {title: "LAST ERROR"}, {title: "NEXT", whole: true}, {title: "SINCE", whole: true}, {title: "REGISTRATION"}, {title: "WORKSPACE"},
}

func outboxRow(e registry.OutboxEntry) []string {
	return []string{e.ID, e.Kind, strconv.Itoa(e.Attempts), e.LastError, secondsText(e.Due), secondsText(e.Since), e.Registration, e.Workspace}
}
