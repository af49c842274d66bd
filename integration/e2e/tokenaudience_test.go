package e2e_test

import (
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// validateJWT has the gateway decide on access tokens by their signature, with one more
// word in the block of authorization_server.
func validateJWT(word string) []gateway.Replacement {
	return []gateway.Replacement{{Old: "\t\t\tprovision rfc7591 {\n", New: "\t\t\tvalidate jwt\n\t\t\t" + word + "\n\t\t\tprovision rfc7591 {\n"}}
}

// TestTokenAudience: a JWT for the issuer, which both servers give out, registers and
// manages; where another audience is demanded it does neither, and the log says what to write.
func TestTokenAudience(t *testing.T) {
	t.Parallel()
	t.Run("the issuer", func(t *testing.T) {
		each(t, story.Options{AccessTokens: "jwt", Replace: validateJWT("")}, func(t *testing.T, p *story.Play) {
			id, token := registered(t, p)
			r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
			answered(t, r, err, 200, "")
		})
	})
	t.Run("another", func(t *testing.T) {
		p := learn(t, open(t, story.Options{Kind: authserverprocess.OIDCProvider, AccessTokens: "jwt", Replace: validateJWT("token_audience https://api.bank.example")}))
		r := registers(t, p, p.Client(p.Acme), nil)
		if r.Status != 401 || r.Text("error") != "invalid_token" || !strings.Contains(r.Text("error_description"), "for another audience") {
			t.Errorf("%v", r)
		}
		says(t, p.Gateway, "write in authorization_server: token_audience ")
	})
}
