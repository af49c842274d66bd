package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestStatementWithEmptyClaims: what a directory leaves empty binds nothing, and an
// organisation's JWKS that cannot be used does not count where the software's own has
// the certificate.
func TestStatementWithEmptyClaims(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	if err := p.Acme.PublishTransport(p.Acme.Transport); err != nil {
		t.Fatal(err)
	}
	reload(t, p, "bind_certificate ssa_jwks")
	for name, endpoint := range map[string]any{
		"absent": nil, "null": json.RawMessage("null"), "empty": "", "a list": []string{}, "an object": map[string]any{},
		"a refused host": "https://keys.example/org.jwks", "no URL": "keys", "404": p.Acme.JWKSEndpoint() + "x", "no JWKS": p.Directory.URL + "/",
	} {
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		statement, err := p.Acme.Statement(map[string]any{
			"org_jwks_endpoint": endpoint, "scope": "", "redirect_uris": []string{}, "grant_types": []string{""}, "response_types": json.RawMessage("null"),
			"tls_client_auth_subject_dn": "", "application_type": map[string]any{},
		})
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Request(map[string]any{"software_statement": statement})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		if err != nil || r.Status != http.StatusCreated {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}
