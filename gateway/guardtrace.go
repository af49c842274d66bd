package gateway

import (
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
	if q.trace == nil {
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
		e := registry.Explain(q.options().Workspace.Name, guardOperations[q.purpose], q.gateway.now(), q.trace, err)
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

// notRegistered is the reason of a client that passes, as the AS knows it.
const notRegistered = "not a client of the registry"

func (q *request) beginForm() {
	if q.trace == nil {
		return
	}
	q.trace.Begin("request", "form", formClause, func() any {
		return map[string]string{"content_type": refusal.Quote(strings.Join(q.r.Header["Content-Type"], ", "))}
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
func (q *request) beginAuthentication() {
	if q.trace == nil {
		return
	}
	q.beginForm()
	q.trace.Begin("client_authentication", "client_authentication", authenticationClause, func() any {
		if q.caller.who == nil {
			return nil
		}
		shown := shownAuthentication{
			ClientIDs: refusal.Quote(strings.Join(q.caller.who.ClientIDs, " ")), Secret: q.caller.who.Secret, Assertion: q.caller.who.Assertion, InQuery: q.caller.who.InQuery,
		}
		if q.caller.who.Assertion {
			shown.KeyID = refusal.Quote(q.caller.who.AssertionKeyID())
		}
		if q.caller.who.Repeated != "" {
			shown.Repeated = refusal.Quote(q.caller.who.Repeated)
		}
		return shown
	})
}

// conclude says of the step under way what no step is refused for.
func (q *request) conclude(reason string) { q.trace.Conclude(trace.Unknown, reason) }

// beginCertificate shows a certificate also where it does not count, and why.
func (q *request) beginCertificate() {
	if q.trace == nil {
		return
	}
	state := q.r.TLS
	q.trace.Begin("client_certificate", "client_certificate", certificateClause, func() any { return certificateOf(state) })
	if _, absent := q.certificate(); absent != nil {
		q.conclude(absent.Error())
	}
}

// beginCRL shows the CRLs, where there are some.
func (q *request) beginCRL(unchecked *verify.Unchecked) {
	if q.trace == nil || q.options().CRLs == nil {
		return
	}
	q.trace.Begin("client_certificate", verify.RuleCRL, crlClause, q.gateway.shownCRLs())
	if unchecked != nil {
		q.conclude(unchecked.Error() + passedUnchecked)
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
func (q *request) beginClient(id string) {
	if q.trace == nil {
		return
	}
	q.trace.Begin("client", "client", clientClause, func() any { return map[string]string{"presented_client_id": refusal.Quote(id)} })
}

func (q *request) showClient(client *registry.Client) {
	if q.trace != nil {
		q.trace.Show(shownClient{client.ClientID, client.SoftwareID, client.OrgID, client.Status, client.Suspended})
	}
}

// beginMethod shows how a client is registered to authenticate.
func (q *request) beginMethod(client *registry.Client, a *verify.Authenticator) {
	if q.trace == nil {
		return
	}
	q.trace.Begin("client_authentication", a.Method, methodClause, func() any {
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

func (q *request) showHolder(of authserver.TokenHolder) {
	if q.trace != nil {
		q.trace.Show(shownHolder{of.ClientIDs, of.Known, of.Inactive})
	}
}
