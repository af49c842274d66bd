package command

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func outbox() *cobra.Command {
	return group("outbox", "Lists what the authorization server has yet to be told", outboxList())
}

func outboxList() *cobra.Command {
	var l listing
	c := &cobra.Command{
		Use:   "list",
		Short: "Lists what the authorization server has yet to be told",
		Long: `Lists what the authorization server has yet to be told, because it did not answer: tokens
to revoke, clients to delete, and updates to take back. The gateway tries by itself.`,
		Example: `  caddy dcr outbox list
  caddy dcr outbox list --limit 1000 --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return printList(c, &l, list[registry.OutboxEntry]{what: "entries", path: "outbox", columns: append([]column{{title: "WORKSPACE"}}, outboxColumns...), row: func(e registry.OutboxEntry) []string {
				return append([]string{e.Workspace}, outboxRow(e)...)
			}})
		},
	}
	l.flags(c)
	return c
}

var outboxColumns = []column{{title: "KIND"}, {title: "REGISTRATION", whole: true}, {title: "SINCE"}, {title: "ATTEMPTS"}, {title: "NEXT"}, {title: "LAST ERROR"}}

func outboxRow(e registry.OutboxEntry) []string {
	return []string{e.Kind, e.Registration, secondsText(e.Since), strconv.Itoa(e.Attempts), secondsText(e.Due), e.LastError}
}
