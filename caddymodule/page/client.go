package page

import (
	"encoding/json"
	"html/template"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// clientPage is all of one client. Metadata, request and statement are shown as they are.
type clientPage struct {
	admin.Client
	Metadata       json.RawMessage           `json:"metadata"`
	Request        json.RawMessage           `json:"request"`
	Statement      json.RawMessage           `json:"software_statement"`
	Certificate    *verify.PolicyCertificate `json:"certificate"`
	Unreadable     string                    `json:"unreadable"`
	JWKSURI        string                    `json:"jwks_uri"`
	RevokedJWKSURI string                    `json:"revoked_jwks_uri"`
	OtherClients   int                       `json:"other_clients_of_software"`
	Suspensions    []registry.Suspension     `json:"suspensions"`
	Findings       []registry.Finding        `json:"findings"`
	Discrepancies  []registry.Discrepancy    `json:"discrepancies"`
	Outbox         []registry.OutboxEntry    `json:"outbox"`
	Proposals      []registry.Proposal       `json:"proposals"`
	History        []registry.AuditEntry     `json:"history"`
}

// clientView is what the template has of it.
type clientView struct {
	clientPage
	Registered, Claims []member
	Expires            string
	Actions            []action
	// Query is that of every address of this client.
	Query template.URL
	// Done is what has just been done.
	Done string
}

// client draws one client.
func (r *request) client() error {
	c, _, err := get[clientPage](r.Context(), r.api, apiPath("clients", r.PathValue("client_id")), r.workspaceQuery())
	if err != nil {
		return err
	}
	v := clientView{
		clientPage: c, Registered: membersOf(c.Metadata), Claims: membersOf(c.Statement), Expires: expiry(c.CertificateExpiresAt, time.Now()),
		Query: template.URL(url.Values{"workspace": {c.Workspace}}.Encode()), Done: doneText[r.URL.Query().Get("done")],
	}
	slices.Reverse(v.History) // the newest first
	for _, a := range actions {
		if a.possible(&c.Client) {
			v.Actions = append(v.Actions, a)
		}
	}
	r.render(200, "client", view{Title: shown(titleOf(&c.Client), longestShort).Text, Section: "clients", Data: v})
	return nil
}

func titleOf(c *admin.Client) string {
	if c.ClientName != "" {
		return c.ClientName
	}
	return c.ClientID
}

// workspaceQuery is the workspace of the address, where it names one.
func (r *request) workspaceQuery() url.Values {
	if workspace := r.URL.Query().Get("workspace"); workspace != "" {
		return url.Values{"workspace": {workspace}}
	}
	return nil
}

// member is one of a JSON object, for people.
type member struct {
	Name   string
	Values []string
	// More is how many values are left out.
	More int
}

// mostValues are shown of a list: a client may have thousands of redirect URIs.
const mostValues = 20

// membersOf are those of an object, by name.
func membersOf(text json.RawMessage) (list []member) {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		m := member{Name: name}
		var values []json.RawMessage
		if json.Unmarshal(object[name], &values) != nil {
			values = []json.RawMessage{object[name]}
		}
		m.More = max(0, len(values)-mostValues)
		for _, one := range values[:len(values)-m.More] {
			m.Values = append(m.Values, plain(one))
		}
		list = append(list, m)
	}
	return list
}

// plain is a JSON value without the quotes of a text.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return strings.TrimSpace(string(value))
}

// membersPart is a part of the page that shows members.
type membersPart struct {
	Title   string
	Members []member
}
