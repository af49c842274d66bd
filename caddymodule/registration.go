package caddymodule

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// serveRegistration is the DCR endpoint: POST without a client_id, GET, PUT and
// DELETE with one.
func (g *gateway) serveRegistration(w http.ResponseWriter, r *http.Request, id string) error {
	allow := "POST"
	operation := "register"
	if id != "" {
		allow, operation = strings.Join(g.options.Methods, ", "), map[string]string{"GET": "read", "PUT": "update", "DELETE": "delete"}[r.Method]
	}
	x := g.exchange(w, r, operation)
	if id == "" && r.Method != http.MethodPost || operation == "" || id != "" && g.options.MethodNotAllowed && !slices.Contains(g.options.Methods, r.Method) {
		x.operation = "method"
		w.Header().Set("Allow", allow)
		x.refuse(verify.Refuse(verify.MethodNotAllowed, "method", "method: not one of this address; it takes %s", cmp.Or(allow, "no method")))
		return nil
	}
	store, err := g.options.Stores.Enter()
	if err != nil {
		x.refuse(err)
		return nil
	}
	defer g.options.Stores.Leave()
	x.r = x.r.WithContext(authserver.WithSupportCode(x.r.Context(), x.support))
	d := &dcr{exchange: x, store: store}
	if g.traces() {
		d.record()
	}
	switch operation {
	case "register":
		err = d.register()
	case "read":
		err = d.read(id)
	case "update":
		err = d.update(id)
	case "delete":
		err = d.delete(id)
	}
	if err != nil {
		x.refuse(err)
	}
	d.keep(err)
	return nil
}

// dcr is one DCR request at work. Every step decides; only the registry changes anything.
type dcr struct {
	*exchange
	store *registry.Registry
	cert  *verify.Certificate
	token *verify.AccessToken
	// spent is why the AS refused token, see spentToken.
	spent error
	// accessToken is the registration access token of the request, where it came with one.
	accessToken string
	// objections are what policies in shadow have against the request.
	objections []registry.Objection
	// explains: nothing is done, and nobody told.
	explains bool
}

func (d *dcr) register() error {
	if err := d.checkOpen(); err != nil {
		return err
	}
	if err := d.checkMediaType(); err != nil {
		return err
	}
	if err := d.certificate(); err != nil {
		return err
	}
	d.provider()
	if err := d.registrationToken(); err != nil {
		return err
	}
	in, err := d.verifyBody(nil)
	if err != nil {
		return err
	}
	c, err := d.decided(nil, in, func(in registry.Registration) (*registry.Client, error) {
		return d.store.Register(d.r.Context(), d.options.Workspace, in)
	})
	if err != nil {
		return err
	}
	d.note("client_id", c.ClientID)
	d.note("token_endpoint_auth", c.TokenEndpointAuth())
	d.warn(c)
	if c.Repeated {
		d.note("reregister", d.options.Workspace.Reregister.Mode)
		return d.show(http.StatusCreated, c)
	}
	d.answer(http.StatusCreated, d.withRequestClaims(registrationJSON(d.options.Version, c, d.registrationAccess(c), in.Request.Statement.Raw, in.Request.Statement.Claims), in.Request.Claims))
	return nil
}

// checkOpen refuses new clients where the operator takes none.
func (d *dcr) checkOpen() error {
	d.trace.Begin("switch", "registration", "the bank's configuration", nil)
	if d.options.RegistrationClosed {
		return verify.Refuse(verify.AccessDenied, "registration", "registration: this server takes no new clients; registered ones go on")
	}
	return nil
}

// longestClientID is what DCR v3.2 allows (OBClientRegistration1).
const longestClientID = 36

// warn notes what is allowed but will surprise somebody.
func (d *dcr) warn(c *registry.Client) {
	switch {
	case !slices.Contains(c.Metadata.GrantTypes, "client_credentials"):
		d.note("warning", "without the grant client_credentials the client cannot manage its registration")
	case len(c.ClientID) > longestClientID || url.PathEscape(c.ClientID) != c.ClientID:
		d.note("warning", "conformance tools refuse a client_id of more than 36 characters, or one that a path must escape")
	}
}

func (d *dcr) read(id string) error {
	c, err := d.client(id)
	if err != nil {
		return err
	}
	if err := d.judgeRegistered(verify.OperationRead, c); err != nil {
		return err
	}
	d.beginRegistry()
	return d.show(http.StatusOK, c)
}

// show answers with a client as it is registered now.
func (d *dcr) show(status int, c *registry.Client) error {
	access, secret := d.registrationAccess(c), c.NewSecret
	c, request, err := d.store.Document(d.r.Context(), c)
	if err != nil {
		return err
	}
	raw, claims, err := c.Statement(request)
	if err != nil {
		return err
	}
	c.NewSecret = secret
	var stored verify.Object
	if d.options.AnswerRequestClaims {
		if stored, err = verify.StoredClaims(request); err != nil {
			return err
		}
	}
	d.answer(status, d.withRequestClaims(registrationJSON(d.options.Version, c, access, raw, claims), stored))
	return nil
}

