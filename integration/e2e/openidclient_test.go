package e2e_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/openidclient"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestOpenIDClient is the life of a client whose TPP others wrote: openid-client
// takes every answer, also the refusals, for what the RFCs say. Whether the
// client shows a certificate or an assertion, the answers are the same.
func TestOpenIDClient(t *testing.T) {
	want := []string{
		"discovery 200", "discovery of RFC 8414 200", "register 201", "token 200", "introspect 200", "read 200",
		"update 200", "token after update 200", "par 201", "revoke 200", "introspect after revoke 200", "read after revoke 401",
		"delete 204", "read after delete 401", "token after delete 401",
	}
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		for _, method := range []string{"tls_client_auth", "private_key_jwt"} {
			t.Run(method, func(t *testing.T) {
				token, _, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				input := openidclient.Input{
					Issuer: p.Issuer, Roots: filepath.Join(p.Dir, "ca.pem"), Software: p.Acme,
					RegistrationToken: token, AuthMethod: method, Scope: "openid accounts",
				}
				steps, err := openidclient.Run(t.Context(), input)
				var got []string
				for _, s := range steps {
					got = append(got, fmt.Sprint(s.Name, " ", s.Status))
					t.Logf("%s: %t %d %s", s.Name, s.OK, s.Status, s.Detail)
				}
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("the steps were %q, want %q", got, want)
				}
				if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 0 {
					t.Errorf("the authorization server still has %v, %v, want none", clients, err)
				}
				// The token is used up. It also shows that a step can fail.
				steps, err = openidclient.Run(t.Context(), input)
				if len(steps) != 3 || err == nil || !strings.Contains(err.Error(), "register: status 401: invalid_token: access token: ") {
					t.Errorf("%+v, %v, want 3 steps and the refusal of the token", steps, err)
				}
			})
		}
	})
}
