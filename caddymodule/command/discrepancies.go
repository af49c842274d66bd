package command

import (
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func discrepancies() *cobra.Command {
	var l listing
	var workspace string
	c := &cobra.Command{
		Use:   "discrepancies",
		Short: "Lists where the registry and the authorization server differ",
		Long: `Lists where the registry and the authorization server differ, or may differ, and an
operator has to look. docs/operations.md says what to do about each kind.`,
		Example: `  caddy dcr discrepancies
  caddy dcr discrepancies --workspace default/obuk --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return printList(c, &l, list[registry.Discrepancy]{what: "discrepancies", path: "discrepancies", query: url.Values{"workspace": {workspace}}, columns: append([]column{{title: "WORKSPACE"}}, discrepancyColumns...), row: func(d registry.Discrepancy) []string {
				return append([]string{d.Workspace}, discrepancyRow(d)...)
			}})
		},
	}
	l.flags(c)
	workspaceFlag(c, &workspace, &l.runningGateway)
	return c
}

var discrepancyColumns = []column{{title: "KIND"}, {title: "REGISTRATION", whole: true}, {title: "CLIENT_ID", whole: true}, {title: "CLIENT_NAME"}, {title: "SOFTWARE_ID"}, {title: "SINCE"}, {title: "ERROR"}}

func discrepancyRow(d registry.Discrepancy) []string {
	return []string{d.Kind, d.Registration, d.ClientID, d.ClientName, d.SoftwareID, secondsText(d.Since), d.Error}
}
