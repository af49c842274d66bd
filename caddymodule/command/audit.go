package command

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func audit() *cobra.Command {
	return group("audit", "Reads the audit trail", auditList())
}

func auditList() *cobra.Command {
	var l listing
	var workspace string
	since := past
	c := &cobra.Command{
		Use:   "list",
		Short: "Lists what was changed, the oldest first",
		Long: `Lists what TPPs and operators have changed, the oldest first. With --json and --all it is a
copy of the trail, which caddy dcr restore --audit reads.

--limit counts from the oldest entry on. To see the latest entries, give --since. The
changes of one client, the newest first, are in caddy dcr clients show.`,
		Example: `  caddy dcr audit list --since 7d
  caddy dcr audit list --all --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if since.text != "" && workspace == "" {
				var err error
				if workspace, err = onlyWorkspace(c.Context(), &l.runningGateway); err != nil {
					return err
				}
			}
			q := url.Values{"workspace": {workspace}, "since": {since.value(time.Now())}}
			return printList(c, &l, list[registry.AuditEntry]{what: "entries", narrower: "--since <time>", path: "audit", query: q, columns: auditColumns, row: auditRow})
		},
	}
	l.flags(c)
	workspaceFlag(c, &workspace, &l.runningGateway)
	c.Flags().Var(&since, "since", "since "+dayHelp+", or within a duration like 36h or 30d")
	return c
}

// onlyWorkspace is the workspace of a gateway that has one.
func onlyWorkspace(ctx context.Context, g *runningGateway) (string, error) {
	api, err := g.open()
	if err != nil {
		return "", err
	}
	s, _, err := get[gatewayStatus](ctx, api, "status", nil)
	switch {
	case err != nil:
		return "", err
	case len(s.Workspaces) != 1:
		return "", usage("--since is for one workspace, and the gateway has %d: give --workspace too", len(s.Workspaces))
	}
	return s.Workspaces[0].Workspace, nil
}

// auditColumns are in the order in which an operator needs them.
var auditColumns = []column{
	{title: "AT", whole: true}, {title: "CHANGE", whole: true}, {title: "ABOUT"}, {title: "OPERATOR"}, {title: "REASON"}, {title: "ORG_ID"}, {title: "WORKSPACE"},
}

func auditRow(e registry.AuditEntry) []string {
	about := ""
	switch {
	case e.Reconciliation != nil:
		about = reconciliationText(e.Reconciliation)
	case e.ClientID != "":
		about = "client " + e.ClientID
	case e.SoftwareID != "":
		about = "software " + e.SoftwareID
	case e.OrgID != "":
		about = "organisation " + e.OrgID
	case e.Directory != "":
		about = "directory " + e.Directory
	}
	return []string{timeText(e.At), e.Change, about, e.Operator.Name, auditReason(e), e.OrgID, e.Workspace}
}

// reconciliationText is what a reconciliation was to do and, at its end, what it has done.
func reconciliationText(n *registry.AuditedReconciliation) string {
	text := "reconciliation without repair"
	if n.Repair {
		text = "reconciliation with repair"
	}
	if n.State != "" {
		text += fmt.Sprintf(": %s, %d checked, %d same, %d repaired", n.State, n.Checked, n.Counts[registry.Same], n.Repaired)
	}
	return text
}

func auditReason(e registry.AuditEntry) string { return cmp.Or(e.Reason, approvalText(e.Approval)) }

// historyColumns are those of the changes of one client.
var historyColumns = []column{{title: "AT", whole: true}, {title: "CHANGE", whole: true}, {title: "OPERATOR"}, {title: "REASON", wraps: true}}

func historyRow(e registry.AuditEntry) []string {
	return []string{timeText(e.At), e.Change, e.Operator.Name, auditReason(e)}
}

// approvalText is why a client awaits approval.
func approvalText(reasons []registry.ApprovalReason) string {
	var parts []string
	for _, r := range reasons {
		if r.Policy != "" {
			r.Reason = "policy " + r.Policy + ": " + r.Reason
		}
		parts = append(parts, r.Reason)
	}
	return strings.Join(parts, "; ")
}
