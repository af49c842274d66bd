package e2e_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestKeysWithoutAlg: the Open Banking directory publishes keys without alg, the official tool
// sends assertions without kid, and then go-oidc finds keys by their alg alone. Told them
// inline, with the alg that the client is registered to sign with, it takes the assertions.
func TestKeysWithoutAlg(t *testing.T) {
	once(t, story.Options{Edits: []gateway.Edit{gateway.At("provision").Add("keys inline")}}, func(t *testing.T, p *story.Play) {
		p.Acme.WithoutAlg = true
		named := p.Acme.Signing
		key, err := p.Acme.AddSigningKey(jose.PS256)
		if err != nil {
			t.Fatal(err)
		}
		p.Acme.Withdraw(named.ID)
		p.Acme.Signing = key
		client := p.Client(p.Acme)
		id := registers(t, p, client, assertions).Text("client_id")
		for name, header := range map[string]map[string]any{"with kid": nil, "without kid": {"kid": nil}} {
			now := time.Now()
			assertion, err := p.Acme.Signing.Sign(map[string]any{
				"iss": id, "sub": id, "aud": p.Endpoint("token_endpoint"), "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
			}, header)
			if err != nil {
				t.Fatal(err)
			}
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), func(form url.Values, _ http.Header) error {
				form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
				form.Set("client_assertion", assertion)
				return nil
			})
			if err != nil || r.Status != http.StatusOK {
				t.Errorf("an assertion %s: %v, %v, want 200", name, r, err)
			}
		}
	})
}

// TestKeysInline: an AS without a way out has the software's keys from the gateway, the
// new ones too, before it sees what is signed with them.
func TestKeysInline(t *testing.T) {
	each(t, story.Options{
		Edits: []gateway.Edit{gateway.At("provision").Add("keys inline")},
		// It trusts no server but itself, so that it can fetch nothing.
		AS: func(c *authserverprocess.Config) { c.JWKSCA = "" },
	}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		id := registers(t, p, client, assertions).Text("client_id")
		clients, err := p.AS.Clients(t.Context())
		if err != nil || len(clients) != 1 || clients[0]["jwks"] == nil || clients[0]["jwks_uri"] != nil {
			t.Fatalf("the authorization server has %v, %v, want one", clients, err)
		}
		token := func(status int) {
			t.Helper()
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), p.Acme.PrivateKeyJWT(id, p.Issuer))
			if err != nil || r.Status != status {
				t.Errorf("%v, %v, want %d", r, err, status)
			}
		}
		updates := func() int {
			t.Helper()
			seen, err := p.AS.RequestsTo(t.Context(), http.MethodPut, "/reg")
			if err != nil {
				t.Fatal(err)
			}
			return len(seen)
		}
		token(http.StatusOK)
		if n := updates(); n != 0 {
			t.Errorf("told %d times again what it knows", n)
		}
		key, err := p.Acme.AddSigningKey(jose.PS256)
		if err != nil {
			t.Fatal(err)
		}
		// The keys were fetched a moment ago, and are not again for half a minute; a new
		// configuration knows none.
		reload(t, p)
		old := p.Acme.Signing
		for range 2 {
			p.Acme.Signing = key
			token(http.StatusOK)
			p.Acme.Signing = old
			token(http.StatusOK)
		}
		if n := updates(); n != 1 {
			t.Errorf("told %d times of the new key", n)
		}
		// One that the software does not have, and never will.
		unknown, err := unpublished(p)
		if err != nil {
			t.Fatal(err)
		}
		p.Acme.Signing = unknown
		token(http.StatusUnauthorized)
		if n := updates(); n != 1 {
			t.Errorf("told %d times after an unknown key", n)
		}
	})
}
