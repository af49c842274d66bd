package gateway

import (
	"errors"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Access tokens that come to the AS itself. Its userinfo answers even for the token of a
// client that was suspended or deleted. So the gateway refuses it (checkHolder).

// uncheckedTokens counts them since the process began, over reloads.
var uncheckedTokens = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_unchecked_tokens_total",
	Help: "Requests with an access token of unknown client that were forwarded to endpoints of the authorization server.",
}, []string{"workspace"})

// warnUnchecked tells operators, once, where the AS cannot be asked whose token it is.
func (g *Gateway) warnUnchecked(before, t *table) {
	if g.options.Server.Introspects(t.metadata) || before != nil && !g.options.Server.Introspects(before.metadata) {
		return
	}
	for _, c := range t.checks {
		if c&checksToken != 0 {
			g.log.Warn("cannot introspect access tokens at the authorization server: forwards opaque tokens of suspended and deleted clients to userinfo; configure a client of the gateway and the introspection_endpoint")
			return
		}
	}
}

// checkedToken is next for a request whose access token, if it has one, may go on, and
// nil where it may not: then the request is answered.
func (q *request) checkedToken(next http.Handler, c checks) http.Handler {
	if c&checksToken == 0 {
		return next
	}
	inactive, err := q.checkAccessToken(c)
	switch {
	case err != nil:
		q.refuse("access_token", err)
		return nil
	case inactive && c&checksForm != 0:
		return q.refusing(next)
	}
	return next
}

// refusing is next for a token that the AS calls inactive: it refuses that in its own
// words. One that it takes all the same is one that the gateway's client may not
// introspect, and nobody knows whose it is.
func (q *request) refusing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		q.serveHeld(next, "access_token", func(held *heldAnswer) error {
			if held.status/100 != 2 {
				return nil
			}
			return refusal.New(refusal.InvalidToken, "access_token", "access token: not active at the authorization server; get a new one").Because(errTwoAnswers)
		})
	})
}

var errTwoAnswers = errors.New("introspection calls a token inactive that the endpoint takes; let the gateway's client introspect the tokens of all clients")

// checkAccessToken refuses the token of a client that may do nothing, one that the gateway has
// ended, and one that came with another certificate than the gateway has bound it to.
func (q *request) checkAccessToken(c checks) (inactive bool, err error) {
	t, err := q.presentedToken(c)
	if err != nil || t.Raw == "" {
		return false, err
	}
	cert, _ := q.certificate() // CheckUse tells what is missing
	q.trace.beginCertificate(q.r.TLS, q.certificate)
	q.trace.Begin("access_token", "access_token", tokenClause, nil)
	if q.options().Workspace.AccessTokens != nil && registry.IsAccessToken(t.Raw) {
		return false, refusal.New(refusal.InvalidToken, "access_token", "access token: a registration access token, which the authorization server does not know; send an access token")
	}
	if _, err := q.enter(); err != nil {
		return false, err
	}
	bound, err := q.checkBound(t, cert)
	if err != nil {
		return false, err
	}
	of, err := q.options().Server.TokenHolder(authserver.WithSender(q.r.Context(), q.holder(cert)), t.Raw)
	if err != nil {
		return false, err
	}
	q.trace.showHolder(of)
	return of.Inactive, q.checkHolder(t.Raw, bound, of)
}

// presentedToken reads the one access token of a request.
func (q *request) presentedToken(c checks) (verify.PresentedToken, error) {
	form := ""
	if !q.otherBody(c) {
		var err error
		if c&checksForm != 0 {
			form, err = q.readForm()
		} else {
			form, _, err = q.readGuardedBody()
		}
		if err != nil { // a body that is no form, an AS may take for one
			q.trace.beginForm(q.r)
			return verify.PresentedToken{}, err
		}
	}
	t, err := verify.ReadPresentedToken(q.r.Header["Authorization"], q.r.URL.RawQuery, form)
	if err != nil {
		q.trace.Begin("access_token", "access_token", tokenClause, nil)
	}
	return t, err
}

// otherBody tells whether a body is none in which a server looks for a token: the token is
// in the header, the endpoint one that may take JSON, and the body of one type that is
// not a form's.
func (q *request) otherBody(c checks) bool {
	t := mediaType(q.r)
	return c&checksForm == 0 && !q.options().BindAccessTokens && len(q.r.Header["Authorization"]) == 1 && len(q.r.Header["Content-Encoding"]) == 0 &&
		t != "" && t != formType && !strings.HasPrefix(t, "multipart/")
}

// checkHolder checks a token against what the registry says now of the client that it
// belongs to. bound: the gateway has bound it to the certificate that it came with.
func (q *request) checkHolder(raw string, bound bool, t authserver.TokenHolder) error {
	ended, err := q.store.TokenEnded(q.r.Context(), q.options().Workspace.Name, &verify.AccessToken{Raw: raw, ID: t.JTI})
	switch {
	case err != nil:
		return err
	case ended:
		return refusal.New(refusal.InvalidToken, "access_token", "access token: it was ended; get a new one from this authorization server")
	case !t.Known && !t.Inactive:
		uncheckedTokens.WithLabelValues(q.options().Workspace.Name).Inc()
	}
	for _, id := range t.ClientIDs {
		q.trace.beginClient(id)
		client, err := q.store.Client(q.r.Context(), q.options().Workspace.Name, id)
		if err == nil {
			q.is(client)
		}
		switch {
		case errors.Is(err, registry.ErrNotFound) && t.Named && q.unknown(id):
			return refusal.New(refusal.InvalidToken, "unknown_clients", "access token: its client is not registered here; register, or ask the bank").Because(errUnknownClient)
		case errors.Is(err, registry.ErrNotFound):
			q.trace.conclude(notRegistered)
		case err != nil:
			return err
		case !client.Registered():
			return refusal.New(refusal.InvalidToken, "access_token", "access token: its client was deleted; register a new one")
		case client.Suspended:
			return refusal.New(refusal.InvalidToken, "suspended", "access token: the bank has suspended this client, or its software, organisation or directory; ask the bank")
		case client.Status != registry.Active:
			return refusal.New(refusal.InvalidToken, registry.RuleApproval, "access token: its client awaits the bank's approval; ask the bank")
		case !bound:
			if err := q.bindingForgotten(t.Issued); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkBound checks a token against the certificate of the connection, where the gateway
// has bound it to one.
func (q *request) checkBound(p verify.PresentedToken, cert *verify.Certificate) (bound bool, err error) {
	if !q.options().BindAccessTokens {
		return false, nil
	}
	if !p.Bearer {
		return false, refusal.New(refusal.MalformedRequest, "access_token", "access_token: in the address or the body, or in another scheme; send Authorization: Bearer")
	}
	t := &verify.AccessToken{Raw: p.Raw}
	if t.Thumbprint, err = q.store.TokenBinding(q.r.Context(), q.options().Workspace.Name, t); err != nil || t.Thumbprint == "" {
		return false, err
	}
	return true, t.CheckUse(cert, q.gateway.now())
}
