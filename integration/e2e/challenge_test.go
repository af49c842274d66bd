package e2e_test

import (
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestNoCertificate: whatever client_auth of the site lets in, a registration is refused
// without a client certificate that was verified; discovery and the rest of the site need
// none. What else is refused so is in the tables of gateway.
func TestNoCertificate(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, client *tpp.Client) {
		t.Helper()
		r, err := client.Register(t.Context(), p.Register, token, body)
		if err := noCertificate.isIn(p, r, err); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, path := range wellKnown {
			if r, err := client.Do(t.Context(), http.MethodGet, siteOf(p)+path, nil, nil); err != nil || r.Status != http.StatusOK {
				t.Errorf("%s, %s: %v, %v, want 200", name, path, r, err)
			}
		}
	}
	none := tpp.NewClient(p.ClientOptions())
	t.Cleanup(none.Close)
	refused("none", none)
	// In this mode Caddy takes every certificate and verifies none.
	reload(t, p, gateway.At("client_auth", "mode").Set("request"))
	refused("of another directory", presenting(t, p, p.Stranger.Transport))
	refused("the right one, not verified", presenting(t, p, p.Acme.Transport))
	reload(t, p)
	r, err := presenting(t, p, p.Acme.Transport).Register(t.Context(), p.Register, token, body)
	answered(t, r, err, 201, "")
}
