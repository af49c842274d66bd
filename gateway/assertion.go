package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// clientAssertions counts those of registered clients that were taken, since the process
// began, over reloads. While none has the form endpoint, assertion_audience issuer refuses nobody.
var clientAssertions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_client_assertions_total",
	Help: "Client assertions of registered clients that were accepted. form is typed (with the typ of RFC 10070), issuer (without typ, the issuer is the only audience) or endpoint (any other audience).",
}, []string{"workspace", "form"})

// checkAssertion looks at whom the assertion of a client is for. In bridge mode the gateway
// authenticates the client by it, too, and uses it up; otherwise the AS does.
func (a *authentication) checkAssertion(c *registry.Client) (err error) {
	q := a.request
	var form verify.AssertionForm
	if c.Bridge == "" {
		form, err = a.who.CheckAssertionAudience(q.table.metadata.Issuer, q.options().IssuerAudienceOnly)
	} else {
		form, err = a.useAssertion(c)
	}
	if err == nil {
		clientAssertions.WithLabelValues(q.options().Workspace.Name, string(form)).Inc()
	}
	return err
}

// useAssertion authenticates a client by its assertion, and uses that up.
func (a *authentication) useAssertion(c *registry.Client) (verify.AssertionForm, error) {
	q := a.request
	rules := &verify.AssertionRules{ClientID: c.ClientID, Algorithms: q.options().Rules.Algorithms, Issuer: q.table.metadata.Issuer, Epoch: epochOf(q.store)}
	if !q.options().IssuerAudienceOnly {
		rules.Audiences = q.table.endpoints
	}
	if alg := c.Metadata.TokenEndpointSigningAlg; alg != "" {
		rules.Algorithms = []string{alg}
	}
	var err error
	if c.Metadata.TokenEndpointAuthMethod == verify.ClientSecretJWT {
		rules.Secret, err = q.store.SigningSecret(c)
	} else {
		rules.Keys, rules.Revoked, err = softwareKeys(q.options().Rules.Issuers, c)
	}
	if err != nil {
		return "", refusal.From(err)
	}
	ctx := q.r.Context()
	if q.trace.Trace != nil {
		ctx = trace.NewContext(ctx, q.trace.Trace)
	}
	assertion, err := a.who.VerifyClientAssertion(ctx, rules, q.gateway.now())
	if err != nil {
		return "", err
	}
	return assertion.Form, q.store.UseAssertion(q.r.Context(), c, assertion.JTI, assertion.Expires)
}
