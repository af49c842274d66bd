package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestAssertionAudience: with assertion_audience issuer the gateway takes, in bridge mode,
// assertions for the issuer alone. All forms of them are in the tables of gateway.
func TestAssertionAudience(t *testing.T) {
	once(t, story.Options{Edits: []gateway.Edit{bridge, gateway.Workspace("assertion_audience issuer")}}, func(t *testing.T, p *story.Play) {
		client, token := p.Client(p.Acme), p.Endpoint("token_endpoint")
		id := registers(t, p, client, assertions).Text("client_id")
		for audience, status := range map[string]int{p.Issuer: http.StatusOK, token: http.StatusUnauthorized} {
			now := time.Now()
			assertion, err := p.Acme.Signing.Sign(map[string]any{
				"iss": id, "sub": id, "aud": audience, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err := client.Do(t.Context(), http.MethodPost, token, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
				[]byte("grant_type=client_credentials&scope=&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="+assertion))
			if err != nil || r.Status != status {
				t.Errorf("aud %s: %v, %v, want %d", audience, r, err, status)
			}
		}
	})
}
