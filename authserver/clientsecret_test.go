package authserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// withSecrets lets registrations name every method.
func withSecrets(mode string) func(*edge, *authserver.Options) {
	return func(_ *edge, o *authserver.Options) {
		o.TokenEndpointAuth = mode
		o.Supported.AuthMethods = append([]string{"tls_client_auth", "private_key_jwt"}, verify.SecretMethods...)
	}
}

// TestSecretsAreBridged: a secret is the gateway's own, whatever the AS can do.
func TestSecretsAreBridged(t *testing.T) {
	const methods, algs = "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg_values_supported"
	everything := []string{methods, `["tls_client_auth","private_key_jwt","client_secret_jwt","client_secret_basic","client_secret_post"]`}
	for _, test := range []struct {
		name, mode string
		document   []string
		bridge     string // for each method with a secret, empty where it is not offered
		published  string // algorithms of assertions
	}{
		{"an AS that has them all", "auto", everything, "client_secret_basic", `["PS256","ES256","HS256"]`},
		{"bridge", "bridge", everything, "client_secret_basic", `["PS256","ES256","HS256"]`},
		{"an AS with one way for the gateway", "auto", []string{methods, `["tls_client_auth","client_secret_post"]`}, "client_secret_post", `["PS256","ES256","HS256"]`},
		{"an AS with no way for the gateway", "auto", []string{methods, `["tls_client_auth","client_secret_jwt"]`}, "", `["PS256","ES256"]`},
		{"an AS that takes no assertion that a key signs", "auto", append([]string{algs, `["HS256"]`}, everything...), "client_secret_basic", `["PS256","ES256","HS256"]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, withSecrets(test.mode))
			published := e.published(e.document(test.document...))
			m := e.metadata()
			for _, method := range verify.SecretMethods {
				if offered := slices.Contains(m.Supported.AuthMethods, method); offered != (test.bridge != "") || m.Bridge(method) != test.bridge {
					t.Errorf("%s: offered %v, bridge %q, want %q", method, offered, m.Bridge(method), test.bridge)
				}
			}
			if test.mode == "auto" && m.Bridge("tls_client_auth") != "" {
				t.Error("tls_client_auth is bridged")
			}
			if got := string(published.Raw(algs)); got != test.published {
				t.Errorf("published %s, want %s", got, test.published)
			}
		})
	}
}

// TestSecretsAtTheServer: the AS is told of a client of the gateway's, and nothing of how
// the client authenticates. Where the gateway cannot be it, the AS is told nothing.
func TestSecretsAtTheServer(t *testing.T) {
	for _, method := range verify.SecretMethods {
		c := tpp(t)
		c.Metadata.TokenEndpointAuthMethod, c.Metadata.TLSClientAuthSubjectDN = method, ""
		e := newEdge(t, withSecrets("auto"))
		e.on(register, registered(http.StatusCreated, "client_secret", `"`+clientSecret+`"`, "token_endpoint_auth_method", `"client_secret_basic"`))
		p, err := e.Create(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		body := e.only(register).body
		if !strings.Contains(body, `"token_endpoint_auth_method":"client_secret_basic"`) || strings.Contains(body, "auth_signing_alg") || strings.Contains(body, `client_secret"`) {
			t.Errorf("%s: told %s", method, body)
		}
		if p.Metadata.TokenEndpointAuthMethod != method || p.Credentials.Bridge != "client_secret_basic" || p.Credentials.ClientSecret != clientSecret {
			t.Errorf("%s: provisioned %+v", method, p)
		}
		// Switched off since, or native.
		for mode, possible := range map[string]bool{"auto": true, "native": false} {
			off := newEdge(t, func(_ *edge, o *authserver.Options) { o.TokenEndpointAuth = mode })
			off.on(register, registered(http.StatusCreated, "client_secret", `"`+clientSecret+`"`, "token_endpoint_auth_method", `"client_secret_basic"`))
			_, err := off.Create(t.Context(), c)
			if (err == nil) != possible || (len(off.to(register)) > 0) != possible {
				t.Errorf("%s, %s: %v, want a registration: %t", method, mode, err, possible)
			}
			if !possible {
				off.refused(err, refusal.Unavailable)
			}
		}
	}
}
