package caddymodule

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// clientAssertions counts those of registered clients that were taken, since the process
// began, over reloads. While none has the form endpoint, assertion_audience issuer refuses nobody.
var clientAssertions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_client_assertions_total",
	Help: "Client assertions of registered clients that were taken. form is typed (RFC 10070), issuer (without its typ, for the issuer alone) or endpoint (any other audience).",
}, []string{"workspace", "form"})

// checkAssertion looks at whom the assertion of a client is for. In bridge mode the gateway
// authenticates the client by it, too, and uses it up; otherwise the AS does.
func (g *gateway) checkAssertion(ctx context.Context, store *registry.Registry, who *verify.ClientAuthentication, c *registry.Client) (err error) {
	table := g.tableOf(ctx)
	var form verify.AssertionForm
	if c.Bridge == "" {
		form, err = who.CheckAssertionAudience(table.metadata.Issuer, g.options.IssuerAudienceOnly)
	} else {
		form, err = g.useAssertion(ctx, store, who, c, table)
	}
	if err == nil {
		clientAssertions.WithLabelValues(g.options.Workspace.Name, string(form)).Inc()
	}
	return err
}

// useAssertion authenticates a client by its assertion, and uses that up.
func (g *gateway) useAssertion(ctx context.Context, store *registry.Registry, who *verify.ClientAuthentication, c *registry.Client, table *table) (verify.AssertionForm, error) {
	rules := &verify.AssertionRules{ClientID: c.ClientID, Algorithms: g.options.Rules.Algorithms, Issuer: table.metadata.Issuer, Epoch: epochOf(store)}
	if !g.options.IssuerAudienceOnly {
		rules.Audiences = table.endpoints
	}
	if alg := c.Metadata.TokenEndpointSigningAlg; alg != "" {
		rules.Algorithms = []string{alg}
	}
	var err error
	if c.Metadata.TokenEndpointAuthMethod == verify.ClientSecretJWT {
		rules.Secret, err = store.SigningSecret(c)
	} else {
		rules.Keys, rules.Revoked, err = softwareKeys(g.options.Rules.Issuers, c)
	}
	if err != nil {
		return "", verify.AsError(err)
	}
	a, err := who.VerifyClientAssertion(guardCallerIn(ctx).tracing(ctx), rules, g.now())
	if err != nil {
		return "", err
	}
	return a.Form, store.UseAssertion(ctx, c, a.JTI, a.Expires)
}
