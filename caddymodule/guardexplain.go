package caddymodule

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What is recorded of requests to the endpoints of the AS, with explain on, for those who
// ask why one was refused. No step has a secret, an assertion or a token, and nothing
// decides.

// guardOperations are the operations of explanations.
var guardOperations = map[purpose]string{
	authentication: "authenticate", revocation: "revoke", introspection: "introspect", endpoint: "use",
}

// keepGuarded keeps the explanation of a request to an endpoint of the AS that was
// refused. Whoever has no certificate is a stranger here, whatever registration demands.
func (x *exchange) keepGuarded(err error) {
	c := guardCallerOf(x.r)
	if !c.traced() {
		return
	}
	switch verify.AsError(err).Kind {
	case verify.NotFound, verify.MethodNotAllowed, verify.TooManyRequests:
		return
	}
	store, ok := x.options.Stores.EnterOpen()
	if !ok {
		return
	}
	defer x.options.Stores.Leave()
	who := ""
	if cert, err := captureCertificate(x.r.TLS, x.now()); err == nil {
		who = x.holder(x.r, cert)
	}
	store.KeepExplanation(who, func() *registry.Explanation {
		e := registry.Explain(x.options.Workspace.Name, c.operation, x.now(), &c.trace, err)
		e.SupportCode = x.support
		return e
	})
}

// traced tells whether steps are recorded.
func (c *guardCaller) traced() bool { return c != nil && c.traces }

// begin begins a step, which may be shown later what it looks at.
func (c *guardCaller) begin(step, rule, clause string) {
	if c.traced() {
		c.trace.Begin(step, rule, clause, nil)
	}
}

// conclude says of the step under way what no other step is refused for.
func (c *guardCaller) conclude(reason string) {
	if c.traced() {
		c.trace.Conclude(verify.VerdictUnknown, reason)
	}
}

// tracing has the checks of a context recorded too.
func (c *guardCaller) tracing(ctx context.Context) context.Context {
	if !c.traced() {
		return ctx
	}
	return verify.WithTrace(ctx, &c.trace)
}

// Where the rules come from that the guard holds requests against.
const (
	formClause           = "RFC 6749 3.2, appendix B"
	authenticationClause = "RFC 6749 2.3, RFC 7521 4.2"
	clientClause         = "RFC 6749 2.2"
	methodClause         = "RFC 8705 2.1, RFC 7523 3"
)

// notRegistered is the reason of a client that passes, as the AS knows it.
const notRegistered = "not a client of the registry"

func (c *guardCaller) beginForm(r *http.Request) {
	if !c.traced() {
		return
	}
	c.trace.Begin("request", "form", formClause, func() any {
		return map[string]string{"content_type": verify.Quote(strings.Join(r.Header["Content-Type"], ", "))}
	})
}

// shownAuthentication is how a request says who sends it.
type shownAuthentication struct {
	ClientIDs string `json:"client_ids"`
	Secret    bool   `json:"client_secret"`
	Assertion bool   `json:"client_assertion"`
	KeyID     string `json:"kid,omitempty"`
	Repeated  string `json:"sent_twice,omitempty"`
	InQuery   bool   `json:"in_the_address,omitempty"`
}

// beginAuthentication is after beginForm.
func (c *guardCaller) beginAuthentication(r *http.Request) {
	if !c.traced() {
		return
	}
	c.beginForm(r)
	c.trace.Begin("client_authentication", "client_authentication", authenticationClause, func() any {
		if c.who == nil {
			return nil
		}
		shown := shownAuthentication{
			ClientIDs: verify.Quote(strings.Join(c.who.ClientIDs, " ")), Secret: c.who.Secret, Assertion: c.who.Assertion, InQuery: c.who.InQuery,
		}
		if c.who.Assertion {
			shown.KeyID = verify.Quote(c.who.AssertionKeyID())
		}
		if c.who.Repeated != "" {
			shown.Repeated = verify.Quote(c.who.Repeated)
		}
		return shown
	})
}

// beginCertificate shows a certificate also where it does not count; why is the reason.
func (c *guardCaller) beginCertificate(r *http.Request, why error) {
	if !c.traced() {
		return
	}
	state := r.TLS
	c.trace.Begin("client_certificate", "client_certificate", certificateClause, func() any { return certificateOf(state) })
	if why != nil {
		c.conclude(why.Error())
	}
}

// beginCRL shows the CRLs, where there are some.
func (c *guardCaller) beginCRL(g *gateway, unchecked *verify.Unchecked) {
	if !c.traced() || g.options.CRLs == nil {
		return
	}
	c.trace.Begin("client_certificate", verify.RuleCRL, crlClause, g.shownCRLs())
	if unchecked != nil {
		c.conclude(unchecked.Error() + passedUnchecked)
	}
}

// shownClient is what a trace has of a client of the registry.
type shownClient struct {
	ClientID   string          `json:"client_id"`
	SoftwareID string          `json:"software_id"`
	OrgID      string          `json:"org_id"`
	Status     registry.Status `json:"status"`
	Suspended  bool            `json:"suspended"`
}

// beginClient looks for a client_id, which may be anybody's word.
func (c *guardCaller) beginClient(id string) {
	if !c.traced() {
		return
	}
	c.trace.Begin("client", "client", clientClause, func() any { return map[string]string{"presented_client_id": verify.Quote(id)} })
}

func (c *guardCaller) showClient(client *registry.Client) {
	if c.traced() {
		c.trace.Show(shownClient{client.ClientID, client.SoftwareID, client.OrgID, client.Status, client.Suspended})
	}
}

// beginMethod shows how a client is registered to authenticate.
func (c *guardCaller) beginMethod(client *registry.Client, a *verify.Authenticator) {
	if !c.traced() {
		return
	}
	c.trace.Begin("client_authentication", a.Method, methodClause, func() any {
		shown := map[string]string{"token_endpoint_auth_method": a.Method}
		if a.SANClaim != "" {
			shown[a.SANClaim] = a.SAN
		} else {
			shown["subject"] = a.Subject.String()
		}
		if client.Bridge != "" {
			shown["at_the_authorization_server"] = client.Bridge
		}
		return shown
	})
}

// shownHolder is what the AS says of an access token.
type shownHolder struct {
	ClientIDs []string `json:"client_ids"`
	Known     bool     `json:"known"`
	Inactive  bool     `json:"inactive"`
}

func (c *guardCaller) showHolder(of authserver.TokenHolder) {
	if c.traced() {
		c.trace.Show(shownHolder{of.ClientIDs, of.Known, of.Inactive})
	}
}
