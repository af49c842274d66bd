package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Access tokens that the gateway binds to certificates (RFC 8705 3), because the AS
// does not: bind_access_tokens.

func errNoBinding() *refusal.Error {
	return refusal.New(refusal.InvalidClient, "client_authentication", "client authentication: tokens of this server are bound to a certificate; connect with the software's transport certificate")
}

// serveBound passes a request of a client of the registry on, and remembers with which
// certificate the token of the answer is good. Nobody gets a token that is not bound.
func (q *request) serveBound(next http.Handler) {
	cert, absent := q.certificate()
	if absent != nil {
		q.refuseClient("guard", errNoBinding().Because(absent))
		return
	}
	q.serveHeld(next, "guard", func(held *heldAnswer) error {
		if held.status/100 != 2 {
			return nil
		}
		if err := q.bind(held, cert); err != nil {
			return refusal.New(refusal.Unavailable, "bind_access_tokens", "the authorization server does not answer now; try again later").Because(err)
		}
		return nil
	})
}

// longest is how long the certificate of a token is remembered, at most, and of one
// whose end the AS does not tell.
const longest = 365 * 24 * time.Hour

// bind remembers the certificate of the token in an answer. An answer without one is
// not of the token endpoint.
func (q *request) bind(held *heldAnswer, cert *verify.Certificate) error {
	answer, err := held.claims()
	if err != nil {
		return q.gateway.unusableToken(err)
	}
	token, ok, err := answer.String("access_token")
	switch {
	case err != nil:
		return q.gateway.unusableToken(fmt.Errorf("access_token %w", err))
	case !ok:
		return nil
	}
	lives, _, err := answer.Integer("expires_in")
	if most := int64(longest / time.Second); err != nil || lives <= 0 || lives > most {
		lives = most // of one that cannot be read too: to remember a binding for longer harms nobody
	}
	t := &verify.AccessToken{Raw: token, Expires: q.gateway.now().Add(time.Duration(lives) * time.Second)}
	return q.store.BindToken(q.r.Context(), q.options().Workspace.Name, t, cert.Thumbprint)
}

func (g *Gateway) unusableToken(err error) error {
	return fmt.Errorf("token answer of %s: %w", g.options.ServerURL, err)
}

// bindingForgotten refuses a token of a client of the registry that is bound to nothing and
// was issued up to the store's epoch: it may have been bound, and that be forgotten.
func (q *request) bindingForgotten(issued time.Time) error {
	if !q.options().BindAccessTokens || !epochOf(q.store).Covers(issued, verify.DefaultTokenLifetime, q.gateway.now()) {
		return nil
	}
	return refusal.New(refusal.InvalidToken, verify.EpochRule, "access token: this server does not know any more to which certificate it is bound; get a new one")
}

// showBinding says in the answer to an introspection with which certificate the token
// is good: the resource server sees the connection, the gateway does not. bound: to one
// of the gateway's or the AS's.
func (q *request) showBinding(held *heldAnswer, claims strictjson.Object, t *verify.AccessToken) (bound bool, err error) {
	if !q.options().BindAccessTokens {
		return false, nil
	}
	thumbprint, err := q.store.TokenBinding(q.r.Context(), q.options().Workspace.Name, t)
	if err != nil {
		return false, err
	}
	cnf, _, err := claims.Object("cnf")
	if err != nil {
		return false, q.gateway.unreadable(fmt.Errorf("cnf %w", err))
	}
	theirs, _, err := cnf.String("x5t#S256")
	if err != nil {
		return false, q.gateway.unreadable(fmt.Errorf("cnf: x5t#S256 %w", err))
	}
	if theirs != "" || thumbprint == "" {
		return theirs != "", nil
	}
	cnf = cnf.With("x5t#S256", strictjson.AppendString(nil, thumbprint))
	held.replace(claims.With("cnf", cnf.AppendJSON(nil)).AppendJSON(nil))
	return true, nil
}

// readBinding fills in the certificate that the gateway has bound the request's token
// to. What the AS says of it counts before.
func (d *registrationRequest) readBinding() error {
	if !d.options.BindAccessTokens {
		return nil
	}
	bound, err := d.store.TokenBinding(d.request.r.Context(), d.options.Workspace.Name, d.token)
	if err != nil {
		return err
	}
	if d.token.Thumbprint = cmp.Or(d.token.Thumbprint, bound); d.token.Thumbprint == "" {
		return notYours(d.request.bindingForgotten(d.token.Issued))
	}
	return nil
}
