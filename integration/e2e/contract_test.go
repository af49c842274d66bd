package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/contract"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// specifications is where the official files are, beside the repository.
func specifications() string { return filepath.Join(checkout.Root(), "..", "shared", "spec") }

// TestContract holds answers to everything that TPPs ask for against the official
// OpenAPI files, each version served as itself.
func TestContract(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{gateway.Unlimited}}))
	for _, version := range contract.Versions {
		t.Run(version, func(t *testing.T) {
			reload(t, p, gateway.Workspace("version "+version, secretWords))
			c := &contractor{t: t, p: p, version: version, register: p.Issuer + "/openbankinguk/dcr/v" + version + "/register"}
			var err error
			if c.spec, err = contract.Open(specifications(), version); errors.Is(err, os.ErrNotExist) {
				t.Logf("left out: answers against the official OpenAPI file of v%s, which is not in %s", version, specifications()) // make test says so too
			} else if err != nil {
				t.Fatal(err)
			}
			c.lives()
			c.names()
			c.refusals()
			c.switches()
			if c.spec == nil {
				return
			}
			for _, f := range c.spec.Forgotten() {
				t.Error(f)
			}
		})
	}
}

// TestContractWithRequestClaims holds registrations against the official files as they are,
// with answer_request_claims: none of the claims that they require is missing, and each is that
// of the request which the client is registered with.
func TestContractWithRequestClaims(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{gateway.Unlimited}}))
	for _, version := range contract.Versions {
		t.Run(version, func(t *testing.T) {
			reload(t, p, gateway.Workspace("version "+version, "answer_request_claims", "reregister return", secretWords))
			c := &contractor{t: t, p: p, version: version, register: p.Issuer + "/openbankinguk/dcr/v" + version + "/register"}
			var err error
			if c.spec, err = contract.Open(specifications(), version); err == nil {
				c.spec.RequestClaims = true
			} else if !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			c.lives()
			c.claims()
		})
	}
}

