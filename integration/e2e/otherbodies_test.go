package e2e_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestOtherBodies: with other_bodies pass, JSON of a client that the registry does not know
// reaches the AS as it came and without a certificate. Which bodies do not is in the tables of
// gateway.
func TestOtherBodies(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		const body = `{"grant_type": "client_credentials", "scope": ""}`
		send := func() (status int) {
			t.Helper()
			if err := p.AS.ResetRequests(t.Context()); err != nil {
				t.Fatal(err)
			}
			header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Basic " + basic("mobile-app", "x")}}
			r, err := p.Client(p.Acme).Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), header, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			return r.Status
		}
		if status := send(); status != http.StatusUnsupportedMediaType {
			t.Errorf("by default: %d, want 415", status)
		}
		reload(t, p, gateway.Workspace("other_bodies pass"))
		send()
		seen, err := p.AS.RequestsTo(t.Context(), http.MethodPost, "/token")
		if err != nil || len(seen) != 1 || seen[0].Header.Get("Client-Cert") != "" || seen[0].Header.Get("Authorization") != "Basic "+basic("mobile-app", "x") {
			t.Fatalf("with other_bodies pass the authorization server saw %+v, %v", seen, err)
		}
		// oidc-provider reads no body of this type.
		if seen[0].Header.Get("Content-Length") != strconv.Itoa(len(body)) || seen[0].BodyLength > 0 && seen[0].Body != body {
			t.Errorf("it saw the body %q, want %q", seen[0].Body, body)
		}
	})
}
