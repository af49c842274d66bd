package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"

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
			return printList(c, &l, list[registry.Discrepancy]{what: "discrepancies", path: "discrepancies", query: url.Values{"workspace": {workspace}}, columns: append(slices.Clone(discrepancyColumns), column{title: "WORKSPACE"}), row: func(d registry.Discrepancy) []string {
				return append(discrepancyRow(d), d.Workspace)
			}})
		},
	}
	l.flags(c)
	workspaceFlag(c, &workspace, &l.runningGateway)
	c.AddCommand(discrepanciesDismiss())
	return c
}

func discrepanciesDismiss() *cobra.Command {
	var f changing
	c := &cobra.Command{
		Use:   "dismiss <kind> <registration>",
		Short: "Dismisses a discrepancy that an operator has dealt with",
		Long: `Dismisses a discrepancy: it is no longer listed or counted. Look at the authorization
server first. This cannot be undone, so that the command asks for confirmation; --yes is
for scripts.`,
		Example: `  caddy dcr discrepancies dismiss not_deleted 0f2b6c --reason "deleted it at the AS"
  caddy dcr discrepancies dismiss answer_lost 0f2b6c --workspace default/obuk --reason "there was none" --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return errors.New("give the kind and the registration, as caddy dcr discrepancies lists them")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, change{resource: apiPath("discrepancies", args[0], args[1]), action: "dismiss", final: true, show: showDiscrepancy, done: "dismissed " + args[0] + " of " + args[1], describe: func(one json.RawMessage) (string, error) {
				d, err := decode[registry.Discrepancy](&apiAnswer{body: one})
				return fmt.Sprintf("dismiss %s of registration %s: client %s (%s) of software %s, in workspace %s", d.Kind, d.Registration, d.ClientID, d.ClientName, d.SoftwareID, d.Workspace), err
			}})
		},
	}
	f.flags(c, false)
	workspaceFlag(c, &f.workspace, &f.runningGateway)
	c.ValidArgsFunction = completeDiscrepancies(&f.runningGateway)
	return c
}

// completeDiscrepancies completes the kind, and then the registration.
func completeDiscrepancies(g *runningGateway) cobra.CompletionFunc {
	kinds, registrations := completeList("discrepancies", "kind", "").from(g), completeList("discrepancies", "registration", "client_name").from(g)
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch len(args) {
		case 0:
			return kinds(c, args, begun)
		case 1:
			return registrations(c, args, begun)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

func showDiscrepancy(out io.Writer, one json.RawMessage, tag string) error {
	e, err := decode[registry.Discrepancy](&apiAnswer{body: one})
	if err != nil {
		return err
	}
	d := details{out: out}
	d.value("kind", e.Kind)
	d.value("registration", e.Registration)
	d.value("client_id", e.ClientID)
	d.value("client_name", e.ClientName)
	d.value("software_id", e.SoftwareID)
	d.value("org_id", e.OrgID)
	d.value("since", secondsText(e.Since))
	d.value("error", e.Error)
	d.value("etag", tag)
	var rows [][]string
	for _, one := range e.Differences {
		rows = append(rows, []string{one.Member, one.Here, one.There})
	}
	if err := d.section("Differences", rows, column{title: "MEMBER", whole: true}, column{title: "HERE"}, column{title: "AT THE AS"}); err != nil {
		return err
	}
	return d.flush()
}

var discrepancyColumns = []column{
	{title: "KIND", whole: true}, {title: "REGISTRATION", whole: true}, {title: "CLIENT_ID"}, {title: "CLIENT_NAME"}, {title: "ERROR"}, {title: "SINCE", whole: true}, {title: "SOFTWARE_ID"},
}

func discrepancyRow(d registry.Discrepancy) []string {
	return []string{d.Kind, d.Registration, d.ClientID, d.ClientName, d.Error, secondsText(d.Since), d.SoftwareID}
}