// claims are those of the request in the answers to POST, its repetition, GET and PUT.
func (c *contractor) claims() {
	token, body, err := c.p.Prepare(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	same := func(name string, r *tpp.Response, body string) {
		c.t.Helper()
		claims, err := verify.StoredClaims([]byte(body))
		if err != nil {
			c.t.Fatal(err)
		}
		for _, claim := range []string{"iss", "iat", "exp", "aud", "jti"} {
			var want any
			if err := json.Unmarshal(claims.Raw(claim), &want); err != nil || r.JSON[claim] != want {
				c.t.Errorf("%s: %s is %v, want %v, %v", name, claim, r.JSON[claim], want, err)
			}
		}
	}
	post := story.Call{Method: "POST", URL: c.register, As: c.p.Acme, Token: token, Body: body}
	made := c.check("POST", post, 201)
	same("POST", made, body)
	same("POST once more", c.check("POST once more", post, 201), body)
	id := made.Text("client_id")
	own, err := c.p.Client(c.p.Acme).Token(c.t.Context(), c.p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
	if err != nil || own.Status != http.StatusOK {
		c.t.Fatalf("got %v, %v, want 200", own, err)
	}
	read := story.Call{Method: "GET", URL: c.register + "/" + id, As: c.p.Acme, Token: own.Text("access_token")}
	same("GET", c.check("GET", read, 200), body)
	put := read
	put.Method, put.Body = "PUT", c.body(nil)
	same("PUT", c.check("PUT", put, 200), put.Body)
	same("GET after PUT", c.check("GET after PUT", read, 200), put.Body)
	gone := read
	gone.Method = "DELETE"
	c.check("DELETE", gone, 204)
}

// contractor makes calls and holds their answers against a specification, nil
// when its file is not there.
type contractor struct {
	t        *testing.T
	p        *story.Play
	spec     *contract.Specification
	version  string
	register string
}

// check makes a call that must be answered with a status. What holds of every
// answer is held by the stage.
func (c *contractor) check(name string, call story.Call, status int) *tpp.Response {
	c.t.Helper()
	r, err := c.p.Make(c.t.Context(), call)
	return c.hold(name, call, r, err, status)
}

// hold holds the answer to a call.
func (c *contractor) hold(name string, call story.Call, r *tpp.Response, err error, status int) *tpp.Response {
	c.t.Helper()
	if err != nil || r.Status != status {
		c.t.Fatalf("%s: %v, %v, want %d", name, r, err, status)
	}
	if c.spec == nil {
		return r
	}
	_, id, _ := strings.Cut(strings.TrimPrefix(call.URL, c.register), "/")
	for _, v := range c.spec.Check(contract.Answer{Method: call.Method, Client: id, Status: r.Status, Header: r.Header, Body: r.Body}) {
		c.t.Errorf("%s: %s\n%s", name, v, r)
	}
	return r
}

// post registers Acme with other claims.
func (c *contractor) post(name string, overrides map[string]any, status int) *tpp.Response {
	c.t.Helper()
	token, _, err := c.p.Prepare(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return c.check(name, story.Call{Method: "POST", URL: c.register, As: c.p.Acme, Token: token, Body: c.body(overrides)}, status)
}

func (c *contractor) body(overrides map[string]any) string {
	c.t.Helper()
	body, err := c.p.Acme.Request(overrides)
	if err != nil {
		c.t.Fatal(err)
	}
	return body
}

// lives are registrations of every kind, each through its whole life.
func (c *contractor) lives() {
	jwt := map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil}
	kinds := map[string]map[string]any{
		"usual": nil, "captured DN": {"tls_client_auth_subject_dn": nil}, "private_key_jwt": jwt,
		"little": {"response_types": nil, "scope": nil, "redirect_uris": nil, "software_id": nil, "tls_client_auth_subject_dn": nil},
		"much":   {"response_types": []string{"code", "code id_token"}, "token_endpoint_auth_signing_alg": "ES256", "client_id": "wish"},
		"native": {"application_type": "native"}, "no code": {"grant_types": []string{"client_credentials"}, "response_types": []string{}},
	}
	if mobile := map[string]any{"application_type": "mobile"}; c.version != "3.4" {
		kinds["mobile"] = mobile
	} else {
		c.post("mobile", mobile, 400)
	}
	grants := []string{"authorization_code", "client_credentials", "refresh_token"}
	if c.version != "3.2" {
		ciba := map[string]any{"grant_types": append(slices.Clone(grants), "urn:openid:params:grant-type:ciba"), "backchannel_token_delivery_mode": "poll", "backchannel_authentication_request_signing_alg": "PS256"}
		ping := maps.Clone(ciba)
		ping["backchannel_token_delivery_mode"], ping["backchannel_client_notification_endpoint"], ping["backchannel_user_code_parameter_supported"] = "ping", "https://tpp.example/ciba", false
		kinds["CIBA poll"], kinds["CIBA ping"] = ciba, ping
	}
	for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"} {
		kinds[method] = map[string]any{"token_endpoint_auth_method": method, "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil}
	}
	if c.version == "3.4" {
		kinds["jwt-bearer"] = map[string]any{"grant_types": append(slices.Clone(grants), "urn:ietf:params:oauth:grant-type:jwt-bearer")}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		r := c.post(name, kinds[name], 201)
		id := r.Text("client_id")
		for claim, want := range kinds[name] {
			if got := r.JSON[claim]; want != nil && claim != "client_id" && fmt.Sprint(got) != fmt.Sprint(want) {
				c.t.Errorf("%s: %s is %v, want %v", name, claim, got, want)
			}
		}
		own := c.token(name, id, r.Text("client_secret"))
		one := story.Call{URL: c.register + "/" + id, As: c.p.Acme, Token: own.Text("access_token")}
		read, put, gone := one, one, one
		read.Method, put.Method, gone.Method = "GET", "PUT", "DELETE"
		put.Body = c.body(kinds[name])
		if name == "much" { // its client_id was a wish
			put.Body = c.body(nil)
		}
		c.check(name+", read", read, 200)
		c.check(name+", changed", put, 200)
		put.Body = c.body(map[string]any{"response_types": []string{"token"}})
		c.check(name+", changed badly", put, 400)
		c.check(name+", deleted", gone, 204)
		c.check(name+", read when it is gone", read, 401)
	}
}

// token is one for a client that lives.
func (c *contractor) token(kind, id, secret string) *tpp.Response {
	c.t.Helper()
	endpoint := c.p.Endpoint("token_endpoint")
	if secret != "" {
		own := secretToken(c.t, c.p.Client(c.p.Acme), endpoint, kind, id, secret, nil)
		if own.Status != http.StatusOK {
			c.t.Fatalf("%s: %v, want 200", kind, own)
		}
		return own
	}
	auth := tpp.TLSClientAuth(id)
	if kind == "private_key_jwt" {
		auth = c.p.Acme.PrivateKeyJWT(id, c.p.Issuer)
	}
	own, err := c.p.Client(c.p.Acme).Token(c.t.Context(), endpoint, tpp.ClientCredentials(""), auth)
	if err != nil || own.Status != http.StatusOK {
		c.t.Fatalf("%s: %v, %v, want 200", kind, own, err)
	}
	return own
}
