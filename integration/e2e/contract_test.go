package e2e_test

import (
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
	"github.com/caddy-dcr/caddy-dcr/integration/contract"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// specifications is where the official files are, beside the repository.
func specifications() string { return filepath.Join(gateway.Root(), "..", "shared", "spec") }

// TestContract holds answers to everything that TPPs ask for against the official
// OpenAPI files, each version served as itself.
func TestContract(t *testing.T) {
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Replace: []gateway.Replacement{gateway.Unlimited}}))
	for _, version := range contract.Versions {
		t.Run(version, func(t *testing.T) {
			reload(t, p, "version "+version)
			c := &contractor{t: t, p: p, register: p.Issuer + "/openbankinguk/dcr/v" + version + "/register"}
			var err error
			if c.spec, err = contract.Open(specifications(), version); errors.Is(err, os.ErrNotExist) {
				t.Logf("left out: answers against the official OpenAPI file of v%s, which is not in %s", version, specifications()) // make test says so too
			} else if err != nil {
				t.Fatal(err)
			}
			c.lives(version)
			c.refusals()
			if c.spec == nil {
				return
			}
			for _, f := range c.spec.Forgotten() {
				t.Error(f)
			}
		})
	}
}

// contractor makes calls and holds their answers against a specification, nil
// when its file is not there.
type contractor struct {
	t        *testing.T
	p        *story.Play
	spec     *contract.Specification
	register string
}

// check makes a call that must be answered with a status.
func (c *contractor) check(name string, call story.Call, status int) *tpp.Response {
	c.t.Helper()
	r, err := c.p.Make(c.t.Context(), call)
	if err != nil || r.Status != status {
		c.t.Fatalf("%s: %v, %v, want %d", name, r, err, status)
	}
	if status != http.StatusNoContent && r.JSON == nil {
		c.t.Errorf("%s: no JSON: %v", name, r)
	}
	for header, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache"} {
		if got := r.Header.Get(header); got != want {
			c.t.Errorf("%s: %s is %q", name, header, got)
		}
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
func (c *contractor) lives(version string) {
	jwt := map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil}
	kinds := map[string]map[string]any{
		"usual": nil, "captured DN": {"tls_client_auth_subject_dn": nil}, "private_key_jwt": jwt,
		"little": {"response_types": nil, "scope": nil, "redirect_uris": nil, "software_id": nil, "tls_client_auth_subject_dn": nil},
		"much":   {"response_types": []string{"code", "code id_token"}, "token_endpoint_auth_signing_alg": "ES256", "client_id": "wish"},
		"native": {"application_type": "native"}, "mobile": {"application_type": "mobile"},
	}
	grants := []string{"authorization_code", "client_credentials", "refresh_token"}
	if version != "3.2" {
		ciba := map[string]any{"grant_types": append(slices.Clone(grants), "urn:openid:params:grant-type:ciba"), "backchannel_token_delivery_mode": "poll", "backchannel_authentication_request_signing_alg": "PS256"}
		ping := maps.Clone(ciba)
		ping["backchannel_token_delivery_mode"], ping["backchannel_client_notification_endpoint"], ping["backchannel_user_code_parameter_supported"] = "ping", "https://tpp.example/ciba", false
		kinds["CIBA poll"], kinds["CIBA ping"] = ciba, ping
	}
	if version == "3.4" {
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
		if name == "private_key_jwt" {
			continue // its token needs an assertion; the answers are the same
		}
		token, err := c.p.ClientToken(c.t.Context(), c.p.Acme, id)
		if err != nil {
			c.t.Fatal(err)
		}
		one := story.Call{URL: c.register + "/" + id, As: c.p.Acme, Token: token}
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

// refusals are answers of every status and code that the endpoint has.
func (c *contractor) refusals() {
	for name, row := range map[string]struct {
		overrides map[string]any
		code      string
	}{
		"a bad claim":        {map[string]any{"grant_types": []string{"implicit"}}, "invalid_client_metadata"},
		"a bad redirect URI": {map[string]any{"redirect_uris": []string{"https://evil.example/"}}, "invalid_redirect_uri"},
		"no statement":       {map[string]any{"software_statement": "x.y.z"}, "invalid_software_statement"},
	} {
		if r := c.post(name, row.overrides, 400); r.Text("error") != row.code {
			c.t.Errorf("%s: %v", name, r)
		}
	}
	stranger, err := c.p.Stranger.Request(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	other, err := directory.NewKey("PS256")
	if err != nil {
		c.t.Fatal(err)
	}
	claims, err := c.p.Acme.RequestClaims(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	forged, err := other.Sign(claims, map[string]any{"kid": c.p.Acme.Signing.ID})
	if err != nil {
		c.t.Fatal(err)
	}
	token, _, err := c.p.Prepare(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	good := story.Call{Method: "POST", URL: c.register, As: c.p.Acme, Token: token, Body: c.body(nil)}
	for name, row := range map[string]struct {
		change func(*story.Call)
		status int
	}{
		"unknown directory": {func(x *story.Call) { x.Body = stranger }, 400},
		"another key":       {func(x *story.Call) { x.Body = forged }, 400},
		"not a JWS":         {func(x *story.Call) { x.Body = "x" }, 400},
		"no certificate":    {func(x *story.Call) { x.As = nil }, 401},
		"no token":          {func(x *story.Call) { x.Token = "" }, 401},
		"bad token":         {func(x *story.Call) { x.Token = "x" }, 401},
		"another method":    {func(x *story.Call) { x.Method, x.Body = "GET", "" }, 405},
		"too large":         {func(x *story.Call) { x.Body = strings.Repeat("a", 1<<17) }, 413},
		"media type":        {func(x *story.Call) { x.ContentType = "application/json" }, 415},
		"unknown client":    {func(x *story.Call) { x.Method, x.Body, x.URL = "GET", "", x.URL+"/nobody" }, 401},
		"unknown, changed":  {func(x *story.Call) { x.Method, x.URL = "PUT", x.URL+"/nobody" }, 401},
		"unknown, deleted":  {func(x *story.Call) { x.Method, x.Body, x.URL = "DELETE", "", x.URL+"/nobody" }, 401},
	} {
		call := good
		row.change(&call)
		c.check(name, call, row.status)
	}
}
