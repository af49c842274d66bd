package authserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

const clientSecret = "s3cret-of-the-client"

// TestBridging: who authenticates at the AS, for each method that a client may register.
func TestBridging(t *testing.T) {
	const methods, algs = "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported"
	for _, test := range []struct {
		name, mode, method string
		document           []string
		want               map[string]string // by method, native or how the gateway does it
		cause              string            // of the refusal
	}{
		{"auto, an AS that can do all", "auto", "", nil, map[string]string{"tls_client_auth": "", "private_key_jwt": ""}, ""},
		{"no mode is auto", "", "", nil, map[string]string{"tls_client_auth": "", "private_key_jwt": ""}, ""},
		{"auto, an AS without mTLS", "auto", "", []string{methods, `["private_key_jwt","client_secret_post","client_secret_basic"]`}, map[string]string{"tls_client_auth": "client_secret_basic", "private_key_jwt": ""}, ""},
		{"auto, an AS with secrets only", "auto", "", []string{methods, `["client_secret_post","none"]`}, map[string]string{"tls_client_auth": "client_secret_post", "private_key_jwt": "client_secret_post"}, ""},
		{"auto, an AS that does not say (RFC 8414 2: client_secret_basic)", "auto", "", []string{methods, ""}, map[string]string{"tls_client_auth": "client_secret_basic", "private_key_jwt": "client_secret_basic"}, ""},
		{"auto, an AS that takes no assertion that a client may make", "auto", "", []string{algs, `["RS256","HS256"]`}, map[string]string{"tls_client_auth": "", "private_key_jwt": "client_secret_basic"}, ""},
		{"auto, no secrets", "auto", "", []string{methods, `["tls_client_auth"]`}, map[string]string{"tls_client_auth": ""}, ""},
		{"auto, nothing", "auto", "", []string{methods, `["none"]`}, nil, "registrations need one of tls_client_auth, private_key_jwt"},
		{"bridge, an AS that can do all", "bridge", "", nil, map[string]string{"tls_client_auth": "client_secret_basic", "private_key_jwt": "client_secret_basic"}, ""},
		{"bridge as the operator says", "bridge", "client_secret_post", []string{methods, `["client_secret_basic","client_secret_post"]`}, map[string]string{"tls_client_auth": "client_secret_post", "private_key_jwt": "client_secret_post"}, ""},
		{"bridge in a way that the AS has not", "bridge", "client_secret_post", nil, nil, "the gateway needs one of client_secret_basic, client_secret_post"},
		{"native, an AS without mTLS", "native", "", []string{methods, `["private_key_jwt","client_secret_basic"]`}, map[string]string{"private_key_jwt": ""}, ""},
		{"native, an AS that does not say", "native", "", []string{methods, ""}, map[string]string{"tls_client_auth": "", "private_key_jwt": ""}, ""},
		{"native, an AS with secrets only", "native", "", []string{methods, `["client_secret_basic"]`}, nil, "registrations need one of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.TokenEndpointAuth, o.BridgeMethod = test.mode, test.method })
			e.on(discovery, answer(http.StatusOK, e.document(test.document...)))
			m, err := e.Metadata(t.Context())
			if test.want == nil {
				if e.refused(err, refusal.Unavailable); err != nil && !strings.Contains(err.Error(), test.cause) {
					t.Errorf("error %v, want %q in it", err, test.cause)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"tls_client_auth", "private_key_jwt"} {
				how, possible := test.want[method]
				if slices.Contains(m.Supported.AuthMethods, method) != possible || possible && m.Bridge(method) != how {
					t.Errorf("%s: accepted are %v, bridge %q, want %q (%v)", method, m.Supported.AuthMethods, m.Bridge(method), how, possible)
				}
			}
		})
	}
}

// bridging makes an edge's server bridge everything.
func bridging(_ *edge, o *authserver.Options) { o.TokenEndpointAuth = authserver.Bridge }

