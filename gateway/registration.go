package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// serveRegistration is the DCR endpoint: POST without a client_id, GET, PUT and
// DELETE with one.
func (q *request) serveRegistration(id string) {
	allow, operation, o := "POST", "register", q.options()
	if id != "" {
		allow, operation = strings.Join(o.Methods, ", "), map[string]string{"GET": "read", "PUT": "update", "DELETE": "delete"}[q.r.Method]
	}
	if id == "" && q.r.Method != http.MethodPost || operation == "" || id != "" && o.MethodNotAllowed && !slices.Contains(o.Methods, q.r.Method) {
		q.w.Header().Set("Allow", allow)
		q.refuse("method", refusal.New(refusal.MethodNotAllowed, "method", "method: not one of this address; it takes %s", cmp.Or(allow, "no method")))
		return
	}
	q.operation = operation
	if _, err := q.enter(); err != nil {
		q.refuse(operation, err)
		return
	}
	q.r = q.r.WithContext(authserver.WithSupportCode(q.r.Context(), q.supportCode()))
	d := q.registrationRequest()
	if q.gateway.traces() {
		d.record()
	}
	var err error
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
		q.refuse(operation, err)
	} else if d.managed != "" && operation != "delete" {
		q.markUsed(d.managed)
	}
	d.keep(err)
}

// registrationRequest is one DCR request at work. Every step decides; only the registry
// changes anything.
type registrationRequest struct {
	request *request
	options *Options
	store   *registry.Registry
	cert    *verify.Certificate
	token   *verify.AccessToken
	// spent is why the AS refused token, see spentToken.
	spent error
	// accessToken is the registration access token of the request, where it came with one.
	accessToken string
	// objections are what policies in shadow have against the request.
	objections []registry.Objection
	// managed is the client_id of the client that manages its registration; empty for a POST.
	managed string
	// explains: nothing is done, and nobody told.
	explains bool
}

func (q *request) registrationRequest() *registrationRequest {
	return &registrationRequest{request: q, options: q.options(), store: q.store}
}

func (d *registrationRequest) now() time.Time { return d.request.gateway.now() }

func (d *registrationRequest) register() error {
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
		return d.store.Register(d.request.r.Context(), d.options.Workspace, in)
	})
	if err != nil {
		return err
	}
	d.request.note("client_id", c.ClientID)
	d.request.note("token_endpoint_auth", c.TokenEndpointAuth())
	d.warn(c)
	d.awaits(c)
	if c.Repeated {
		d.request.note("reregister", d.options.Workspace.Reregister.Mode)
		return d.show(http.StatusCreated, c)
	}
	d.request.answer(http.StatusCreated, d.request.gateway.withRequestClaims(registrationJSON(d.options.Version, c, d.registrationAccess(c), in.Request.Statement.Raw, in.Request.Statement.Claims), in.Request.Claims))
	return nil
}

// checkOpen refuses new clients where the operator takes none.
func (d *registrationRequest) checkOpen() error {
	d.request.trace.Begin("switch", "registration", "the bank's configuration", nil)
	if d.options.RegistrationClosed {
		return refusal.New(refusal.AccessDenied, "registration", "registration: this server takes no new clients; registered ones go on")
	}
	return nil
}

// longestClientID is what DCR v3.2 allows (OBClientRegistration1).
const longestClientID = 36

// warn notes what is allowed but will surprise somebody.
func (d *registrationRequest) warn(c *registry.Client) {
	switch {
	case !slices.Contains(c.Metadata.GrantTypes, "client_credentials"):
		d.request.note("warning", "without the grant client_credentials the client cannot manage its registration")
	case len(c.ClientID) > longestClientID || url.PathEscape(c.ClientID) != c.ClientID:
		d.request.note("warning", "conformance tools refuse a client_id of more than 36 characters, or one that a path must escape")
	}
}

