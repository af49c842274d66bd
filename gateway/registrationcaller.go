package gateway

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// Who asks: certificate and token of a DCR request, before its body is read.

// certificate is protection 1, and counts the requests of whoever has one.
func (d *registrationRequest) certificate() (err error) {
	d.beginCertificate()
	d.cert, err = d.request.certificate()
	if err != nil && !d.options.NeedsCertificate {
		d.cert, err = nil, nil
	}
	if err != nil {
		return err
	}
	if d.cert != nil {
		d.request.note("certificate", d.cert.Thumbprint)
	}
	if err := d.notRevoked(); err != nil {
		return err
	}
	d.request.r = d.request.r.WithContext(authserver.WithSender(d.request.r.Context(), d.request.holder(d.cert)))
	d.beginRateLimit()
	return d.options.Limits.take(d.request.sender(d.cert), d.now())
}

// provider notes what the certificate says of its holder as a payment service
// provider (ETSI TS 119 495), for operators who ask who was let in.
func (d *registrationRequest) provider() {
	if d.cert == nil {
		return
	}
	if id, err := d.cert.OrganizationIdentifier(); err == nil {
		d.request.note("organization_identifier", refusal.ForLog(id))
	}
	q, err := d.cert.QCStatements()
	switch {
	case err != nil:
		d.request.note("qc_statements", err.Error())
	case q.PSD2 != nil:
		d.request.note("psd2_roles", strings.Join(q.PSD2.Roles, " "))
		d.request.note("nca", refusal.ForLog(q.PSD2.NCAID))
	}
}

// registrationToken is protection 2.
func (d *registrationRequest) registrationToken() error {
	if !d.options.NeedsToken {
		d.request.trace.Off("access_token", "access_token", "access_token off")
		return nil
	}
	d.beginToken()
	raw, err := d.bearer()
	if err != nil {
		return err
	}
	if d.token, err = d.options.Server.CheckToken(d.request.r.Context(), raw); err != nil {
		return d.spentToken(raw, err)
	}
	d.showToken()
	if err := d.token.CheckRegistration(d.cert, d.now()); err != nil {
		return err
	}
	return d.token.CheckEpoch(epochOf(d.store), d.options.TokenLifetime, d.now())
}

// bearer is the token of the Authorization header, the one place for it here. One that is
// in the address too is in two places (RFC 6750 2), and in logs.
func (d *registrationRequest) bearer() (string, error) {
	raw, err := verify.BearerToken(d.request.r.Header["Authorization"])
	if err != nil {
		return "", err
	}
	if other, err := verify.ReadPresentedToken(nil, d.request.r.URL.RawQuery, ""); err != nil || other.Raw != "" {
		return "", refusal.New(refusal.InvalidToken, "access_token", "access token: in the address too; send it once, in Authorization: Bearer").Because(err)
	}
	return raw, nil
}

// spentToken lets a token pass that the AS does not know any more because it has
// registered, where the registration may be repeated. The registry decides.
func (d *registrationRequest) spentToken(raw string, refused error) error {
	if refusal.From(refused).Kind != refusal.InvalidToken || !d.options.Workspace.Reregister.Repeats() {
		return refused
	}
	spent, err := d.store.TokenSpent(d.request.r.Context(), d.options.Workspace.Name, raw)
	if err != nil || !spent {
		return cmp.Or(err, refused)
	}
	d.token, d.spent = &verify.AccessToken{Raw: raw}, refused
	d.request.trace.Conclude(trace.Unknown, "used up: good for what it has registered, and the registry knows that")
	return nil
}

