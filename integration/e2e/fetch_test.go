package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestNoFetchBeforeTrust: until a statement's signature has verified, and whatever
// a header says, the gateway asks for no address that the sender has written. The
// directory's access log tells.
func TestNoFetchBeforeTrust(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	token, good, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := strangersKey()
	if err != nil {
		t.Fatal(err)
	}
	evil := p.Directory.URL + "/evil"
	named, err := foreign.JWK()
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(named)
	if err != nil {
		t.Fatal(err)
	}
	statement := func(claims, header map[string]any, key directory.Key) func() (string, error) {
		return func() (string, error) {
			ssa, err := key.Sign(p.Acme.StatementClaims(claims), header)
			if err != nil {
				return "", err
			}
			return p.Acme.Request(map[string]any{"software_statement": ssa})
		}
	}
	body := func(header map[string]any) func() (string, error) {
		return func() (string, error) {
			claims, err := p.Acme.RequestClaims(nil)
			if err != nil {
				return "", err
			}
			return p.Acme.Signing.Sign(claims, header)
		}
	}
	for name, forge := range map[string]func() (string, error){
		"statement signed with another key":              statement(nil, map[string]any{"kid": p.Directory.Signing.ID}, foreign),
		"statement signed with another key, without kid": statement(nil, map[string]any{"kid": nil}, foreign),
		"statement that names its own keys":              statement(map[string]any{"software_jwks_endpoint": evil}, nil, foreign),
		"statement of an unknown issuer":                 func() (string, error) { return p.Stranger.Request(nil) },
		"statement with jku":                             statement(nil, map[string]any{"jku": evil}, p.Directory.Signing),
		"statement with x5u":                             statement(nil, map[string]any{"x5u": evil}, p.Directory.Signing),
		"statement with its key":                         statement(nil, map[string]any{"jwk": json.RawMessage(jwk)}, foreign),
		"request with jku":                               body(map[string]any{"jku": evil}),
		"request with x5u":                               body(map[string]any{"x5u": evil}),
		"request with its key":                           body(map[string]any{"jwk": json.RawMessage(jwk)}),
		"good statement, its endpoint elsewhere":         statement(map[string]any{"software_jwks_endpoint": "https://example.com/keys.jwks"}, nil, p.Directory.Signing),
	} {
		raw, err := forge()
		if err != nil {
			t.Fatal(name, err)
		}
		p.Directory.ResetRequests()
		r, err := p.Make(t.Context(), story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: token, Body: raw})
		if err != nil || r.Status != http.StatusBadRequest {
			t.Errorf("%s: %v, %v, want 400", name, r, err)
		}
		for _, q := range p.Directory.Requests() {
			if p.Directory.URL+q.Path != p.Directory.JWKSURL() { // the operator's own
				t.Errorf("%s: the gateway asked for %s", name, q.Path)
			}
		}
	}
	p.Directory.ResetRequests()
	if r, err := p.Make(t.Context(), story.Call{Method: http.MethodPost, URL: p.Register, As: p.Acme, Token: token, Body: good}); err != nil || r.Status != http.StatusCreated {
		t.Fatalf("got %v, %v, want 201", r, err)
	}
	if n := p.Directory.Count(p.Acme.JWKSEndpoint()); n != 1 {
		t.Errorf("a good request's keys were fetched %d times, want once", n)
	}
}
