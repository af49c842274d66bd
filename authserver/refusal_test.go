package authserver_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestRefusalNamesMetadata: of the AS's words a TPP is told the client metadata that they
// name as whole words, and nothing else; the log has the words.
func TestRefusalNamesMetadata(t *testing.T) {
	const head, tail = "the authorization server refuses the client metadata", "; register others, or ask the bank"
	for description, named := range map[string]string{
		"redirect_uris must be https":                                                " (it names redirect_uris)",
		`"scope" (and 'grant_types'): odd, see scope.`:                               " (it names scope, grant_types)",
		"tls_client_auth_subject_dn,jwks_uri[0]":                                     " (it names tls_client_auth_subject_dn, jwks_uri)",
		"jwks_uri: https://as.internal:8443/jwks at db-7.internal /etc/as/x.conf":    " (it names jwks_uri)",
		"scopes, myscope, scope_x, xscope, SCOPE, scope-x, a.scope.b":                "",
		"https://as.internal/scope and /var/lib/scope/jwks com.bank.as.scope.jwks":   "",
		"client_secret registration_access_token initial-access-token":               "",
		"connect ECONNREFUSED 127.0.0.1:5432\n    at TCPConnectWrap (node:net:1555)": "",
		"": "",
		"redirect_uris token_endpoint_auth_method grant_types response_types client_name client_uri logo_uri scope contacts tos_uri": " (it names redirect_uris, token_endpoint_auth_method, grant_types, response_types, client_name, client_uri, logo_uri, scope)",
	} {
		body, err := json.Marshal(map[string]string{"error": "invalid_client_metadata", "error_description": description})
		if err != nil {
			t.Fatal(err)
		}
		e := newEdge(t, nil)
		managed := tpp(t)
		managed.Credentials = registry.Credentials{RegistrationAccessToken: registrationToken, RegistrationPath: "/as/reg/client-1"}
		e.on(register, answer(400, string(body)))
		e.on("PUT /as/reg/client-1", answer(400, string(body)))
		for name, call := range map[string]func() error{
			"create": func() error { _, err := e.Create(t.Context(), tpp(t)); return err },
			"update": func() error { _, err := e.Update(t.Context(), managed); return err },
		} {
			refused := e.refused(call(), refusal.InvalidClientMetadata)
			if want := head + named + tail; refused.Description != want {
				t.Errorf("%s, %q: told %q, want %q", name, description, refused.Description, want)
			}
			if first, _, _ := strings.Cut(description, " "); refused.Cause == nil || !strings.Contains(refused.Cause.Error(), first) {
				t.Errorf("%s, %q: the log has %v", name, description, refused.Cause)
			}
		}
	}
}

// TestErrorsPassed: as_errors pass tells a TPP the AS's words, cut and cleaned.
func TestErrorsPassed(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, test := range []struct{ name, body, description string }{
		{"metadata", `{"error":"invalid_client_metadata","error_description":"scope is \"odd\"\\\u0007\u00fc\n at /srv/as.js:1"}`,
			"the authorization server refuses the client metadata (invalid_client_metadata: scope is 'odd'/??); register others, or ask the bank"},
		{"its neighbours", `{"error":"invalid_client_metadata","error_description":"jwks_uri: 10.1.2.3:443, 192.168.0.1, [fd00::1]:443, ::1, fd00:1:2:3:4:5:6:7, localhost:5432, db.internal:5432 at 12:30:45 for https://tpp.example/jwks"}`,
			"(invalid_client_metadata: jwks_uri: ***, ***, [***]:443, ***, ***, ***, *** at 12:30:45 for https://tpp.example/jwks)"},
		{"long metadata", `{"error":"invalid_client_metadata","error_description":"` + long + `"}`, "refuses the client metadata (invalid_client_metadata: " + long[:175] + "...)"},
		{"redirect URI", `{"error":"invalid_redirect_uri","error_description":"no"}`, "refuses the redirect URIs (invalid_redirect_uri: no)"},
		{"a general code", `{"error":"invalid_request"}`, "(invalid_request)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.PassErrors = true })
			e.on(register, answer(400, test.body))
			_, err := e.Create(t.Context(), tpp(t))
			if refused := refusal.From(err); refused.Status() != 400 || !strings.Contains(refused.Description, test.description) {
				t.Errorf("told %q, want %q", refused.Description, test.description)
			}
		})
	}
}
