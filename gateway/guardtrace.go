package gateway

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// What is recorded of requests to the endpoints of the AS, with explain on, for those who
// ask why one was refused. No step has a secret, an assertion or a token, and nothing
// decides.

// guardOperations are the operations of explanations.
var guardOperations = map[purpose]string{
	clientAuthentication: "authenticate", revocation: "revoke", introspection: "introspect", endpoint: "use",
}

// keepGuarded keeps the explanation of a request to an endpoint of the AS that was
// refused. Whoever has no certificate is a stranger here, whatever registration demands.
func (q *request) keepGuarded(err error) {
	if q.trace.Trace == nil {
		return
	}
	switch refusal.From(err).Kind {
	case refusal.NotFound, refusal.MethodNotAllowed, refusal.TooManyRequests:
		return
	}
	store := q.store
	if store == nil {
		var ok bool
		if store, ok = q.options().Stores.EnterOpen(); !ok {
			return
		}
		defer q.options().Stores.Leave()
	}
	who := ""
	if cert, absent := q.certificate(); absent == nil {
		who = q.holder(cert)
	}
	store.KeepExplanation(who, func() *registry.Explanation {
		e := registry.Explain(q.options().Workspace.Name, guardOperations[q.purpose], q.gateway.now(), q.trace.Trace, err)
		e.SupportCode = q.supportCode()
		return e
	})
}

// Where the rules come from that the guard holds requests against.
const (
	formClause           = "RFC 6749 3.2, appendix B"
	authenticationClause = "RFC 6749 2.3, RFC 7521 4.2"
	clientClause         = "RFC 6749 2.2"
	methodClause         = "RFC 8705 2.1, RFC 7523 3"
)

// guardTrace is the trace of a request, with the steps of the guard. One without a Trace
// records nothing.
type guardTrace struct{ *trace.Trace }

// notRegistered is the reason of a client that passes, as the AS knows it.
const notRegistered = "not a client of the registry"

// longestSent is how much is shown of a value that anybody may have sent, in bytes.
const longestSent = 80

func (t guardTrace) beginForm(r *http.Request) {
	if t.Trace == nil {
		return
	}
	t.Begin("request", "form", formClause, func() any {
		return map[string]string{"content_type": shortened(strings.Join(r.Header["Content-Type"], ", "), longestSent)}
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
func (t guardTrace) beginAuthentication(r *http.Request, who *verify.ClientAuthentication) {
	if t.Trace == nil {
		return
	}
	t.beginForm(r)
	t.Begin("client_authentication", "client_authentication", authenticationClause, func() any {
		if who == nil {
			return nil
		}
		shown := shownAuthentication{
			ClientIDs: shortened(strings.Join(who.ClientIDs, " "), longestSent), Secret: who.Secret, Assertion: who.Assertion, InQuery: who.InQuery,
		}
		if who.Assertion {
			shown.KeyID = shortened(who.AssertionKeyID(), longestSent)
		}
		if who.Repeated != "" {
			shown.Repeated = shortened(who.Repeated, longestSent)
		}
		return shown
	})
}

// conclude says of the step under way what no step is refused for.
func (t guardTrace) conclude(reason string) { t.Conclude(trace.Unknown, reason) }

// beginCertificate shows a certificate also where it does not count, and why.
func (t guardTrace) beginCertificate(state *tls.ConnectionState, certificate func() (*verify.Certificate, error)) {
	if t.Trace == nil {
		return
	}
	t.Begin("client_certificate", "client_certificate", certificateClause, func() any { return certificateOf(state) })
	if _, absent := certificate(); absent != nil {
		t.conclude(absent.Error())
	}
}

// beginCRL shows the CRLs, where there are some.
func (t guardTrace) beginCRL(g *Gateway, unchecked *verify.Unchecked) {
	if t.Trace == nil || g.options.CRLs == nil {
		return
	}
	t.Begin("client_certificate", verify.RuleCRL, crlClause, g.shownCRLs())
	if unchecked != nil {
		t.conclude(unchecked.Error() + passedUnchecked)
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
func (t guardTrace) beginClient(id string) {
	if t.Trace == nil {
		return
	}
	t.Begin("client", "client", clientClause, func() any { return map[string]string{"presented_client_id": shortened(id, longestSent)} })
}

func (t guardTrace) showClient(client *registry.Client) {
	if t.Trace != nil {
		t.Show(shownClient{client.ClientID, client.SoftwareID, client.OrgID, client.Status, client.Suspended})
	}
}

// beginMethod shows how a client is registered to authenticate.
func (t guardTrace) beginMethod(client *registry.Client, a *verify.Authenticator) {
	if t.Trace == nil {
		return
	}
	t.Begin("client_authentication", a.Method, methodClause, func() any {
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

func (t guardTrace) showHolder(of authserver.TokenHolder) {
	if t.Trace != nil {
		t.Show(shownHolder{of.ClientIDs, of.Known, of.Inactive})
	}
}