func TestCreateBridged(t *testing.T) {
	for _, test := range []struct {
		name    string
		answer  []string
		change  func(*registry.Client)
		cause   string // of the refusal
		deleted bool
	}{
		{"tls_client_auth", []string{"client_secret", `"` + clientSecret + `"`}, nil, "", false},
		{"private_key_jwt", []string{"client_secret", `"` + clientSecret + `"`}, func(c *registry.Client) { c.Metadata.TokenEndpointAuthMethod = "private_key_jwt" }, "", false},
		{"a subject alternative name, which is for the gateway", []string{"client_secret", `"` + clientSecret + `"`}, func(c *registry.Client) {
			c.Metadata.TLSClientAuthSubjectDN, c.Subject, c.Metadata.TLSClientAuthSANDNS = "", nil, "tpp.example"
		}, "", false},
		{"no secret", nil, nil, "without a client_secret", true},
		{"an empty secret", []string{"client_secret", `""`}, nil, "without a client_secret", true},
		{"a secret of another type", []string{"client_secret", `7`}, nil, "client_secret", true},
		{"another method than asked for", []string{"client_secret", `"x"`, "token_endpoint_auth_method", `"client_secret_post"`}, nil, "client_secret_post", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, bridging)
			e.on(register, registered(http.StatusCreated, test.answer...))
			e.on("DELETE /as/reg/client-1", answer(http.StatusNoContent, ""))
			c := tpp(t)
			if test.change != nil {
				test.change(c)
			}
			p, err := e.Create(t.Context(), c)
			body := e.only(register).body
			for _, name := range []string{"tls_client_auth_", "token_endpoint_auth_signing_alg", "client_secret\""} {
				if strings.Contains(body, name) {
					t.Errorf("told %s: %s", name, body)
				}
			}
			if !strings.Contains(body, `"token_endpoint_auth_method":"client_secret_basic"`) {
				t.Errorf("told %s", body)
			}
			if deleted := len(e.to("DELETE /as/reg/client-1")) == 1; deleted != test.deleted {
				t.Errorf("taken back: %v", deleted)
			}
			if test.cause != "" {
				if err == nil || !strings.Contains(err.Error(), test.cause) {
					t.Errorf("error %v, want %q in it", err, test.cause)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Credentials.Bridge != "client_secret_basic" || p.Credentials.ClientSecret != clientSecret || p.Metadata.TokenEndpointAuthMethod != c.Metadata.TokenEndpointAuthMethod {
				t.Errorf("provisioned %+v", p)
			}
			if strings.Contains(e.log.String(), clientSecret) {
				t.Error("the secret is in the log")
			}
		})
	}
	e := newEdge(t, bridging)
	c := tpp(t)
	c.Metadata.TokenEndpointAuthMethod, c.JWKSURI = "private_key_jwt", ""
	_, err := e.Create(t.Context(), c)
	e.refused(err, refusal.InvalidClientMetadata)
}

// TestUpdateBridged: a secret stays until the AS gives another one; a client changes
// its mode with an update, and not with one that fails.
func TestUpdateBridged(t *testing.T) {
	old := registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/1", Bridge: "client_secret_basic", ClientSecret: "old"}
	native := registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/1"}
	for _, test := range []struct {
		name   string
		mode   string
		before registry.Credentials
		answer []string
		bridge string
		secret string
		fails  bool
	}{
		{"the same", "bridge", old, nil, "client_secret_basic", "old", false},
		{"another", "bridge", old, []string{"client_secret", `"new"`}, "client_secret_basic", "new", false},
		{"to native", "auto", old, nil, "", "", false},
		{"to bridge", "bridge", native, []string{"client_secret", `"new"`}, "client_secret_basic", "new", false},
		{"to bridge without a secret", "bridge", native, nil, "", "", true},
		{"refused", "bridge", old, []string{"token_endpoint_auth_method", `"none"`}, "client_secret_basic", "old", true},
		{"an end of the secret's life", "bridge", old, []string{"client_secret_expires_at", `1900000000`}, "client_secret_basic", "old", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.TokenEndpointAuth = test.mode })
			e.on("PUT /as/reg/1", registered(http.StatusOK, test.answer...))
			c := tpp(t)
			c.Credentials = test.before
			p, err := e.Update(t.Context(), c)
			if (err != nil) != test.fails {
				t.Fatalf("error %v", err)
			}
			if p == nil || p.Credentials.Bridge != test.bridge || p.Credentials.ClientSecret != test.secret {
				t.Errorf("provisioned %+v, want %q and %q", p, test.bridge, test.secret)
			}
			if warned := strings.Contains(e.log.String(), "will expire"); warned != slices.Contains(test.answer, "client_secret_expires_at") {
				t.Errorf("warned: %v", warned)
			}
		})
	}
}

// TestRevokeBridged: as the client itself, with its secret.
func TestRevokeBridged(t *testing.T) {
	for method, want := range map[string]struct{ authorization, body string }{
		"client_secret_basic": {"Basic dHBwJTI2MTpzJTNE", "token=" + accessToken + "&token_type_hint=access_token"},
		"client_secret_post":  {"", "client_id=tpp%261&client_secret=s%3D&token=" + accessToken + "&token_type_hint=access_token"},
	} {
		e := newEdge(t, nil)
		e.on(revoke, answer(http.StatusOK, ""))
		v := registry.Revocation{Token: accessToken, ClientID: "tpp&1", Bridge: method, ClientSecret: "s="}
		if err := e.Revoke(t.Context(), v); err != nil || !e.Revokes(v) {
			t.Errorf("%s: %v, want a revocation", method, err)
		}
		q := e.only(revoke)
		if q.header.Get("Authorization") != want.authorization || q.body != want.body || q.header.Get("Client-Cert") != "" {
			t.Errorf("%s: asked %+v", method, q)
		}
	}
}
