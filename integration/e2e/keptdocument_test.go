package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestKeptDocumentOfAnotherServer: the document of one authorization server says nothing
// of the endpoints of another one, which cannot be reached; of the same one it counts.
func TestKeptDocumentOfAnotherServer(t *testing.T) {
	t.Parallel()
	s := open(t, story.Options{Kind: authserverprocess.GoOIDC})
	client := s.Client(s.Acme)
	document := func() (int, error) {
		r, err := client.Do(t.Context(), http.MethodGet, s.Issuer+"/.well-known/openid-configuration", nil, nil)
		if err != nil {
			return 0, err
		}
		return r.Status, nil
	}
	if status, err := document(); err != nil || status != http.StatusOK {
		t.Fatalf("got %v, %v, want 200", status, err)
	}
	if err := s.AS.Stop(); err != nil {
		t.Fatal(err)
	}
	port, err := gateway.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := edited(t, s.Caddyfile, gateway.At("authorization_server").Set(fmt.Sprintf("https://localhost:%d%s", port, story.Prefix)))
	for _, c := range []struct {
		name, caddyfile string
		status          int
	}{
		{"another server", elsewhere, http.StatusServiceUnavailable},
		{"the same server", s.Caddyfile, http.StatusOK},
	} {
		if err := s.Reload(t.Context(), c.caddyfile); err != nil {
			t.Fatal(err)
		}
		if status, err := document(); err != nil || status != c.status {
			t.Errorf("%s: discovery is %d, %v, want %d", c.name, status, err, c.status)
		}
	}
	says(t, s.Gateway, "was kept of "+s.AS.URL())
}
