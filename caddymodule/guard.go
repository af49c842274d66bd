package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// serveGuarded checks who asks an endpoint of the AS at which clients
// authenticate, before the AS sees the request. Clients that are not the
// registry's pass untouched, or not at all (UnknownClients).
func (g *gateway) serveGuarded(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, at purpose) error {
	store, err := g.options.Stores.Enter()
	if err != nil {
		g.guardExchange(w, r, "guard").refuse(err)
		return nil
	}
	defer g.options.Stores.Leave()
	form, c, err := g.guard(w, r, store, at)
	if err != nil {
		g.guardExchange(w, r, "guard").refuse(err)
		return nil
	}
	defer g.logPassed(r)
	if c != nil || at == introspection { // else it is the AS's answer, whatever that is
		guardCallerOf(r).begin("authorization_server", "authorization_server", "")
	}
	if g.showsCertificate(r) {
		handOver(r, g.options.CertificateHeader, g.now())
	}
	if c != nil && c.Bridge != "" {
		next = g.bridged(next, store, c, form)
	}
	if c != nil && at == authentication && g.tableOf(r.Context()).metadata.GatewayBindsTokens() {
		return g.serveBound(w, r, next, store)
	}
	if at == introspection {
		return g.serveIntrospection(w, r, next, store, form)
	}
	return next.ServeHTTP(w, r)
}

// guard returns the form of a request that may go on, and the client of the registry
// that sent it: nil for any other, and for one with whose request there is nothing to do
// but to pass it on.
func (g *gateway) guard(w http.ResponseWriter, r *http.Request, store *registry.Registry, at purpose) (form string, client *registry.Client, err error) {
	by := guardCallerOf(r)
	form, other, err := g.readGuardedBody(w, r)
	if err != nil {
		who, _ := verify.ReadClientAuthentication(r.Header["Authorization"], r.URL.RawQuery, "")
		by.presents(who) // for the log: what is wrong is the body
		by.beginForm(r)
		return "", nil, err
	}
	who, err := verify.ReadClientAuthentication(r.Header["Authorization"], r.URL.RawQuery, form)
	by.presents(who)
	if err != nil {
		by.beginAuthentication(r)
		return "", nil, err
	}
	cert, absent := captureCertificate(r.TLS, g.now())
	if absent != nil {
		cert = nil // CheckClient tells what is missing
	}
	unchecked, err := g.checkRevoked(r.Context(), cert)
	if err != nil {
		by.beginAuthentication(r)
		by.beginCertificate(r, nil)
		by.beginCRL(g, nil)
		return "", nil, err
	}
	asked, usual := g.usual(r.Method, who, cert, at)
	// Nobody refuses any more what was let through before, but for an answer of introspection:
	// of that an explanation needs all steps.
	if usual && !(at == introspection && by.traced()) && g.passed.before(asked, store) {
		g.remembered(r, store, asked.clientID)
		return form, nil, nil
	}
	by.beginAuthentication(r)
	by.beginCertificate(r, absent)
	if absent == nil {
		by.beginCRL(g, unchecked)
	}
	asks := &guardedRequest{who: who, at: at, cert: cert, absent: absent, other: other, asked: asked, usual: usual}
	if client, err = g.clientOf(w, r, store, asks); err != nil {
		return "", nil, err
	}
	if client != nil && who.Empty {
		form = sendWithoutEmpty(r, form)
	}
	return form, client, nil
}

// guardedRequest is what is known of a request whose client is looked for.
type guardedRequest struct {
	who *verify.ClientAuthentication
	at  purpose
	// cert is nil where none counts, absent says why.
	cert   *verify.Certificate
	absent error
	// other: its body is no form (OtherBodies).
	other bool
	// asked is what may be remembered of it, where it is usual.
	asked usual
	usual bool
}

