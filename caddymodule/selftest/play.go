package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// play is what is tried of one workspace.
type play struct {
	*workspace
	report  *Report
	tell    func(string)
	clients *clients

	home *directory
	// acme is the TPP of the story, other another one with a key of its own. Both stay
	// registered for the hostile requests.
	acme, other *client
	// byMethod are acme and the clients of the other methods.
	byMethod map[string]*client
	// foreign is a CA that the site does not trust, stranger a key of no directory.
	foreign  *authority
	stranger *signingKey
	// token and body are of a registration that would be accepted.
	token string
	// last is the newest reply, for the details of a row.
	last *reply
}

// client is a registered client.
type client struct {
	*software
	id, method, secret string
	// accessToken is its registration access token, empty where there is none.
	accessToken string
	// used is the request that registered it.
	usedToken, usedBody string
}

func newPlay(w *workspace, report *Report) *play {
	p := &play{workspace: w, report: report, byMethod: map[string]*client{}, clients: &clients{run: w.rewriting, kept: map[clientOf]*http.Client{}}}
	if h := w.ClientCertificateHeader; h != nil {
		if header, err := verify.NewCertificateHeader(h.Form, http.CanonicalHeaderKey(h.Name)); err == nil {
			p.clients.header = &header
		}
	}
	return p
}

// run plays the story, then the hostile requests, and the end of the story.
func (p *play) run(ctx context.Context) (err error) {
	if p.home, err = p.directory(); err != nil {
		return err
	}
	if err := p.playStory(ctx); err != nil {
		return err
	}
	if p.acme == nil {
		p.leaveOutAll("no client could be registered: see the rows of the story")
	} else if err := p.tryAll(ctx); err != nil {
		return err
	}
	return p.finish(ctx)
}

// call makes a call as the workspace's clients do. The error is that of ctx.
func (p *play) call(ctx context.Context, q call) (*reply, error) {
	if q.host == "" {
		q.host = p.certificateHost
	}
	if q.server == "" {
		q.server = p.server
	}
	r, err := p.clients.do(ctx, q)
	p.last = r
	return r, err
}

// row notes what came of a row.
func (p *play) row(kind, name, clause, expected string, r *reply, err error, ok bool, details ...string) {
	row := Row{Workspace: p.Workspace, Kind: kind, Name: name, Clause: clause, Expected: expected, Got: got(r, err), OK: ok}
	if !ok {
		row.Details = slices.Concat(atMost(details, mostDetails), p.details(r))
	}
	p.report.Rows = append(p.report.Rows, row)
}

// mostDetails bounds what is said of one row.
const mostDetails = 6

// atMost is a list without repetitions, of some length.
func atMost(list []string, most int) (out []string) {
	for _, one := range list {
		if !slices.Contains(out, one) && len(out) < most {
			out = append(out, one)
		}
	}
	return out
}

// got is a reply in words.
func got(r *reply, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case r == nil:
		return "nothing"
	case r.handshake != nil:
		return refusedHandshake
	case r.text("error") != "":
		return strconv.Itoa(r.status) + " " + r.text("error")
	}
	return strconv.Itoa(r.status)
}

const refusedHandshake = "refused in the TLS handshake"

// details are what a TPP was told, and what the gateway's log says of the request.
func (p *play) details(r *reply) (list []string) {
	if r == nil || r.handshake != nil {
		return nil
	}
	if text := r.text("error_description"); text != "" {
		list = append(list, "the answer says: "+text)
	}
	code := r.header.Get("X-Fapi-Interaction-Id")
	if _, err := uuid.Parse(code); err != nil {
		return list
	}
	text, err := os.ReadFile(p.rewriting.logFile())
	if err != nil {
		return list
	}
	for line := range strings.Lines(string(text)) {
		var entry map[string]any
		if !strings.Contains(line, code) || json.Unmarshal([]byte(line), &entry) != nil || len(list) > 3 {
			continue
		}
		list = append(list, "the log says: "+logged(entry))
	}
	return list
}

// logged is a line of the log without what each line has.
func logged(entry map[string]any) string {
	text, _ := entry["msg"].(string)
	for _, name := range []string{"level", "ts", "logger", "msg"} {
		delete(entry, name)
	}
	rest, _ := json.Marshal(entry)
	return text + " " + string(rest)
}

