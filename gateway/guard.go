package gateway

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// serveGuarded checks who asks an endpoint of the AS at which clients
// authenticate, before the AS sees the request. Clients that are not the
// registry's pass untouched, or not at all (unknown_clients).
func (q *request) serveGuarded(next http.Handler) {
	if _, err := q.enter(); err != nil {
		q.refuseClient("guard", err)
		return
	}
	a := &authentication{request: q}
	if err := a.check(); err != nil {
		q.refuseClient("guard", err)
		return
	}
	defer q.logPassed()
	c := a.client
	if c != nil || q.purpose == introspection { // else it is the AS's answer, whatever that is
		q.trace.Begin("authorization_server", "authorization_server", "", nil)
	}
	if q.showsCertificate() {
		handOver(q.r, q.options().CertificateHeader, q.gateway.now())
	}
	if c != nil {
		next = q.marking(next, c)
	}
	if c != nil && c.Bridge != "" {
		next = q.bridged(next, c, a.form)
	}
	switch {
	case c != nil && q.purpose == clientAuthentication && q.table.metadata.GatewayBindsTokens():
		q.serveBound(next)
	case q.purpose == introspection:
		q.serveIntrospection(next, a.form)
	default:
		next.ServeHTTP(q.w, q.r)
	}
}

// authentication is how a request to an endpoint of the AS authenticates its client.
type authentication struct {
	request *request
	// form is the body. other: it is none, see PassOtherBodies.
	form  string
	other bool
	// who is what the request says of its sender.
	who *verify.ClientAuthentication
	// key is what may be remembered of the request, where it is plain.
	key   guardKey
	plain bool
	// client is the client of the registry that has authenticated: nil for any other, and for
	// one with whose request there is nothing to do but to pass it on.
	client *registry.Client
}

// check refuses a request that may not go on.
func (a *authentication) check() (err error) {
	q := a.request
	a.form, a.other, err = q.readGuardedBody()
	if err != nil {
		who, _ := verify.ReadClientAuthentication(q.r.Header["Authorization"], q.r.URL.RawQuery, "")
		q.caller.presents(who) // for the log: what is wrong is the body
		q.trace.beginForm(q.r)
		return err
	}
	a.who, err = verify.ReadClientAuthentication(q.r.Header["Authorization"], q.r.URL.RawQuery, a.form)
	q.caller.presents(a.who)
	if err != nil {
		q.trace.beginAuthentication(q.r, q.caller.who)
		return err
	}
	cert, absent := q.certificate()
	unchecked, err := q.gateway.checkRevoked(q.r.Context(), cert)
	if err != nil {
		q.trace.beginAuthentication(q.r, q.caller.who)
		q.trace.beginCertificate(q.r.TLS, q.certificate)
		q.trace.beginCRL(q.gateway, nil)
		return err
	}
	a.key, a.plain = q.guardKey(a.who, cert)
	// Nobody refuses any more what was let through before, but for an answer of introspection:
	// of that an explanation needs all steps.
	if a.plain && !(q.purpose == introspection && q.trace.Trace != nil) {
		if is, marked := q.gateway.cache.allowed(a.key, q.store, int64(q.day)); is {
			if !marked {
				q.markUsed(a.key.clientID)
			}
			q.remembered(a.key.clientID)
			return nil
		}
	}
	q.trace.beginAuthentication(q.r, q.caller.who)
	q.trace.beginCertificate(q.r.TLS, q.certificate)
	if absent == nil {
		q.trace.beginCRL(q.gateway, unchecked)
	}
	if err = a.find(); err == nil && a.client != nil && a.who.Empty {
		a.form = sendWithoutEmpty(q.r, a.form)
	}
	return err
}