func (d *registrationRequest) read(id string) error {
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
func (d *registrationRequest) show(status int, c *registry.Client) error {
	access, secret := d.registrationAccess(c), c.NewSecret
	c, request, err := d.store.Document(d.request.r.Context(), c)
	if err != nil {
		return err
	}
	raw, claims, err := c.Statement(request)
	if err != nil {
		return err
	}
	c.NewSecret = secret
	var stored strictjson.Object
	if d.options.AnswerRequestClaims && request != nil {
		if stored, err = verify.StoredClaims(request); err != nil {
			return err
		}
	}
	d.request.answer(status, d.request.gateway.withRequestClaims(registrationJSON(d.options.Version, c, access, raw, claims), stored))
	return nil
}

func (d *registrationRequest) update(id string) error {
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
		return d.store.Update(d.request.r.Context(), d.options.Workspace, c.ClientID, in)
	})
	if err != nil {
		return err
	}
	d.awaits(c)
	d.request.answer(http.StatusOK, d.request.gateway.withRequestClaims(registrationJSON(d.options.Version, c, d.registrationAccess(c), in.Request.Statement.Raw, in.Request.Statement.Claims), in.Request.Claims))
	return nil
}

func (d *registrationRequest) delete(id string) error {
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
	if err := d.store.Delete(d.request.r.Context(), d.options.Workspace, c.ClientID, presented); err != nil {
		return err
	}
	d.request.answer(http.StatusNoContent, nil)
	return nil
}

// checkMediaType looks at the declared size and type of a body that is not read yet.
func (d *registrationRequest) checkMediaType() error {
	d.request.trace.Begin("request", "media_type", "DCR 3.2, RFC 9110 8.3", d.request.r.Header["Content-Type"])
	if d.request.r.ContentLength > verify.MaxRequest {
		return errTooLargeRequest()
	}
	accepted, what := d.options.Version.MediaTypes(), "a signed request (compact JWS)"
	if d.options.Rules.Unsigned {
		accepted, what = []string{"application/json"}, "the client's metadata"
	}
	if encodings := d.request.r.Header["Content-Encoding"]; len(encodings) > 0 {
		return refusal.New(refusal.UnsupportedMediaType, "content_encoding", "Content-Encoding: %s; send %s as it is, without this header", refusal.Quote(strings.Join(encodings, ", ")), what)
	}
	if !slices.Contains(accepted, mediaType(d.request.r)) {
		return refusal.New(refusal.UnsupportedMediaType, "media_type", "Content-Type: %s; send %s as %s", refusal.Quote(d.request.r.Header.Get("Content-Type")), what, accepted[0])
	}
	return nil
}

func errTooLargeRequest() error {
	return refusal.New(refusal.TooLarge, "size", "the registration request is larger than the %d bytes that are read; send less", verify.MaxRequest)
}

// verifyBody is protections 3 and 4, and the rule table. c is the client of a PUT, nil
// for a POST.
func (d *registrationRequest) verifyBody(c *registry.Client) (*registry.Registration, error) {
	d.request.trace.Begin("request", "size", "", nil)
	raw, err := readBody(d.request.w, d.request.r, verify.MaxRequest)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, errTooLargeRequest()
	case err != nil:
		return nil, refusal.New(refusal.InvalidClientMetadata, "body", "the registration request did not arrive whole in time; send it again").Because(err)
	}
	d.request.trace.Begin("authorization_server", "discovery", "RFC 8414 3", nil)
	metadata, err := d.options.Server.Metadata(d.request.r.Context())
	if err != nil {
		return nil, err
	}
	rules := d.options.Rules
	rules.Epoch = epochOf(d.store)
	rules.Audiences = append(rules.Audiences[:len(rules.Audiences):len(rules.Audiences)], metadata.Issuer)
	request, err := verify.VerifyRequest(d.request.r.Context(), raw, &rules, d.now())
	if request != nil && request.KeyID != "" {
		d.request.note("kid", refusal.ForLog(request.KeyID))
	}
	if request != nil && request.Statement != nil && c == nil {
		d.request.note("software_id", request.Statement.SoftwareID)
		d.request.note("org_id", request.Statement.OrgID)
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
	checked, err := verify.CheckMetadata(d.request.r.Context(), verify.MetadataInput{
		Request: request, Certificate: d.cert, Supported: metadata.Supported, Registered: registered, Bind: d.options.BindCertificate,
		Trust: d.publishedTrust, Now: d.now(),
	})
	if err != nil {
		return nil, err
	}
	return &registry.Registration{Request: request, Checked: checked, Certificate: d.cert, Token: d.token, Spent: d.spent}, nil
}
