// Package authservertest runs package authserver against real authorization
// servers: one suite for all of them, because none may need its own treatment.
package authservertest

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// take makes an answer the client's record, as the registry does.
func take(c *registry.Client, p *registry.Provisioned) {
	c.ClientID, c.Metadata, c.Credentials = p.ClientID, p.Metadata, p.Credentials
}

func TestClientIsCreatedUpdatedAndDeleted(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, b *bank) {
		if !b.ChoosesClientID() {
			t.Fatal("the server does not let the gateway choose")
		}
		c := b.client()
		first, err := b.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Create(t.Context(), c) // as after a lost answer
		if err != nil {
			t.Fatal(err)
		}
		if first.ClientID != c.ClientID || second.ClientID != c.ClientID || b.stored()["client_id"] != c.ClientID {
			t.Errorf("client_id %s, then %s, want %s", first.ClientID, second.ClientID, c.ClientID)
		}
		if first.Credentials.RegistrationAccessToken == second.Credentials.RegistrationAccessToken || !strings.HasPrefix(second.Credentials.RegistrationPath, "/default/obuk/") {
			t.Errorf("credentials %+v, then %+v", first.Credentials, second.Credentials)
		}
		take(c, second)
		want := b.client().Metadata
		if c.Metadata.Scope != want.Scope || !slices.Equal(c.Metadata.GrantTypes, want.GrantTypes) || !slices.Equal(c.Metadata.ResponseTypes, want.ResponseTypes) || !slices.Equal(c.Metadata.RedirectURIs, want.RedirectURIs) {
			t.Errorf("registered %+v\nwant %+v", c.Metadata, want)
		}
		b.manages(c)

		seen := []string{c.Credentials.RegistrationAccessToken}
		for _, scope := range []string{"openid accounts", "openid payments", "openid accounts payments"} {
			c.Metadata.Scope = scope
			p, err := b.Update(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if stored := b.stored(); p.ClientID != c.ClientID || p.Metadata.Scope != scope || stored["scope"] != scope || stored["client_id"] != c.ClientID {
				t.Errorf("%+v at the registry, %v at the server; want scope %s", p, stored, scope)
			}
			if slices.Contains(seen, p.Credentials.RegistrationAccessToken) {
				t.Error("the registration access token was not rotated, so that nothing was tested")
			}
			seen = append(seen, p.Credentials.RegistrationAccessToken)
			take(c, p)
		}
		b.manages(c)

		old := *c
		old.Credentials.RegistrationAccessToken = seen[0]
		if _, err := b.Update(t.Context(), &old); !errors.Is(err, registry.ErrDetached) {
			t.Errorf("update with a rotated token: %v", err)
		}
		if err := b.Delete(t.Context(), &old); !errors.Is(err, registry.ErrDetached) {
			t.Errorf("deletion with a rotated token: %v", err)
		}
		if err := b.Delete(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if clients := b.clients(); len(clients) != 0 {
			t.Errorf("after the deletion: got %v, want no clients", clients)
		}
		if status, _ := b.token(c.ClientID, "", "accounts"); status != http.StatusUnauthorized {
			t.Errorf("token endpoint for a deleted client: %d", status)
		}
		if err := b.Delete(t.Context(), c); err != nil && !errors.Is(err, registry.ErrDetached) {
			t.Errorf("second deletion: got %v, want none, or %v", err, registry.ErrDetached)
		}
		_, err = b.Update(t.Context(), c)
		if b.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrDetached) {
			t.Errorf("update of a deleted client: %v", err)
		}
		if slices.ContainsFunc(seen, func(token string) bool { return strings.Contains(b.log.String(), token) }) {
			t.Error("a registration access token is in the log")
		}
	})
}

// manages checks that the TPP's certificate gets a token, so that the DN is in
// the server's form, and that the token is what CheckToken says.
func (b *bank) manages(c *registry.Client) {
	b.t.Helper()
	status, raw := b.token(c.ClientID, "", "openid")
	if status != http.StatusOK {
		b.t.Fatalf("token endpoint: got %d, want 200", status)
	}
	token, err := b.CheckToken(b.t.Context(), raw)
	if err != nil {
		b.t.Fatal(err)
	}
	sum := sha256.Sum256(b.software.Transport.Certificate[0])
	if token.ClientID != c.ClientID || token.Thumbprint != base64.RawURLEncoding.EncodeToString(sum[:]) || token.Expires.IsZero() || token.Raw != raw {
		b.t.Errorf("got the management token %+v, want one of %s, bound, with an end", token, c.ClientID)
	}
}