// find looks for the client of the registry that a request names, and checks it.
func (a *authentication) find() error {
	q := a.request
	if err := a.refuseNameless(); err != nil {
		q.trace.Begin("client", "client", clientClause, nil)
		return err
	}
	var unknown error // of an id; another reading of the same one may be a client's
	for _, id := range a.who.ClientIDs {
		q.trace.beginClient(id)
		c, reading, err := q.store.Lookup(q.r.Context(), q.options().Workspace.Name, id)
		switch {
		case errors.Is(err, registry.ErrAlike):
			return refusal.New(refusal.InvalidClient, "client_authentication", "client authentication: client_id is not written as it was given out; send it exactly so").Because(err)
		case errors.Is(err, registry.ErrNotFound):
			if err := q.refuseUnknown(id); err != nil {
				unknown = err
			} else {
				q.trace.conclude(notRegistered)
			}
			continue
		case err != nil:
			return err
		}
		q.is(c)
		if err := a.checkFound(c); err != nil {
			return err
		}
		if a.plain && c.Bridge == "" { // in bridge mode the request needs the client itself
			q.gateway.cache.remember(a.key, reading)
		}
		a.client = c
	}
	if unknown != nil && (a.client == nil || a.client.Metadata.TokenEndpointAuthMethod != verify.ClientSecretBasic) {
		return unknown
	}
	return nil
}

// checkFound checks a request against a client of the registry that it names.
func (a *authentication) checkFound(c *registry.Client) error {
	q := a.request
	if a.other {
		return notForm(q.r.Header)
	}
	if q.r.Method != http.MethodPost { // RFC 6749 3.2
		q.w.Header().Set("Allow", http.MethodPost)
		return refusal.New(refusal.MethodNotAllowed, "method", "method: %s; send a POST", refusal.Quote(q.r.Method))
	}
	if err := a.checkClient(c); err != nil {
		return withCause(err, q.absent) // why a certificate that came is none
	}
	return nil
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

// withCause is a refusal that the log gives a cause, where it has none.
func withCause(err, cause error) error {
	if e := refusal.From(err); e.Cause == nil && cause != nil {
		return e.Because(cause)
	}
	return err
}

// checkClient checks a request against what the client of the registry may do, and how it
// authenticates.
func (a *authentication) checkClient(c *registry.Client) error {
	q := a.request
	switch {
	case !c.Registered():
		return refusal.New(refusal.InvalidClient, "client_authentication", "client authentication: this client was deleted; register a new one")
	case c.Suspended && q.purpose != revocation:
		return refusal.New(refusal.InvalidClient, "suspended", "client authentication: the bank has suspended this client, or its software, organisation or directory; ask the bank")
	case c.Status != registry.Active && q.purpose != revocation:
		return refusal.New(refusal.InvalidClient, registry.RuleApproval, "client authentication: this client awaits the bank's approval; ask the bank")
	}
	cert, _ := q.certificate()
	method, err := q.gateway.authenticator(c, cert)
	if err != nil {
		return err
	}
	q.trace.beginMethod(c, method)
	if c.Bridge == "" && verify.HasSecret(method.Method) { // the AS would be sent the client's own secret
		return errNotBridged()
	}
	if err := a.who.CheckClient(method, cert); err != nil {
		return err
	}
	if cert == nil && q.purpose == clientAuthentication && q.table.metadata.GatewayBindsTokens() {
		return errNoBinding()
	}
	if method.Method == "private_key_jwt" || method.Method == verify.ClientSecretJWT {
		if err := a.checkAssertion(c); err != nil {
			return err
		}
	}
	q.gateway.refreshKeys(q.r.Context(), q.store, a.who, c)
	if cert == nil {
		return nil
	}
	return q.gateway.renew(q.r.Context(), q.store, method, cert)
}

// authenticator is how a client shows who it is. cert is what was presented, nil when
// nothing was.
func (g *Gateway) authenticator(c *registry.Client, cert *verify.Certificate) (a *verify.Authenticator, err error) {
	a = &verify.Authenticator{ClientID: c.ClientID, Method: c.Metadata.TokenEndpointAuthMethod, Match: g.options.Match, NeedsCertificate: g.options.NeedsEndpointCertificate, SecretHash: c.SecretHash()}
	a.SANClaim, a.SAN = c.Metadata.SAN()
	if cert != nil && bytes.Equal(c.Subject, cert.Leaf.RawSubject) {
		a.Subject = cert.Subject // read from the same bytes
		return a, nil
	}
	a.Subject, err = c.DN()
	return a, err
}