// leaveOut notes a row that the configuration does not have.
func (p *play) leaveOut(name, reason string) {
	p.report.LeftOut = append(p.report.LeftOut, LeftOut{p.Workspace, name, reason})
}

// claims are those of a registration request that is to be accepted.
func (p *play) claims(s *software, method string) map[string]any {
	now := time.Now()
	life := 5 * time.Minute
	if most := time.Duration(p.MaxLifetime); most > 0 {
		life = min(life, most)
	}
	audience := p.issuer
	if len(p.Audience) > 0 {
		audience = p.Audience[0]
	}
	algorithm := p.accept.IDTokenAlgs[0]
	claims := map[string]any{
		"iss": s.id, "aud": audience, "iat": now.Unix(), "exp": now.Add(life).Unix(), "jti": uuid.NewString(),
		"software_id": s.id, "redirect_uris": []string{redirectURI}, "token_endpoint_auth_method": method,
		"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}, "response_types": []string{"code id_token"},
		"application_type": "web", "id_token_signed_response_alg": algorithm, "request_object_signing_alg": algorithm, "scope": p.scope(),
	}
	if p.IssuerClaim != "" {
		claims["iss"] = s.statementClaims(p.roles())[p.IssuerClaim]
	}
	switch method {
	case "tls_client_auth":
		claims["tls_client_auth_subject_dn"] = s.dn
	case "private_key_jwt":
		claims["token_endpoint_auth_signing_alg"] = algorithm
	case "client_secret_jwt":
		claims["token_endpoint_auth_signing_alg"] = "HS256"
	}
	return claims
}

// signer is the key that signs a software's requests.
func (p *play) signer(s *software) *signingKey {
	if p.bodyKey != nil {
		return p.bodyKey
	}
	return s.signing
}

// bearer are the headers of a request with a token; none where it is empty.
func bearer(token string) http.Header {
	h := http.Header{"Accept": {"application/json"}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return h
}

// authenticated is the form with which a client asks an endpoint of the AS.
func (p *play) authenticated(c *client, form url.Values) (url.Values, http.Header, error) {
	h := http.Header{"Content-Type": {formType}, "Accept": {"application/json"}}
	switch c.method {
	case "tls_client_auth":
		form.Set("client_id", c.id)
	case "client_secret_basic":
		request := http.Request{Header: h}
		request.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
	case "client_secret_post":
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret)
	default:
		key := c.signing
		if c.method == "client_secret_jwt" {
			key = &signingKey{"", verify.SecretAlgorithm, []byte(c.secret)}
		}
		assertion, err := p.assertion(c.id, key, nil)
		if err != nil {
			return nil, nil, err
		}
		form.Set("client_id", c.id)
		form.Set("client_assertion", assertion)
		form.Set("client_assertion_type", assertionType)
	}
	return form, h, nil
}

const (
	formType      = "application/x-www-form-urlencoded"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// assertion is one of a client (RFC 7523). change sets claims; nil takes one away.
func (p *play) assertion(id string, key *signingKey, change map[string]any) (string, error) {
	now := time.Now()
	claims := map[string]any{"iss": id, "sub": id, "aud": p.issuer, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	header := map[string]any{}
	if key.id == "" {
		header["kid"] = nil
	}
	return key.sign(claims, header)
}

// clientToken is a new token of a client, through the gateway.
func (p *play) clientToken(ctx context.Context, c *client) (*reply, error) {
	form, header, err := p.authenticated(c, url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}})
	if err != nil {
		return nil, err
	}
	return p.call(ctx, call{method: http.MethodPost, path: p.as.at("token_endpoint"), certificate: c.transport, header: header, body: []byte(form.Encode())})
}

// managementToken is one with which a client manages its registration.
func (p *play) managementToken(ctx context.Context, c *client) (string, error) {
	r, err := p.clientToken(ctx, c)
	if err != nil {
		return "", err
	}
	if token := r.text("access_token"); token != "" {
		return token, nil
	}
	// The row of its token says what is wrong: here it is about what the token is good for.
	return p.as.issue(c.id, "openid", nil, nil)
}

// interrupted tells what ends a play from what is wrong with a row.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, errAnswer) {
		return err
	}
	return nil
}