func TestRegistrationToken(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, b *bank) {
		config := b.as.Config
		status, raw := b.token(config.RegistrarID, config.RegistrarSecret, verify.ScopeRegister)
		if status != http.StatusOK {
			t.Fatalf("token endpoint: got %d, want 200", status)
		}
		token, err := b.CheckToken(t.Context(), raw)
		if err != nil || token.ClientID != config.RegistrarID || !slices.Equal(token.Scopes, []string{verify.ScopeRegister}) || token.Expires.IsZero() {
			t.Fatalf("got %+v, %v, want one of %s for registration, with an end", token, err, config.RegistrarID)
		}
		if err := b.Revoke(t.Context(), registry.Revocation{Token: raw, Registration: true}); err != nil {
			t.Fatal(err)
		}
		_, err = b.CheckToken(t.Context(), raw)
		b.refused(err, refusal.InvalidToken)
		if err := b.Revoke(t.Context(), registry.Revocation{Token: raw, Registration: true}); err != nil { // RFC 7009 2.2
			t.Errorf("second revocation: %v", err)
		}
		_, err = b.CheckToken(t.Context(), "unknown")
		b.refused(err, refusal.InvalidToken)

		stranger := b.connector(func(o *authserver.Options) { o.ClientSecret, o.RegistrarSecret = "wrong", "wrong" })
		_, err = stranger.CheckToken(t.Context(), raw)
		b.refused(err, refusal.Unavailable)
		b.refused(stranger.Revoke(t.Context(), registry.Revocation{Token: raw, Registration: true}), refusal.AccessDenied)
	})
}

// TestManagementToken is revoked as the client that it belongs to: one of these
// servers lets nobody else do so, not even the gateway.
func TestManagementToken(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, b *bank) {
		c := b.client()
		p, err := b.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		take(c, p)
		_, raw := b.token(c.ClientID, "", "openid")
		v := registry.Revocation{Token: raw, ClientID: c.ClientID, Certificate: b.software.Transport.Certificate[0]}
		if err := b.Revoke(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		_, err = b.CheckToken(t.Context(), raw)
		b.refused(err, refusal.InvalidToken)
	})
}

// TestJWTAccessTokens: of these servers one introspects JWTs, the other says
// unsupported_token_type.
func TestJWTAccessTokens(t *testing.T) {
	eachServer(t, func(c *authserverprocess.Config) { c.AccessTokens = "jwt" }, func(t *testing.T, b *bank) {
		config := b.as.Config
		_, raw := b.token(config.RegistrarID, config.RegistrarSecret, verify.ScopeRegister)
		local := b.connector(func(o *authserver.Options) { o.Validate = authserver.JWT })
		for way, s := range map[string]*authserver.Server{"introspection": b.Server, "jwt": local} {
			token, err := s.CheckToken(t.Context(), raw)
			if err != nil || token.ClientID != config.RegistrarID || !slices.Equal(token.Scopes, []string{verify.ScopeRegister}) || token.Expires.IsZero() {
				t.Errorf("%s: got %+v, %v, want one of %s for registration, with an end", way, token, err, config.RegistrarID)
			}
			if _, err = s.CheckToken(t.Context(), raw[:strings.LastIndexByte(raw, '.')]+".AAAA"); err == nil {
				t.Errorf("%s: a token without a signature passes", way)
			}
		}
		c := b.client()
		p, err := b.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		take(c, p)
		b.manages(c)
		if err := b.Revoke(t.Context(), registry.Revocation{Token: raw, Registration: true}); err != nil {
			b.refused(err, refusal.AccessDenied) // of one that keeps no JWTs
		}
	})
}

