package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Real ASs keep the tokens of a client alive that was deleted, and know nothing of
// one that was suspended. So what they say of a token is checked on its way to the
// resource server (RFC 7662 2.2).

// inactive is all that is said of a token that is good no more.
var inactive = []byte(`{"active":false}`)

// serveIntrospection passes a request on and its answer back, unless the token is
// one that the gateway has ended, or its client is one that may do nothing.
func (q *request) serveIntrospection(next http.Handler, form string) {
	q.serveHeld(next, "introspection", func(held *heldAnswer) error {
		if held.status/100 != 2 { // whatever asks may take any of these for a good answer
			return nil
		}
		active, err := q.stillActive(held, form)
		if err == nil && !active {
			held.replace(inactive)
		}
		return err
	})
}

// stillActive tells whether an answer of the AS may stand. One that says inactive may.
func (q *request) stillActive(held *heldAnswer, form string) (bool, error) {
	claims, err := held.claims()
	if err != nil {
		return false, q.gateway.unreadable(err)
	}
	if active, _, err := claims.Bool("active"); err == nil && !active {
		return true, nil
	}
	tokens, err := introspectedTokens(q.r, form)
	if err != nil {
		return false, err
	}
	ours := false
	// RFC 7662 2.2 does not demand client_id: then the token itself may say whose it is.
	for _, claims := range append([]strictjson.Object{claims}, tokenClaims(claims, tokens)...) {
		id, err := verify.TokenClient(claims)
		if err != nil {
			return false, q.gateway.unreadable(err)
		}
		c, err := q.store.Client(q.r.Context(), q.options().Workspace.Name, id)
		switch {
		case errors.Is(err, registry.ErrNotFound) && verify.NamesClient(claims) && q.unknown(id):
			q.caller.asksForInactive("its client is not registered here", "")
			return false, nil
		case errors.Is(err, registry.ErrNotFound): // not a client of the registry
		case err != nil:
			return false, err
		case !c.Registered():
			q.caller.asksForInactive("its client was deleted", c.ClientID)
			return false, nil
		case c.Suspended:
			q.caller.asksForInactive("its client is suspended", c.ClientID)
			return false, nil
		case c.Status != registry.Active:
			q.caller.asksForInactive("its client awaits approval", c.ClientID)
			return false, nil
		default:
			ours = true
		}
	}
	jti, _, _ := claims.String("jti")
	issued := verify.IssuedAt(claims)
	for _, token := range tokens {
		t := &verify.AccessToken{Raw: token, ID: jti}
		if ended, err := q.store.TokenEnded(q.r.Context(), q.options().Workspace.Name, t); err != nil {
			return false, err
		} else if ended {
			q.caller.asksForInactive("it was ended here", "")
			return false, nil
		}
		bound, err := q.showBinding(held, claims, t)
		if err != nil {
			return false, err
		}
		if ours && !bound && q.bindingForgotten(issued) != nil {
			q.caller.asksForInactive("its binding to a certificate may be forgotten", "")
			return false, nil
		}
	}
	return true, nil
}

// unreadable is an answer of the AS: the operator has to look there.
func (g *Gateway) unreadable(cause error) error {
	return refusal.New(refusal.Unavailable, "introspection", "the authorization server's answer cannot be read; try again later").
		Because(fmt.Errorf("introspection answer of %s: %w", g.options.ServerURL, cause))
}

// introspectedTokens are the tokens that a request asks about: one, or several of
// which an AS may take any.
func introspectedTokens(r *http.Request, form string) (tokens []string, err error) {
	for _, text := range []string{form, r.URL.RawQuery} {
		values, err := url.ParseQuery(text)
		if err != nil {
			return nil, err // the guard has read it before
		}
		tokens = append(tokens, values["token"]...)
	}
	return tokens, nil
}

// tokenClaims are those of tokens that are JWTs, where the AS does not name the client.
// Nothing in them is believed but that they are a dead client's.
func tokenClaims(answer strictjson.Object, tokens []string) (list []strictjson.Object) {
	if answer.Has("client_id") {
		return nil
	}
	for _, token := range tokens {
		if claims, err := verify.UnverifiedAnswer([]byte(token)); err == nil {
			list = append(list, claims)
		}
	}
	return list
}
