package e2e_test

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestTokenAudience: a JWT for the issuer, which both servers give out, registers and manages.
func TestTokenAudience(t *testing.T) {
	const here = "\t\t\tprovision rfc7591 {\n"
	each(t, story.Options{AccessTokens: "jwt", Replace: []gateway.Replacement{{Old: here, New: "\t\t\tvalidate jwt\n" + here}}}, func(t *testing.T, p *story.Play) {
		id, token := registered(t, p)
		r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 200, "")
	})
}
