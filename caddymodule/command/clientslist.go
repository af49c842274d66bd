package command

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// past is a flag with a time, of which a duration is before now.
var past = timeFlag{past: true}

// clientList are the flags of caddy dcr clients list.
type clientList struct {
	listing
	workspace, status, suspended, directory, org, software, client, dn, name string
	certificate, statement, after, before, unused, used                      timeFlag
}

func clientsList() *cobra.Command {
	l := clientList{after: past, before: past, unused: past, used: past}
	c := &cobra.Command{
		Use:   "list",
		Short: "Lists clients, all or those that flags choose",
		Long: `Lists clients, in the order in which they were registered, to the second. Of several flags a client
must match all. With --software-id, --org-id or --dn the order is that of the registry's
own ids.`,
		Example: `  caddy dcr clients list --name acme
  caddy dcr clients list --workspace default/obuk --certificate-expires-within 30d --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return printList(c, &l.listing, list[admin.Client]{what: "clients", path: "clients", query: l.query(time.Now()), columns: clientColumns, row: clientRow})
		},
	}
	l.flags(c)
	return c
}

func (l *clientList) flags(c *cobra.Command) {
	l.listing.flags(c)
	f := c.Flags()
	workspaceFlag(c, &l.workspace, &l.runningGateway)
	f.StringVar(&l.status, "status", "", "clients with this status: active, awaiting_approval or deleting")
	f.StringVar(&l.suspended, "suspended", "", "true for clients that are suspended, false for those that are not")
	f.StringVar(&l.directory, "directory", "", "clients of this directory: the iss of their software statement")
	f.StringVar(&l.org, "org-id", "", "clients of this organisation")
	f.StringVar(&l.software, "software-id", "", "clients of this software")
	f.StringVar(&l.client, "client-id", "", "the client with this client_id")
	f.StringVar(&l.dn, "dn", "", "clients whose certificate has this subject (RFC 4514), in any order and spelling")
	f.StringVar(&l.name, "name", "", "clients with this text in their client_name, in upper or lower case")
	f.Var(&l.certificate, "certificate-expires-within", "clients whose certificate expires within a duration like 30d, or before "+dayHelp)
	f.Var(&l.statement, "statement-expires-within", "clients whose software statement expires within a duration like 30d, or before "+dayHelp)
	f.Var(&l.after, "registered-after", "clients registered since "+dayHelp+", or within a duration like 36h")
	f.Var(&l.before, "registered-before", "clients registered before "+dayHelp+", or longer ago than a duration like 30d")
	f.Var(&l.used, "used-since", "clients used since "+dayHelp+", or within a duration like 7d")
	f.Var(&l.unused, "unused-since", "clients not used since "+dayHelp+", or for longer than a duration like 180d")
	completeWords(c, "status", "active", "awaiting_approval", "deleting")
	completeWords(c, "suspended", "true", "false")
	completeFlag(c, "client-id", completeList("clients", "client_id", "client_name").from(&l.runningGateway))
	completeFlag(c, "software-id", completeList("clients", "software_id", "client_name").from(&l.runningGateway))
	completeFlag(c, "org-id", completeList("clients", "org_id", "client_name").from(&l.runningGateway))
	completeFlag(c, "directory", completeList("clients", "directory", "").from(&l.runningGateway))
}

func (l *clientList) query(now time.Time) url.Values {
	return url.Values{
		"workspace": {l.workspace}, "status": {l.status}, "suspended": {l.suspended}, "directory": {l.directory}, "org_id": {l.org}, "software_id": {l.software},
		"client_id": {l.client}, "dn": {l.dn}, "name": {l.name}, "certificate_expires_before": {l.certificate.value(now)}, "statement_expires_before": {l.statement.value(now)},
		"registered_after": {l.after.value(now)}, "registered_before": {l.before.value(now)},
		"last_used_after": {l.used.value(now)}, "last_used_before": {l.unused.value(now)},
	}
}

// clientColumns are in the order in which an operator needs them: those at the end are left
// out on a narrow terminal.
var clientColumns = []column{
	{title: "CLIENT_ID", whole: true}, {title: "STATUS", whole: true, colours: stateColours}, {title: "CLIENT_NAME"}, {title: "LAST USED"}, {title: "CERT UNTIL"},
	{title: "ORG_ID", whole: true}, {title: "SOFTWARE_ID"}, {title: "REGISTERED"}, {title: "WORKSPACE"},
}

// stateColours are the colours of states that an operator should see (ECMA-48 SGR).
var stateColours = map[string]string{"suspended": "31", "deleting": "33"}

func clientRow(c admin.Client) []string {
	return []string{c.ClientID, clientState(&c), c.ClientName, c.LastUsed, dayText(c.CertificateExpiresAt), c.OrgID, c.SoftwareID, dayText(c.RegisteredAt), c.Workspace}
}

// clientState is what counts of a client's status.
func clientState(c *admin.Client) string {
	switch {
	case c.Suspended && c.Status == registry.AwaitingApproval:
		return "suspended, awaiting_approval"
	case c.Suspended:
		return "suspended"
	}
	return string(c.Status)
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}