// client finds the client that a management request is about, and only for the
// client itself: its certificate, its token. It refuses one that is suspended, one that
// awaits approval and has no registration access token, and a method that is off. Whatever is wrong with the token,
// the answer is the same, so that nobody learns which ids exist.
func (d *registrationRequest) client(id string) (*registry.Client, error) {
	if err := d.certificate(); err != nil {
		return nil, err
	}
	clientID, err := url.PathUnescape(id)
	if err != nil {
		return nil, verify.NotYours(err)
	}
	d.beginToken()
	c, err := d.byToken(clientID)
	if err != nil {
		d.request.note("presented_client_id", refusal.ForLog(clientID))
		return nil, err
	}
	d.request.trace.Begin("client", "client", "RFC 7592 2, RFC 8705 2.1", c.ClientID)
	d.request.note("client_id", c.ClientID)
	d.request.note("software_id", c.SoftwareID)
	d.request.note("org_id", c.OrgID)
	if d.options.NeedsCertificate {
		if own, err := d.isOf(c); err != nil {
			return nil, err
		} else if !own {
			return nil, verify.NotYours(errors.New("another certificate than the client's"))
		}
	}
	if err := d.options.Limits.takeOf(c.Directory, c.SoftwareID, c.OrgID, d.cert.Holder(), d.now()); err != nil {
		return nil, err
	}
	if c.Suspended {
		return nil, registry.Suspended()
	}
	// Of an access token nobody may make use while its client waits, wherever it comes from. A
	// registration access token is the gateway's own, and good for nothing else.
	if c.Status != registry.Active && d.accessToken == "" {
		return nil, registry.Awaiting()
	}
	if !slices.Contains(d.options.Methods, d.request.r.Method) {
		return nil, refusal.New(refusal.AccessDenied, "management", "%s: this server does not let clients do this with their registrations; ask the bank", d.request.r.Method)
	}
	d.managed = c.ClientID
	return c, nil
}

// byToken finds the client whose token the request carries.
func (d *registrationRequest) byToken(clientID string) (*registry.Client, error) {
	raw, err := d.bearer()
	if err != nil {
		return nil, notYours(err)
	}
	if d.options.Workspace.AccessTokens != nil && registry.IsAccessToken(raw) {
		return d.byAccessToken(clientID, raw)
	}
	if d.token, err = d.options.Server.CheckToken(d.request.r.Context(), raw); err != nil {
		return nil, notYours(err)
	}
	if ended, err := d.store.TokenEnded(d.request.r.Context(), d.options.Workspace.Name, d.token); err != nil {
		return nil, err
	} else if ended {
		return nil, verify.NotYours(errors.New("a token that was ended before"))
	}
	if err := d.readBinding(); err != nil {
		return nil, err
	}
	d.showToken()
	c, err := d.store.Client(d.request.r.Context(), d.options.Workspace.Name, clientID)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	if err := d.token.CheckManagement(clientID, d.cert, d.now()); err != nil {
		// An expired one needs no end, and one that is bound to another certificate was
		// perhaps not sent by its client, who may need it.
		if d.token.ClientID != clientID && d.token.CheckUse(d.cert, d.now()) == nil {
			return nil, d.endToken(err)
		}
		return nil, err
	}
	if c == nil || !c.Registered() {
		return nil, d.endToken(verify.NotYours(errors.New("unknown or deleted client")))
	}
	return c, nil
}

// notYours makes the one answer of an error that says what is wrong with a token.
func notYours(err error) error {
	if refusal.From(err).Kind == refusal.InvalidToken {
		return verify.NotYours(err)
	}
	return err
}

// presented is the token of the request, which belongs to own. With it goes the
// certificate where the AS would take it for own's: the gateway must not fail an
// authentication in somebody's name.
func (d *registrationRequest) presented(own *registry.Client) (registry.Presented, error) {
	p := registry.Presented{Token: d.token, Organisation: d.request.holder(d.cert)}
	if own != nil && own.Organisation() != "" {
		p.Organisation = own.Organisation()
	}
	if own == nil || !own.Registered() {
		return p, nil
	}
	if p.Bridge = own.Bridge; p.Bridge != "" || own.Metadata.TokenEndpointAuthMethod != "tls_client_auth" {
		return p, nil
	}
	is, err := d.isOf(own)
	if is {
		p.Certificate = d.cert
	}
	return p, err
}

// endToken ends the token of a request for a client that is not there, or another's
// (DCR v3.2; RFC 7592 2.1), and returns the refusal.
func (d *registrationRequest) endToken(refused error) error {
	own, err := d.store.Client(d.request.r.Context(), d.options.Workspace.Name, d.token.ClientID)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return err
	}
	presented, err := d.presented(own)
	if err != nil {
		return err
	}
	if err := d.store.EndToken(d.request.r.Context(), d.options.Workspace, presented); err != nil {
		return err
	}
	return refused
}

// isOf tells whether the request came with a client's certificate.
func (d *registrationRequest) isOf(c *registry.Client) (bool, error) {
	a, err := d.request.gateway.authenticator(c, d.cert)
	return err == nil && d.cert != nil && a.Presents(d.cert), err
}

// epochOf is the store's epoch as the checks read it.
func epochOf(store *registry.Registry) verify.Epoch {
	e := store.Epoch()
	return verify.Epoch{Time: e.Time()}
}
