package gateway

import (
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestUnsignedRequest: bare JSON registers where the certificate is bound to the statement,
// and whoever has only seen the statement does not get in with it.
func TestUnsignedRequest(t *testing.T) {
	s := newStage(t, func(_ *stage, o *Options, _ *authserver.Options) {
		o.Rules.Unsigned, o.BindCertificate = true, []string{verify.BindSSAJWKS}
	})
	claims := s.acme.requestClaims(map[string]any{"iss": nil, "aud": nil, "iat": nil, "exp": nil, "jti": nil, "tls_client_auth_subject_dn": nil})
	bare := string(jsonOf(t, claims))
	signed := s.acme.request(nil)
	post := func(tpp *software, contentType, body string) *siteAnswer {
		return s.do(&tpp.transport, http.MethodPost, stageRegister, body, "Authorization", "Bearer "+s.registrationToken(), "Content-Type", contentType)
	}
	first := post(s.acme, "application/json", bare)
	if first.status != http.StatusCreated {
		t.Fatalf("bare JSON: got %s, want 201", first)
	}
	id := first.text("client_id")
	token := s.clientToken(id, s.acme)
	if a := s.dcr(s.acme, http.MethodGet, stageRegister+"/"+id, token, ""); a.status != http.StatusOK || a.body != first.body {
		t.Errorf("read: got %s, want 200 %s", a, first.body)
	}
	const metadata = "invalid_client_metadata"
	for _, c := range []struct {
		name, contentType, body string
		as                      *software
		want                    errorRow // of no status: it is accepted
	}{
		{"with its character set", "application/json; charset=utf-8", bare, s.acme, errorRow{}},
		{"another's certificate", "application/json", bare, s.other, errorRow{http.StatusBadRequest, metadata, "", "client_certificate: "}},
		{"a JWS", "application/jose", signed, s.acme, errorRow{http.StatusUnsupportedMediaType, "invalid_request", "", "Content-Type: "}},
		{"a JWS that says it is JSON", "application/json", signed, s.acme, errorRow{http.StatusBadRequest, metadata, "", "registration request "}},
		{"two statements", "application/json", `{"software_statement":"x",` + bare[1:], s.acme, errorRow{http.StatusBadRequest, metadata, "", "registration request "}},
	} {
		a := post(c.as, c.contentType, c.body)
		if c.want.status == 0 {
			if a.status != http.StatusCreated {
				t.Errorf("%s: got %s, want 201", c.name, a)
			}
		} else if err := c.want.check(s, a); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// An update brings no other DN.
	claims["tls_client_auth_subject_dn"] = "CN=other,C=GB"
	a := s.do(&s.acme.transport, http.MethodPut, stageRegister+"/"+id, string(jsonOf(t, claims)), "Authorization", "Bearer "+token, "Content-Type", "application/json")
	if err := (errorRow{http.StatusBadRequest, metadata, "", "tls_client_auth_subject_dn: "}).check(s, a); err != nil {
		t.Errorf("update: %v", err)
	}
	if a := s.dcr(s.acme, http.MethodDelete, stageRegister+"/"+id, token, ""); a.status != http.StatusNoContent {
		t.Errorf("deletion: got %s, want 204", a)
	}
}