func TestServerChoosesClientID(t *testing.T) {
	eachServer(t, func(c *authserverprocess.Config) { c.ClientIDHeader = "" }, func(t *testing.T, b *bank) {
		c := b.client()
		p, err := b.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := uuid.Parse(p.ClientID); err != nil || b.stored()["client_id"] != p.ClientID {
			t.Errorf("client_id %q: %v", p.ClientID, err)
		}
		take(c, p)
		b.manages(c)
		if p, err = b.Update(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		take(c, p)

		// Configured for a server that does not honour it, it shows at once.
		deceived := b.connector(func(o *authserver.Options) { o.ClientIDHeader = "X-Client-Id" })
		other := b.client()
		other.ClientID = uuid.NewString()
		_, err = deceived.Create(t.Context(), other)
		if b.refused(err, refusal.Unavailable); errors.Is(err, registry.ErrLost) || b.stored()["client_id"] != c.ClientID {
			t.Errorf("error %v, stored %v", err, b.stored())
		}
		if err := b.Delete(t.Context(), c); err != nil || len(b.clients()) != 0 {
			t.Errorf("got %v, the clients %v, want none", err, b.clients())
		}
	})
}

func TestRegistrationRefused(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, b *bank) {
		for name, change := range map[string]func(*registry.Client){
			"algorithm":    func(c *registry.Client) { c.Metadata.IDTokenSigningAlg = "RS512" },
			"grant":        func(c *registry.Client) { c.Metadata.GrantTypes = []string{"client_credentials", "password"} },
			"auth method":  func(c *registry.Client) { c.Metadata.TokenEndpointAuthMethod = "self_signed_tls_client_auth" },
			"redirect URI": func(c *registry.Client) { c.Metadata.RedirectURIs = []string{"no URI"} },
		} {
			c := b.client()
			change(c)
			_, err := b.Create(t.Context(), c)
			kind := refusal.InvalidClientMetadata
			if refused := refusal.From(err); name == "redirect URI" && refused.Kind == refusal.InvalidRedirectURI {
				kind = refusal.InvalidRedirectURI // one of the servers tells it apart
			}
			if b.refused(err, kind); errors.Is(err, registry.ErrLost) {
				t.Errorf("%s: got %v, want it not to be lost", name, err)
			}
		}
		stranger := b.connector(func(o *authserver.Options) { o.InitialAccessToken = "another-initial-access-token" })
		_, err := stranger.Create(t.Context(), b.client())
		if b.refused(err, refusal.Unavailable); errors.Is(err, registry.ErrLost) || strings.Contains(err.Error(), "another-initial") {
			t.Errorf("wrong initial access token: %v", err)
		}
		if clients := b.clients(); len(clients) != 0 {
			t.Errorf("got the clients %v, want none", clients)
		}

		c := b.client()
		p, err := b.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		take(c, p)
		c.Metadata.IDTokenSigningAlg = "RS512"
		_, err = b.Update(t.Context(), c)
		b.refused(err, refusal.InvalidClientMetadata)
		c.Metadata.IDTokenSigningAlg = "PS256"
		if _, err := b.Update(t.Context(), c); err != nil { // the token of the refused one is still good
			t.Error(err)
		}
	})
}

func TestLostAnswer(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, b *bank) {
		lose := func(method string, after bool) {
			t.Helper()
			if err := b.as.Fault(t.Context(), authserverprocess.Fault{PathContains: "/reg", Method: method, After: after, Drop: true}); err != nil {
				t.Fatal(err)
			}
		}
		c := b.client()
		for known, after := range []bool{false, true} {
			lose(http.MethodPost, after)
			_, err := b.Create(t.Context(), c)
			if b.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrLost) || len(b.clients()) != known {
				t.Fatalf("got %v, the clients %v, want %v, and %d", err, b.clients(), registry.ErrLost, known)
			}
		}
		p, err := b.Create(t.Context(), c)
		if err != nil || p.ClientID != c.ClientID || b.stored()["client_id"] != c.ClientID {
			t.Fatalf("repeated: got %+v, %v, want %s", p, err, c.ClientID)
		}
		take(c, p)
		b.manages(c)

		// The new token is lost with the answer; the repeated POST gets another.
		c.Metadata.Scope = "openid accounts"
		lose(http.MethodPut, true)
		_, err = b.Update(t.Context(), c)
		if b.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrLost) || b.stored()["scope"] != "openid accounts" {
			t.Fatalf("error %v, stored %v", err, b.stored())
		}
		if _, err = b.Update(t.Context(), c); !errors.Is(err, registry.ErrDetached) {
			t.Errorf("repeated update: got %v, want %v", err, registry.ErrDetached)
		}
		if p, err = b.Create(t.Context(), c); err != nil || b.stored()["scope"] != "openid accounts" {
			t.Fatalf("created in its place: %+v, error %v", p, err)
		}
		take(c, p)

		lose(http.MethodDelete, true)
		err = b.Delete(t.Context(), c)
		if b.refused(err, refusal.Unavailable); !errors.Is(err, registry.ErrLost) || len(b.clients()) != 0 {
			t.Errorf("got %v, the clients %v, want %v, and none", err, b.clients(), registry.ErrLost)
		}
		if err := b.Delete(t.Context(), c); err != nil && !errors.Is(err, registry.ErrDetached) {
			t.Errorf("repeated deletion: got %v, want none, or %v", err, registry.ErrDetached)
		}
	})
}
