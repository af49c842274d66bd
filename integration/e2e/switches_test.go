package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestSwitches: what an operator switches off is off, for everybody and at once,
// and what is registered goes on.
func TestSwitches(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	client := p.Client(p.Acme)
	id, token := registered(t, p)
	body := func() string {
		b, err := p.Acme.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	t.Run("registration off", func(t *testing.T) {
		reload(t, p, gateway.Workspace("registration off"))
		registration, request, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Register(t.Context(), p.Register, registration, request)
		answered(t, r, err, 403, "access_denied")
		if r, err = client.Discover(t.Context(), p.Issuer); err != nil || r.JSON["registration_endpoint"] != nil || r.Text("token_endpoint") == "" {
			t.Errorf("discovery: got %v, %v, want no registration_endpoint, and a token_endpoint", r, err)
		}
		r, err = client.Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 200, "")
		r, err = client.Update(t.Context(), p.Register, id, token, body())
		answered(t, r, err, 200, "")
		reload(t, p)
		r, err = client.Register(t.Context(), p.Register, registration, request) // nothing was burnt
		answered(t, r, err, 201, "")
	})
	t.Run("management GET", func(t *testing.T) {
		reload(t, p, gateway.Workspace("management GET"))
		r, err := client.Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 200, "")
		r, err = client.Update(t.Context(), p.Register, id, token, body())
		answered(t, r, err, 403, "access_denied")
		r, err = client.Delete(t.Context(), p.Register, id, token)
		answered(t, r, err, 403, "access_denied")
		r, err = client.Delete(t.Context(), p.Register, id, "not-a-token")
		answered(t, r, err, 401, "invalid_token")
		r, err = p.Client(p.Other).Delete(t.Context(), p.Register, id, token)
		answered(t, r, err, 401, "invalid_token")
	})
	t.Run("management off", func(t *testing.T) {
		reload(t, p, gateway.Workspace("management off"))
		r, err := client.Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 403, "access_denied")
	})
	t.Run("management GET, method_not_allowed", func(t *testing.T) {
		reload(t, p, gateway.Workspace("management GET PUT {", "\tmethod_not_allowed", "}"))
		r, err := client.Delete(t.Context(), p.Register, id, token)
		if answered(t, r, err, 405, "invalid_request"); r.Header.Get("Allow") != "GET, PUT" {
			t.Errorf("got Allow %q, want GET, PUT", r.Header.Get("Allow"))
		}
		r, err = client.Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 200, "")
	})
	t.Run("as_registration passthrough", func(t *testing.T) {
		internal, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		post := func() *tpp.Response {
			r, err := client.Do(t.Context(), http.MethodPost, strings.TrimSuffix(p.Issuer, story.Prefix)+internal, http.Header{"Content-Type": {"application/json"}, "X-Client-Id": {id}}, []byte(`{}`))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		reload(t, p)
		answered(t, post(), nil, 404, "invalid_request")
		reload(t, p, gateway.Workspace("as_registration passthrough"))
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := post()
		if seen, err := p.AS.RequestsTo(t.Context(), "POST", strings.TrimPrefix(internal, story.Prefix)); err != nil || len(seen) != 1 {
			t.Errorf("the authorization server saw %v, %v; answer %v, want one request", seen, err, r)
		} else if chosen := seen[0].Header.Get("X-Client-Id"); chosen != "" {
			t.Errorf("somebody else chose the client_id of a client: %s", chosen)
		}
	})
	t.Run("version", func(t *testing.T) {
		for _, version := range []string{"3.1", "3.2", "3.3", "3.4"} {
			reload(t, p, gateway.Workspace("version "+version))
			register := p.Issuer + "/openbankinguk/dcr/v" + version + "/register"
			if r, err := client.Discover(t.Context(), p.Issuer); err != nil || r.Text("registration_endpoint") != register {
				t.Errorf("discovery: got %v, %v, want %s", r, err, register)
			}
			r, err := client.Read(t.Context(), register, id, token)
			answered(t, r, err, 200, "")
			r, err = client.Do(t.Context(), http.MethodPost, register, http.Header{"Content-Type": {"text/plain"}}, []byte("x"))
			want := "application/jose"
			if version == "3.1" {
				want = "application/jwt"
			}
			if answered(t, r, err, 415, "invalid_request"); !strings.HasSuffix(r.Text("error_description"), " as "+want) {
				t.Errorf("version %s: got %v, want %s", version, r, want)
			}
		}
	})
	t.Run("lenient", func(t *testing.T) {
		sparse := func() (token, body string) {
			token, _, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			body, err = p.Acme.Request(map[string]any{"aud": nil, "jti": nil, "application_type": nil, "request_object_signing_alg": nil})
			if err != nil {
				t.Fatal(err)
			}
			return token, body
		}
		reload(t, p)
		token, body := sparse()
		r, err := client.Register(t.Context(), p.Register, token, body)
		answered(t, r, err, 400, "invalid_client_metadata")
		reload(t, p, gateway.Workspace("lenient"))
		r, err = client.Register(t.Context(), p.Register, token, body)
		if answered(t, r, err, 201, ""); r.Text("application_type") != "web" || r.Text("request_object_signing_alg") != "PS256" {
			t.Errorf("defaults: got %v, want web and PS256", r)
		}
		token, _ = sparse()
		r, err = client.Register(t.Context(), p.Register, token, body) // the same request is no new one
		if answered(t, r, err, 400, "invalid_client_metadata"); !strings.HasPrefix(r.Text("error_description"), "jti: ") {
			t.Errorf("got %v", r)
		}
	})
	t.Run("software_statement off", func(t *testing.T) {
		keys, err := json.Marshal(p.Acme.JWKS())
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "acme.jwks")
		if err := os.WriteFile(file, keys, 0o600); err != nil {
			t.Fatal(err)
		}
		reload(t, p, gateway.At("software_statement").Replace("software_statement off"), gateway.At("signed_request_body").Set("jwks", file))
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		request, err := p.Acme.Request(map[string]any{"software_statement": nil, "client_name": "Acme"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Register(t.Context(), p.Register, token, request)
		own := answered(t, r, err, 201, "").Text("client_id")
		if r.JSON["software_statement"] != nil || r.Text("software_id") != p.Acme.SoftwareID {
			t.Errorf("got %v", r)
		}
		management, err := p.ClientToken(t.Context(), p.Acme, own)
		if err != nil {
			t.Fatal(err)
		}
		again, err := client.Read(t.Context(), p.Register, own, management)
		if answered(t, again, err, 200, ""); string(again.Body) != string(r.Body) {
			t.Errorf("got\n%s\nwant as registered\n%s", again.Body, r.Body)
		}
		r, err = client.Delete(t.Context(), p.Register, own, management)
		answered(t, r, err, 204, "")
		other, err := strangersKey()
		if err != nil {
			t.Fatal(err)
		}
		claims, err := p.Acme.RequestClaims(map[string]any{"software_statement": nil})
		if err != nil {
			t.Fatal(err)
		}
		forged, err := other.Sign(claims, map[string]any{"kid": p.Acme.Signing.ID})
		if err != nil {
			t.Fatal(err)
		}
		if token, _, err = p.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err = client.Register(t.Context(), p.Register, token, forged)
		answered(t, r, err, 400, "invalid_client_metadata")
	})
}

// TestRateLimit: who asks too often waits, alone and only for as long as told.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	reload(t, p, gateway.Workspace("rate_limit 3 1h"))
	post := func(client *tpp.Client) (*tpp.Response, error) {
		return client.Do(t.Context(), http.MethodPost, p.Register, http.Header{"Content-Type": {"application/jose"}}, []byte("x"))
	}
	for range 3 {
		r, err := post(p.Client(p.Acme))
		answered(t, r, err, 401, "invalid_token")
	}
	r, err := post(p.Client(p.Acme))
	if answered(t, r, err, 429, "invalid_request"); r.Header.Get("Retry-After") != "1200" && r.Header.Get("Retry-After") != "1199" {
		t.Errorf("got Retry-After %q, want 1200 or 1199", r.Header.Get("Retry-After"))
	}
	r, err = p.Client(p.Acme).Read(t.Context(), p.Register, "x", "y")
	answered(t, r, err, 429, "invalid_request")
	r, err = post(p.Client(p.Other))
	answered(t, r, err, 401, "invalid_token")
	if r, err := p.Client(p.Acme).Discover(t.Context(), p.Issuer); err != nil || r.Status != 200 {
		t.Errorf("discovery: %v, %v, want 200", r, err)
	}
}
