package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestAssertionAudience: in bridge mode the gateway takes the assertions of RFC 10070, which
// have a typ and name the issuer alone, and those of today's tools, which name an endpoint,
// until the operator takes these away.
func TestAssertionAudience(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		words    []gateway.Replacement
		endpoint int
	}{
		"endpoints": {[]gateway.Replacement{gateway.Unlimited, bridge}, http.StatusOK},
		"issuer":    {[]gateway.Replacement{gateway.Unlimited, bridge, {Old: "\t\tauthorization_server ", New: "\t\tassertion_audience issuer\n\t\tauthorization_server "}}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			once(t, story.Options{Replace: c.words}, func(t *testing.T, p *story.Play) {
				client, token := p.Client(p.Acme), p.Endpoint("token_endpoint")
				id := registers(t, p, client, assertions).Text("client_id")
				for _, one := range []struct {
					typ    any
					aud    any
					status int
				}{
					{"client-authentication+jwt", p.Issuer, http.StatusOK},
					{"application/Client-Authentication+JWT", []string{p.Issuer}, http.StatusOK},
					{"client-authentication+jwt", token, http.StatusUnauthorized},
					{"client-authentication+jwt", []string{p.Issuer, token}, http.StatusUnauthorized},
					{nil, p.Issuer, http.StatusOK},
					{"JWT", token, c.endpoint},
					{nil, []string{token, p.Issuer}, c.endpoint},
				} {
					now := time.Now()
					assertion, err := p.Acme.Signing.Sign(map[string]any{
						"iss": id, "sub": id, "aud": one.aud, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
					}, map[string]any{"typ": one.typ})
					if err != nil {
						t.Fatal(err)
					}
					r, err := client.Do(t.Context(), http.MethodPost, token, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
						[]byte("grant_type=client_credentials&scope=&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="+assertion))
					if err != nil || r.Status != one.status {
						t.Errorf("typ %v and aud %v: %v, %v, want %d", one.typ, one.aud, r, err, one.status)
					}
				}
			})
		})
	}
}
