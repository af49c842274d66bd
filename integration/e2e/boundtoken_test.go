package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestBoundRegistrationToken: a token that is bound to a certificate (RFC 8705 3)
// registers with this certificate alone. go-oidc binds to any that it sees; the other server
// binds no token of a client with a secret.
func TestBoundRegistrationToken(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		if p.AS.Kind != authserverprocess.GoOIDC {
			return
		}
		direct := tpp.NewClient(p.ClientOptions())
		defer direct.Close()
		form, header := tpp.ClientCredentials("dcr_register"), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Client-Cert": {clientCert(p.Acme)}}
		if err := tpp.Basic("registrar", p.AS.Config.RegistrarSecret)(form, header); err != nil {
			t.Fatal(err)
		}
		endpoint := p.AS.URL() + strings.TrimPrefix(p.Endpoint("token_endpoint"), p.Issuer)
		r, err := direct.Do(t.Context(), http.MethodPost, endpoint, header, []byte(form.Encode()))
		token := answered(t, r, err, 200, "").Text("access_token")

		body, err := p.Other.Request(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err = p.Client(p.Other).Register(t.Context(), p.Register, token, body)
		answered(t, r, err, 401, "invalid_token")
		if body, err = p.Acme.Request(nil); err != nil {
			t.Fatal(err)
		}
		r, err = p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		answered(t, r, err, 201, "")
	})
}
