package command

import (
	"cmp"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// trust is caddy dcr trust.
func trust() *cobra.Command {
	var l listing
	var workspace, kind string
	c := &cobra.Command{
		Use:   "trust",
		Short: "Lists clients that have lost trust, or that nobody uses",
		Long: `Lists the clients with findings: a revoked key or certificate, an expired certificate, and
others. docs/operations.md says what to do about each kind. The gateway checks all clients
once a day, and with trust check now. The output begins with when it did, and with the findings about directories,
which say nothing about their clients. --json prints the clients alone.`,
		Example: `  caddy dcr trust
  caddy dcr trust --workspace default/obuk --kind certificate_revoked --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !l.json {
				if err := showPasses(c, &l, workspace); err != nil {
					return err
				}
			}
			return printList(c, &l, list[registry.ClientFindings]{
				what: "clients with findings", path: "trust", query: url.Values{"workspace": {workspace}, "kind": {kind}}, columns: clientFindingColumns, row: clientFindingRow,
			})
		},
	}
	l.flags(c)
	workspaceFlag(c, &workspace, &l.runningGateway)
	c.Flags().StringVar(&kind, "kind", "", "clients with a finding of this kind: "+strings.Join(registry.FindingKinds, ", "))
	completeWords(c, "kind", registry.FindingKinds...)
	c.AddCommand(trustCheck())
	return c
}

func showPasses(c *cobra.Command, l *listing, workspace string) error {
	api, err := l.open()
	if err != nil {
		return err
	}
	passes, err := passesOf(c.Context(), api, workspace)
	if err != nil {
		return err
	}
	return printPasses(c.OutOrStdout(), passes)
}

// printPasses prints how far the looks at the clients are.
func printPasses(out io.Writer, of []admin.Pass) error {
	var passes, directories [][]string
	for _, p := range of {
		now := ""
		if p.UnderWay {
			now = "since " + timeText(p.StartedAt) + ", " + strconv.Itoa(p.Looked) + " clients"
		}
		passes = append(passes, []string{p.Workspace, cmp.Or(timeText(p.CompletedAt), "never"), timeText(p.DueAt), now})
		for _, f := range p.Directories {
			directories = append(directories, []string{p.Workspace, f.Directory, f.Kind, secondsText(f.Since), f.Detail})
		}
	}
	d := details{out: out}
	if err := d.section("Daily checks of the clients", passes, column{title: "WORKSPACE", whole: true}, column{title: "LAST COMPLETED", whole: true}, column{title: "NEXT", whole: true}, column{title: "UNDER WAY", wraps: true}); err != nil {
		return err
	}
	if err := d.section("Directories", directories, column{title: "WORKSPACE", whole: true}, column{title: "DIRECTORY"}, column{title: "FINDING", whole: true}, column{title: "SINCE", whole: true}, column{title: "REASON", wraps: true}); err != nil {
		return err
	}
	d.b.WriteString("\n")
	return d.flush()
}

var clientFindingColumns = []column{{title: "CLIENT_ID", whole: true}, {title: "CLIENT_NAME"}, {title: "FINDING"}, {title: "SINCE", whole: true}, {title: "SUSPENDED", whole: true}, {title: "REASON"}, {title: "WORKSPACE"}}

// clientFindingRow is a client with all of its findings, since the first of them.
func clientFindingRow(f registry.ClientFindings) []string {
	var kinds, reasons []string
	var since, suspended int64
	for _, one := range f.Findings {
		kinds, reasons = append(kinds, one.Kind), append(reasons, one.Detail)
		if since == 0 || one.Since < since {
			since = one.Since
		}
		suspended = max(suspended, one.SuspendedAt)
	}
	return []string{f.ClientID, f.ClientName, strings.Join(kinds, ", "), secondsText(since), secondsText(suspended), strings.Join(reasons, "; "), f.Workspace}
}

var findingColumns = []column{{title: "FINDING", whole: true}, {title: "SINCE", whole: true}, {title: "SUSPENDED", whole: true}, {title: "REASON", wraps: true}}

func findingRow(f registry.Finding) []string {
	return []string{f.Kind, secondsText(f.Since), secondsText(f.SuspendedAt), f.Detail}
}
