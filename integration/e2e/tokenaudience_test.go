package e2e_test

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestTokenAudience: a JWT for the issuer, which both servers give out, registers and manages.
func TestTokenAudience(t *testing.T) {
	each(t, story.Options{AccessTokens: "jwt", Edits: []gateway.Edit{gateway.At("authorization_server").Add("validate jwt")}}, func(t *testing.T, p *story.Play) {
		id, token := registered(t, p)
		r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 200, "")
	})
}
