package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestNew(t *testing.T) {
	for _, test := range []struct {
		name    string
		options authserver.Options
		want    string // in the error; "" when there is none
	}{
		{"the least", authserver.Options{URL: "https://as.example"}, ""},
		{"with a path", authserver.Options{URL: "https://as.example:8443/default/obuk"}, ""},
		{"no URL", authserver.Options{}, "must be an https URL"},
		{"http", authserver.Options{URL: "http://as.example"}, "must be an https URL"},
		{"no host", authserver.Options{URL: "https:///as"}, "must be an https URL"},
		{"no URL at all", authserver.Options{URL: "https://[::1"}, "missing ']'"},
		{"userinfo", authserver.Options{URL: "https://gateway:SECRET@as.example"}, "must be an https URL"},
		{"rfc4514", authserver.Options{URL: "https://as.example", DNFormat: "rfc4514"}, ""},
		{"openssl", authserver.Options{URL: "https://as.example", DNFormat: "openssl"}, ""},
		{"go", authserver.Options{URL: "https://as.example", DNFormat: "go"}, ""},
		{"unknown dn_format", authserver.Options{URL: "https://as.example", DNFormat: "RFC4514"}, `dn_format "RFC4514": must be one of rfc4514, openssl, go`},
		{"jwt", authserver.Options{URL: "https://as.example", Validate: "jwt"}, ""},
		{"introspection", authserver.Options{URL: "https://as.example", Validate: "introspection", ClientID: "gateway"}, ""},
		{"introspection as nobody", authserver.Options{URL: "https://as.example", Validate: "introspection"}, "needs a client at the authorization server"},
		{"initial access token with a line end", authserver.Options{URL: "https://as.example", InitialAccessToken: "SECRET\n"}, "initial_access_token: it has a blank"},
		{"unknown validate", authserver.Options{URL: "https://as.example", Validate: "opaque"}, `validate "opaque": must be introspection or jwt`},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.options.Client, test.options.Supported = jwks.NewClient(jwks.Options{}), verify.DefaultSupportedMetadata()
			s, err := authserver.New(test.options)
			switch {
			case test.want == "" && (err != nil || s == nil):
				t.Errorf("error %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want %q in it", err, test.want)
			case err != nil && strings.Contains(err.Error(), secret):
				t.Errorf("it tells a secret: %v", err)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	for _, test := range []struct {
		name, clientID string
		validate       string
	}{
		{"with a client", "gateway", authserver.Introspection},
		{"without", "", authserver.JWT},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := authserver.New(authserver.Options{URL: "https://as.example", ClientID: test.clientID})
			if err != nil {
				t.Fatal(err)
			}
			if s.Validate != test.validate || s.DNFormat != authserver.RFC4514 || s.ChoosesClientID() {
				t.Errorf("validate %s, dn_format %s, chooses client_id %v", s.Validate, s.DNFormat, s.ChoosesClientID())
			}
			if now := s.Now(); time.Since(now) > time.Minute {
				t.Errorf("clock %v", now)
			}
		})
	}
}

// TestSecretsRepeatedByTheAS: some ASs repeat the token that they refuse
// ("Invalid access token: ..."), and their words go into the log and to TPPs.
func TestSecretsRepeatedByTheAS(t *testing.T) {
	managed := tpp(t)
	managed.Credentials = registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/1"}
	for _, test := range []struct {
		name, call string
		status     int
		repeated   string
		do         func(*edge) error
	}{
		{"initial access token", register, http.StatusUnauthorized, initialToken, func(e *edge) error { _, err := e.Create(t.Context(), tpp(t)); return err }},
		{"initial access token, to the TPP", register, http.StatusBadRequest, initialToken, func(e *edge) error { _, err := e.Create(t.Context(), tpp(t)); return err }},
		{"registration access token of an update", "PUT /as/reg/1", http.StatusUnauthorized, registrationToken, func(e *edge) error { _, err := e.Update(t.Context(), managed); return err }},
		{"registration access token of a deletion", "DELETE /as/reg/1", http.StatusForbidden, registrationToken, func(e *edge) error { return e.Delete(t.Context(), managed) }},
		{"introspected token", introspect, http.StatusBadRequest, accessToken, func(e *edge) error { _, err := e.CheckToken(t.Context(), accessToken); return err }},
		{"gateway's secret", introspect, http.StatusUnauthorized, gatewaySecret, func(e *edge) error { _, err := e.CheckToken(t.Context(), accessToken); return err }},
		{"revoked token", revoke, http.StatusBadRequest, accessToken, func(e *edge) error { return e.Revoke(t.Context(), registry.Revocation{Token: accessToken}) }},
		{"registrar's secret", revoke, http.StatusServiceUnavailable, registrarSecret, func(e *edge) error {
			return e.Revoke(t.Context(), registry.Revocation{Token: accessToken, Registration: true})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(test.call, answer(test.status, `{"error":"invalid_client_metadata","error_description":`+quoted(t, "not valid: "+test.repeated)+`}`))
			err := test.do(e)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), "not valid: ") {
				t.Errorf("the AS's words are missing: %v", err)
			}
			e.tellsNoSecret("the error", err.Error())
			e.tellsNoSecret("what the TPP is told", refusal.From(err).Description)
		})
	}
}
