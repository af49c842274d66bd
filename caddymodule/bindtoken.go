package caddymodule

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Access tokens that the gateway binds to certificates (RFC 8705 3), because the AS
// does not: bind_access_tokens.

// serveBound passes a request of a client of the registry on, and remembers with which
// certificate the token of the answer is good. Nobody gets a token that is not bound.
func (h *Handler) serveBound(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, store *registry.Registry) error {
	cert, err := verify.CaptureCertificate(r.TLS, h.now())
	if err != nil {
		h.guardExchange(w, r, "guard").refuse(verify.Refuse(verify.InvalidClient, "client_authentication",
			"client authentication: tokens of this server are bound to a certificate; connect with the software's transport certificate").Because(err))
		return nil
	}
	delete(r.Header, "Accept-Encoding") // an answer that is packed cannot be read
	held := &heldAnswer{w: w}
	if err := next.ServeHTTP(held, r); err != nil {
		return err
	}
	if held.status != http.StatusOK {
		return held.send()
	}
	if err := h.bind(r, store, held, cert); err != nil {
		for name := range w.Header() {
			delete(w.Header(), name)
		}
		h.guardExchange(w, r, "guard").refuse(verify.Refuse(verify.Unavailable, "bind_access_tokens", "the authorization server does not answer now; try again later").Because(err))
		return nil
	}
	return held.send()
}

// forEver is a life of a token that is not counted.
const forEver = 10 * 365 * 24 * time.Hour

// bind remembers the certificate of the token in an answer. An answer without one is
// not of the token endpoint.
func (h *Handler) bind(r *http.Request, store *registry.Registry, held *heldAnswer, cert *verify.Certificate) error {
	answer, err := held.claims()
	if err != nil {
		return err
	}
	token, ok, err := answer.String("access_token")
	if err != nil || !ok {
		return err
	}
	lives, _, err := answer.Integer("expires_in")
	if err != nil {
		return err
	}
	t := &verify.AccessToken{Raw: token}
	if lives > 0 && lives < int64(forEver/time.Second) {
		t.Expires = h.now().Add(time.Duration(lives) * time.Second)
	}
	return store.BindToken(r.Context(), h.Workspace, t, cert.Thumbprint)
}

// showBinding says in the answer to an introspection with which certificate the token
// is good: the resource server sees the connection, the gateway does not.
func (h *Handler) showBinding(r *http.Request, store *registry.Registry, held *heldAnswer, claims verify.Object, t *verify.AccessToken) error {
	if !h.AuthorizationServer.BindAccessTokens {
		return nil
	}
	thumbprint, err := store.TokenBinding(r.Context(), h.Workspace, t)
	if err != nil || thumbprint == "" || claims.Has("cnf") {
		return err
	}
	cnf := append(verify.AppendString([]byte(`{"x5t#S256":`), thumbprint), '}')
	held.replace(claims.With("cnf", cnf).AppendJSON(nil))
	return nil
}

// readBinding fills in the certificate that the gateway has bound the request's token
// to. What the AS says of it counts before.
func (d *dcr) readBinding() error {
	if !d.AuthorizationServer.BindAccessTokens {
		return nil
	}
	bound, err := d.store.TokenBinding(d.r.Context(), d.Workspace, d.token)
	d.token.Thumbprint = cmp.Or(d.token.Thumbprint, bound)
	return err
}

// checkBound holds the token of a request to another endpoint of the AS, userinfo, against
// the certificate of the connection.
func (h *Handler) checkBound(r *http.Request) error {
	raw, err := verify.BearerToken(r.Header["Authorization"])
	if err != nil {
		return nil // the AS's affair
	}
	store, err := h.app.Enter()
	if err != nil {
		return err
	}
	defer h.app.Leave()
	t := &verify.AccessToken{Raw: raw}
	if t.Thumbprint, err = store.TokenBinding(r.Context(), h.Workspace, t); err != nil || t.Thumbprint == "" {
		return err
	}
	cert, err := verify.CaptureCertificate(r.TLS, h.now())
	if refused := (*verify.Error)(nil); err != nil && !errors.As(err, &refused) {
		return err
	}
	return t.CheckUse(cert, h.now())
}