// clientOf is the client of the registry that a request names, once it has authenticated;
// nil where it names none.
func (g *gateway) clientOf(w http.ResponseWriter, r *http.Request, store *registry.Registry, asks *guardedRequest) (client *registry.Client, err error) {
	by := guardCallerOf(r)
	if err := g.refuseNameless(r, store, asks.who, asks.at); err != nil {
		by.begin("client", "client", clientClause)
		return nil, err
	}
	var unknown error // of an id; another reading of the same one may be a client's
	for _, id := range asks.who.ClientIDs {
		by.beginClient(id)
		c, reading, err := store.Lookup(r.Context(), g.options.Workspace.Name, id)
		if errors.Is(err, registry.ErrAlike) {
			return nil, verify.Refuse(verify.InvalidClient, "client_authentication", "client authentication: client_id is not written as it was given out; send it exactly so").Because(err)
		}
		if errors.Is(err, registry.ErrNotFound) {
			if err := g.refuseUnknown(store, id); err != nil {
				unknown = err
			} else {
				by.conclude(notRegistered)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		by.is(c)
		if asks.other {
			return nil, notForm(r.Header)
		}
		if r.Method != http.MethodPost { // RFC 6749 3.2
			w.Header().Set("Allow", http.MethodPost)
			return nil, verify.Refuse(verify.MethodNotAllowed, "method", "method: %s; send a POST", verify.Quote(r.Method))
		}
		if err := g.checkClient(r.Context(), store, asks.who, c, asks.cert, asks.at); err != nil {
			return nil, withCause(err, asks.absent)
		}
		if asks.usual && c.Bridge == "" { // in bridge mode the request needs the client itself
			g.passed.remember(asks.asked, reading)
		}
		client = c
	}
	if unknown != nil && (client == nil || client.Metadata.TokenEndpointAuthMethod != verify.ClientSecretBasic) {
		return nil, unknown
	}
	return client, nil
}

// sendWithoutEmpty takes out of a request what counted as omitted when it was judged, and may
// be a second authentication to the AS: an empty secret where it has none for this client.
func sendWithoutEmpty(r *http.Request, form string) string {
	form = verify.WithoutEmpty(form)
	setForm(r, []byte(form))
	target := *r.URL
	target.RawQuery = verify.WithoutEmpty(target.RawQuery)
	r.URL = &target
	return form
}

// withCause is a refusal that the log gives a cause, where it has none: why a certificate
// that came is none.
func withCause(err, cause error) error {
	if e := verify.AsError(err); e.Cause == nil && cause != nil {
		return e.Because(cause)
	}
	return err
}

// checkClient holds a request against a client of the registry.
func (g *gateway) checkClient(ctx context.Context, store *registry.Registry, who *verify.ClientAuthentication, c *registry.Client, cert *verify.Certificate, at purpose) error {
	switch {
	case c.Status != registry.Active:
		return verify.Refuse(verify.InvalidClient, "client_authentication", "client authentication: this client was deleted; register a new one")
	case c.Suspended && at != revocation:
		return verify.Refuse(verify.InvalidClient, "suspended", "client authentication: the bank has suspended this client, its software or its organisation; ask the bank")
	}
	a, err := g.authenticator(c, cert)
	if err != nil {
		return err
	}
	guardCallerIn(ctx).beginMethod(c, a)
	if c.Bridge == "" && verify.HasSecret(a.Method) { // the AS would be sent the client's own secret
		return errNotBridged()
	}
	if err := who.CheckClient(a, cert); err != nil {
		return err
	}
	if cert == nil && at == authentication && g.tableOf(ctx).metadata.GatewayBindsTokens() {
		return errNoBinding()
	}
	if a.Method == "private_key_jwt" || a.Method == verify.ClientSecretJWT {
		if err := g.checkAssertion(ctx, store, who, c); err != nil {
			return err
		}
	}
	g.refreshKeys(ctx, store, who, c)
	if cert == nil {
		return nil
	}
	return g.renew(ctx, store, a, cert)
}

// authenticator is how a client shows who it is. cert is what was presented, nil when
// nothing was.
func (g *gateway) authenticator(c *registry.Client, cert *verify.Certificate) (a *verify.Authenticator, err error) {
	a = &verify.Authenticator{ClientID: c.ClientID, Method: c.Metadata.TokenEndpointAuthMethod, Match: g.options.Match, NeedsCertificate: g.options.NeedsEndpointCertificate, SecretHash: c.SecretHash()}
	a.SANClaim, a.SAN = c.Metadata.SAN()
	if cert != nil && bytes.Equal(c.Subject, cert.Leaf.RawSubject) {
		a.Subject = cert.Subject // read from the same bytes
		return a, nil
	}
	a.Subject, err = c.DN()
	return a, err
}
