package authserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// TestInlineKeys: the AS is told the keys, or where they are, never both.
func TestInlineKeys(t *testing.T) {
	keys, err := verify.ParseJWKS([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	failed := refusal.New(refusal.Unavailable, "jwks", "not now; try again later")
	for _, test := range []struct {
		name   string
		source func(context.Context, *registry.Client) ([]verify.Key, error)
		uri    string
		want   string // in the body
		keys   string
		err    error
	}{
		{"the address", nil, "https://keys.example/jwks", `"jwks_uri":"https://keys.example/jwks"`, "", nil},
		{"the keys", func(context.Context, *registry.Client) ([]verify.Key, error) { return keys, nil }, "https://keys.example/jwks", `"jwks":{"keys":[{"kty":"EC","kid":"1","alg":"ES256","crv":"P-256",`, verify.KeysName(authserver.KeysFor(tpp(t), keys)), nil},
		{"a statement without keys", func(context.Context, *registry.Client) ([]verify.Key, error) { return keys, nil }, "", `"client_name"`, "", nil},
		{"keys that cannot be had", func(context.Context, *registry.Client) ([]verify.Key, error) { return nil, failed }, "https://keys.example/jwks", "", "", failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Keys = test.source })
			e.on(register, registered(http.StatusCreated))
			e.on("PUT /as/reg/1", registered(http.StatusOK))
			c := tpp(t)
			c.JWKSURI = test.uri
			p, err := e.Create(t.Context(), c)
			if test.err != nil {
				if !errors.Is(err, test.err) || len(e.to(register)) != 0 {
					t.Errorf("error %v, asked %d times", err, len(e.to(register)))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			body := e.only(register).body
			if !strings.Contains(body, test.want) || strings.Contains(body, `"jwks_uri"`) && strings.Contains(body, `"jwks":`) || p.Keys != test.keys {
				t.Errorf("told %s, keys %q", body, p.Keys)
			}
			c.Credentials = registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/1"}
			if p, err = e.Update(t.Context(), c); err != nil || p.Keys != test.keys {
				t.Errorf("update: %+v, %v", p, err)
			}
		})
	}
}

// TestInlineKeysHaveAlg: some ASs find keys by their alg, which the directory's have not. They
// are told the one that the client is registered to sign with.
func TestInlineKeysHaveAlg(t *testing.T) {
	keys, err := verify.ParseJWKS([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, auth, object, backchannel, want string
	}{
		{"private_key_jwt", "ES256", "ES256", "", `"alg":"ES256"`},
		{"private_key_jwt", "ES256", "PS256", "", `"alg":"ES256"`},
		{"private_key_jwt", "PS256", "PS256", "", ""}, // with another key of the software
		{"tls_client_auth", "", "ES256", "", `"alg":"ES256"`},
		{"tls_client_auth", "ES256", "PS256", "", ""}, // it signs no assertions
		{"tls_client_auth", "", "PS256", "ES256", `"alg":"ES256"`},
	} {
		e := newEdge(t, func(_ *edge, o *authserver.Options) {
			o.Keys = func(context.Context, *registry.Client) ([]verify.Key, error) { return keys, nil }
		})
		e.on(register, registered(http.StatusCreated))
		client := tpp(t)
		client.JWKSURI = "https://keys.example/jwks"
		client.Metadata.TokenEndpointAuthMethod, client.Metadata.TokenEndpointSigningAlg = c.method, c.auth
		client.Metadata.RequestObjectSigningAlg, client.Metadata.BackchannelAlg = c.object, c.backchannel
		p, err := e.Create(t.Context(), client)
		if err != nil {
			t.Fatal(err)
		}
		o, err := strictjson.Parse([]byte(e.only(register).body))
		if err != nil {
			t.Fatal(err)
		}
		sent := string(o.Raw("jwks"))
		if strings.Contains(sent, `"alg"`) != (c.want != "") || !strings.Contains(sent, c.want) || p.Keys != verify.KeysName(authserver.KeysFor(client, keys)) {
			t.Errorf("%+v: told %s", c, sent)
		}
	}
}

// TestSupports: what the operator knows of the AS stands for what its document says.
func TestSupports(t *testing.T) {
	e := newEdge(t, func(_ *edge, o *authserver.Options) {
		o.Supported = verify.DefaultSupportedMetadata()
		o.Supports = map[string][]string{"grant_types_supported": {"client_credentials"}, "response_types_supported": {"code"}, "token_endpoint_auth_methods_supported": {"tls_client_auth"}}
	})
	e.on(discovery, answer(http.StatusOK, e.document("grant_types_supported", `["implicit"]`)))
	m := e.metadata()
	a := m.Supported
	if strings.Join(a.GrantTypes, " ") != "client_credentials" || strings.Join(a.ResponseTypes, " ") != "code" || strings.Join(a.AuthMethods, " ") != "tls_client_auth" {
		t.Errorf("%+v, want client_credentials, code and tls_client_auth", a)
	}
	if got := string(m.Publish("https://gateway.example", "", endpoint)); !strings.Contains(got, `"grant_types_supported":["client_credentials"]`) {
		t.Errorf("published %s", got)
	}
	for name, o := range map[string]authserver.Options{
		"supports":                   {Supports: map[string][]string{"issuer": {"x"}}},
		"token_endpoint_auth":        {TokenEndpointAuth: "tunnel"},
		"token_endpoint_auth method": {BridgeMethod: "client_secret_jwt"},
	} {
		o.URL = "https://as.example"
		if _, err := authserver.New(o); err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: %v, want an error that begins with the name", name, err)
		}
	}
}

// TestBindsTokens: discovery says that tokens are bound where somebody binds them.
func TestBindsTokens(t *testing.T) {
	for _, test := range []struct {
		as, gateway bool
		published   string
		binds       bool
	}{
		{true, false, "true", false}, {true, true, "true", false}, {false, true, "true", true}, {false, false, "false", false},
	} {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.BindsTokens = test.gateway })
		e.on(discovery, answer(http.StatusOK, e.document("tls_client_certificate_bound_access_tokens", map[bool]string{true: "true", false: "false"}[test.as])))
		m := e.metadata()
		o, err := strictjson.Parse(m.Publish("https://gateway.example", "", endpoint))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(o.Raw("tls_client_certificate_bound_access_tokens")); got != test.published || m.GatewayBindsTokens() != test.binds {
			t.Errorf("AS %v, gateway %v: published %s, gateway binds %v", test.as, test.gateway, got, m.GatewayBindsTokens())
		}
	}
}