func (d *dcr) update(id string) error {
	c, err := d.client(id)
	if err != nil {
		return err
	}
	if err := d.checkMediaType(); err != nil {
		return err
	}
	in, err := d.verifyBody(c)
	if err != nil {
		return err
	}
	c, err = d.decided(c, in, func(in registry.Registration) (*registry.Client, error) {
		return d.store.Update(d.r.Context(), d.options.Workspace, c.ClientID, in)
	})
	if err != nil {
		return err
	}
	d.answer(http.StatusOK, d.withRequestClaims(registrationJSON(d.options.Version, c, d.registrationAccess(c), in.Request.Statement.Raw, in.Request.Statement.Claims), in.Request.Claims))
	return nil
}

func (d *dcr) delete(id string) error {
	c, err := d.client(id)
	if err != nil {
		return err
	}
	if err := d.judgeRegistered(verify.OperationDelete, c); err != nil {
		return err
	}
	d.beginRegistry()
	presented, err := d.presented(c)
	if err != nil {
		return err
	}
	presented.Origin = d.origin()
	if err := d.store.Delete(d.r.Context(), d.options.Workspace, c.ClientID, presented); err != nil {
		return err
	}
	d.answer(http.StatusNoContent, nil)
	return nil
}

// checkMediaType looks at the declared size and type of a body that is not read yet.
func (d *dcr) checkMediaType() error {
	d.trace.Begin("request", "media_type", "DCR 3.2, RFC 9110 8.3", d.r.Header["Content-Type"])
	if d.r.ContentLength > verify.MaxRequest {
		return errTooLargeRequest()
	}
	accepted, what := d.options.Version.MediaTypes(), "a signed request (compact JWS)"
	if d.options.Rules.Unsigned {
		accepted, what = []string{"application/json"}, "the client's metadata"
	}
	if encodings := d.r.Header["Content-Encoding"]; len(encodings) > 0 {
		return verify.Refuse(verify.UnsupportedMediaType, "content_encoding", "Content-Encoding: %s; send %s as it is, without this header", verify.Quote(strings.Join(encodings, ", ")), what)
	}
	if !slices.Contains(accepted, mediaType(d.r)) {
		return verify.Refuse(verify.UnsupportedMediaType, "media_type", "Content-Type: %s; send %s as %s", verify.Quote(d.r.Header.Get("Content-Type")), what, accepted[0])
	}
	return nil
}

func errTooLargeRequest() error {
	return verify.Refuse(verify.TooLarge, "size", "the registration request is larger than the %d bytes that are read; send less", verify.MaxRequest)
}

// verifyBody is protections 3 and 4, and the rule table. c is the client of a PUT, nil
// for a POST.
func (d *dcr) verifyBody(c *registry.Client) (*registry.Registration, error) {
	d.trace.Begin("request", "size", "", nil)
	raw, err := readBody(d.w, d.r, verify.MaxRequest)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, errTooLargeRequest()
	case err != nil:
		return nil, verify.Refuse(verify.InvalidClientMetadata, "body", "the registration request did not arrive whole in time; send it again").Because(err)
	}
	d.trace.Begin("authorization_server", "discovery", "RFC 8414 3", nil)
	metadata, err := d.options.Server.Metadata(d.r.Context())
	if err != nil {
		return nil, err
	}
	rules := d.options.Rules
	rules.Epoch = epochOf(d.store)
	rules.Audiences = append(rules.Audiences[:len(rules.Audiences):len(rules.Audiences)], metadata.Issuer)
	request, err := verify.VerifyRequest(d.r.Context(), raw, &rules, d.now())
	if request != nil && request.KeyID != "" {
		d.note("kid", verify.Shown(request.KeyID))
	}
	if request != nil && request.Statement != nil && c == nil {
		d.note("software_id", request.Statement.SoftwareID)
		d.note("org_id", request.Statement.OrgID)
	}
	if err != nil {
		return nil, err
	}
	// Without the software's signature anybody who has its statement could use up its rate.
	if s := request.Statement; c == nil && !rules.Unsigned && !s.None {
		if err := d.options.Limits.takeOf(s.Issuer.Name, s.SoftwareID, s.OrgID, d.cert.Holder(), d.now()); err != nil {
			return nil, err
		}
	}
	var registered *verify.Registered
	if c != nil {
		registered = &verify.Registered{ClientID: c.ClientID, SoftwareID: c.SoftwareID, OrgID: c.OrgID}
	}
	checked, err := verify.CheckMetadata(d.r.Context(), verify.MetadataInput{
		Request: request, Certificate: d.cert, Acceptable: metadata.Acceptable, Registered: registered, Bind: d.options.BindCertificate,
		Trust: d.publishedTrust, Now: d.now(),
	})
	if err != nil {
		return nil, err
	}
	return &registry.Registration{Request: request, Checked: checked, Certificate: d.cert, Token: d.token, Spent: d.spent}, nil
}
