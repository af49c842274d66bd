package command

import (
	"encoding/json"
	"io"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// clientDetails are what is printed of a client.
type clientDetails struct {
	admin.Client
	Metadata struct {
		GrantTypes   []string `json:"grant_types"`
		Scope        string   `json:"scope"`
		RedirectURIs []string `json:"redirect_uris"`
	} `json:"metadata"`
	Unreadable     string                 `json:"unreadable"`
	JWKSURI        string                 `json:"jwks_uri"`
	RevokedJWKSURI string                 `json:"revoked_jwks_uri"`
	OtherClients   int                    `json:"other_clients_of_software"`
	Suspensions    []registry.Suspension  `json:"suspensions"`
	Findings       []registry.Finding     `json:"findings"`
	Discrepancies  []registry.Discrepancy `json:"discrepancies"`
	Outbox         []registry.OutboxEntry `json:"outbox"`
	History        []registry.AuditEntry  `json:"history"`
	Proposals      []registry.Proposal    `json:"proposals"`
}

// showClient prints a client.
func showClient(out io.Writer, resource json.RawMessage, tag string) error {
	c, err := decode[clientDetails](&apiAnswer{body: resource})
	if err != nil {
		return err
	}
	d := details{out: out}
	d.value("client_id", c.ClientID)
	d.value("client_name", c.ClientName)
	d.value("status", clientState(&c.Client))
	d.value("workspace", c.Workspace)
	d.value("software_id", c.SoftwareID)
	d.value("org_id", c.OrgID)
	d.value("directory", c.Directory)
	d.value("registered", c.RegisteredAt)
	d.value("updated", c.UpdatedAt)
	d.value("last used", c.LastUsed)
	d.value("token_endpoint_auth", c.TokenEndpointAuth+", "+c.TokenEndpointAuthMethod)
	d.value("certificate", c.DN)
	d.value("certificate until", c.CertificateExpiresAt)
	if seen := c.CertificateLastSeen; seen != nil {
		d.value("certificate last seen", seen.Thumbprint+", serial "+seen.Serial+", until "+timeText(seen.ExpiresAt))
	}
	d.value("statement until", c.StatementExpiresAt)
	d.value("jwks_uri", c.JWKSURI)
	d.value("revoked_jwks_uri", c.RevokedJWKSURI)
	d.value("grant_types", c.Metadata.GrantTypes)
	d.value("scope", c.Metadata.Scope)
	d.value("redirect_uris", c.Metadata.RedirectURIs)
	d.value("clients of software", 1+c.OtherClients)
	d.value("unreadable", c.Unreadable)
	d.value("etag", tag)
	if err := d.section("Proposals", rowsOf(c.Proposals, proposalRow), proposalColumns...); err != nil {
		return err
	}
	if err := d.section("Suspensions", rowsOf(c.Suspensions, suspensionRow), suspensionColumns...); err != nil {
		return err
	}
	if err := d.section("Findings", rowsOf(c.Findings, findingRow), findingColumns...); err != nil {
		return err
	}
	if err := d.section("Discrepancies", rowsOf(c.Discrepancies, discrepancyRow), discrepancyColumns...); err != nil {
		return err
	}
	if err := d.section("Outbox", rowsOf(c.Outbox, outboxRow), outboxColumns...); err != nil {
		return err
	}
	if err := d.section("History", rowsOf(c.History, historyRow), historyColumns...); err != nil {
		return err
	}
	return d.flush()
}

var suspensionColumns = []column{{title: "SUSPENDED", whole: true}, {title: "ID"}, {title: "SINCE", whole: true}, {title: "OPERATOR"}, {title: "REASON", wraps: true}}

func suspensionRow(s registry.Suspension) []string {
	return []string{s.Kind, s.Value, secondsText(s.Since), s.Operator.Name, s.Reason}
}

// proposalColumns are those of changes that wait for another operator (four_eyes).
var proposalColumns = []column{{title: "PROPOSED", whole: true}, {title: "OPERATOR"}, {title: "REASON"}, {title: "UNTIL", whole: true}, {title: "AT", whole: true}}

func proposalRow(p registry.Proposal) []string {
	return []string{p.Action, p.Operator.Name, p.Reason, secondsText(p.Until), secondsText(p.At)}
}
