package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// withStatement is a good request but for the statement in it.
func (s *stage) withStatement(changes map[string]any) string {
	s.t.Helper()
	return s.acme.request(map[string]any{"software_statement": s.acme.statement(changes)})
}

// withHeader is a good request whose header is changed, signed with a key of the software.
func (s *stage) withHeader(key signingKey, changes map[string]any) string {
	s.t.Helper()
	return key.sign(s.t, s.acme.requestClaims(nil), changes)
}

// otherSignature is a JWS with another character in its signature.
func otherSignature(jws string) string {
	at := strings.LastIndexByte(jws, '.') + 10
	other := "A"
	if jws[at] == 'A' {
		other = "B"
	}
	return jws[:at] + other + jws[at+1:]
}

// TestBadRequests: the rows of the error table for the request itself, as POST and as PUT,
// each with its exact status, code and headers.
func TestBadRequests(t *testing.T) {
	s := newStage(t, func(s *stage, o *Options, _ *authserver.Options) {
		// What may be demanded of statements and certificates is demanded.
		o.BindCertificate = []string{verify.BindSSAJWKS}
		o.Rules.Issuers[0].Demands = append(o.Rules.Issuers[0].Demands,
			verify.Demand{Claim: "software_mode", Values: []string{"Live"}}, verify.Demand{Claim: "org_id", Values: []string{s.acme.org}})
	})
	id, own := s.registered(s.acme, nil)
	token, good := s.registrationToken(), s.acme.request(nil)
	const metadata, statement, unapproved = "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement"
	past := time.Now().Add(-time.Hour).Unix()
	claim := func(name string, value any) string { return s.acme.request(map[string]any{name: value}) }
	ssa := func(name string, value any) string { return s.withStatement(map[string]any{name: value}) }
	for _, c := range []struct{ name, code, says, body string }{
		{"not a JWS", metadata, "registration request is not a compact JWS", "hello"},
		{"JSON", metadata, "registration request is not a compact JWS", `{"iss":"x"}`},
		{"bad signature", metadata, "registration request has a signature", otherSignature(good)},
		{"signed with another key", metadata, "registration request has a signature", s.withHeader(strangerKey(), map[string]any{"kid": softwareKey().kid})},
		{"unknown kid", metadata, "registration request is signed with a key that is not in the JWKS", s.withHeader(strangerKey(), nil)},
		{"key published for TLS", metadata, "registration request is signed with a key whose use is 'tls'", s.withHeader(transportKey(), nil)},
		{"alg RS256", metadata, "registration request has alg 'RS256'", s.withHeader(softwareKey(), map[string]any{"alg": "RS256"})},
		{"alg none", metadata, "registration request has alg 'none'", s.withHeader(softwareKey(), map[string]any{"alg": "none"})},
		{"alg of another key", metadata, "registration request ", s.withHeader(softwareKey(), map[string]any{"alg": "ES256"})},
		{"typ at+jwt", metadata, "registration request has typ 'at+jwt'", s.withHeader(softwareKey(), map[string]any{"typ": "at+jwt"})},
		{"expired", metadata, "exp: expired", s.acme.request(map[string]any{"iat": past - 60, "exp": past})},
		{"iss", metadata, "iss: ", claim("iss", "somebodyElse")},
		{"aud", metadata, "aud: ", claim("aud", "https://other.example")},
		{"jti missing", metadata, "jti: ", claim("jti", nil)},
		{"bad metadata", metadata, "grant_types: ", claim("grant_types", []string{"implicit"})},
		{"scope beyond the roles", metadata, "scope: 'payments'", claim("scope", "openid payments")},
		{"DN of another certificate", metadata, "tls_client_auth_subject_dn: ", claim("tls_client_auth_subject_dn", "CN=other,C=GB")},
		{"redirect URI that is none", "invalid_redirect_uri", "redirect_uris: ", claim("redirect_uris", []string{"http://tpp.example/callback"})},
		{"redirect URI of nobody's", "invalid_redirect_uri", "redirect_uris: ", claim("redirect_uris", []string{"https://tpp.example/callback", "https://evil.example/"})},
		{"no statement", statement, "software_statement: missing", claim("software_statement", nil)},
		{"statement that is none", statement, "software_statement: ", claim("software_statement", "hello")},
		{"statement with a bad signature", statement, "software_statement: has a signature", claim("software_statement", otherSignature(s.acme.statement(nil)))},
		{"expired statement", statement, "software_statement: ", ssa("exp", past)},
		{"statement of tomorrow", statement, "software_statement: ", ssa("iat", time.Now().Add(time.Hour).Unix())},
		{"statement without software_id", statement, "software_statement: ", ssa("software_id", nil)},
		{"statement of an unknown issuer", unapproved, "software_statement: its issuer", claim("software_statement", s.stranger.statement(nil))},
		{"organisation withdrawn", unapproved, "software_statement: ", ssa("org_status", "Withdrawn")},
		{"software in test", unapproved, "software_statement: ", ssa("software_mode", "Test")},
		{"another organisation", unapproved, "software_statement: ", ssa("org_id", "0015800001041RZZZZ")},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := errorRow{http.StatusBadRequest, c.code, "", c.says}
			if err := want.check(s, s.dcr(s.acme, http.MethodPost, stageRegister, token, c.body)); err != nil {
				t.Errorf("POST: %v", err)
			}
			if err := want.check(s, s.dcr(s.acme, http.MethodPut, stageRegister+"/"+id, own, c.body)); err != nil {
				t.Errorf("PUT: %v", err)
			}
		})
	}
	t.Run("certificate that the statement does not name", func(t *testing.T) {
		unnamed := *s.acme
		unnamed.transport = clientCA().issue(t, s.acme.subject, nil)
		if err := (errorRow{http.StatusBadRequest, metadata, "", "client_certificate: "}).check(s, s.dcr(&unnamed, http.MethodPost, stageRegister, token, good)); err != nil {
			t.Error(err)
		}
	})
	// None of them has used up the token, or the request.
	if a := s.dcr(s.acme, http.MethodPost, stageRegister, token, good); a.status != http.StatusCreated {
		t.Errorf("the good request: %s, want 201", a)
	}
	t.Run("replay", func(t *testing.T) {
		if err := (errorRow{http.StatusBadRequest, metadata, "", "jti: this request was sent before"}).check(s, s.dcr(s.acme, http.MethodPost, stageRegister, s.registrationToken(), good)); err != nil {
			t.Error(err)
		}
	})
}

// TestUpdateOfAnotherClientIsRefused: a PUT is of the same client, software and organisation.
func TestUpdateOfAnotherClientIsRefused(t *testing.T) {
	s := newStage(t, nil)
	id, own := s.registered(s.acme, nil)
	const metadata = "invalid_client_metadata"
	for _, c := range []struct {
		name, body string
		want       errorRow // of no status: it is accepted
	}{
		{"another client_id", s.acme.request(map[string]any{"client_id": "somebody"}), errorRow{http.StatusBadRequest, metadata, "", "client_id: "}},
		{"its own client_id", s.acme.request(map[string]any{"client_id": id}), errorRow{}},
		{"no client_id", s.acme.request(nil), errorRow{}},
		{"another organisation", s.withStatement(map[string]any{"org_id": "0015800001041RZZZZ"}), errorRow{http.StatusBadRequest, metadata, "", "org_id: "}},
		{"another software", s.acme.request(map[string]any{
			"iss": "other", "software_id": "other", "software_statement": s.acme.statement(map[string]any{"software_id": "other"}),
		}), errorRow{http.StatusBadRequest, metadata, "", "software_id: "}},
	} {
		a := s.dcr(s.acme, http.MethodPut, stageRegister+"/"+id, own, c.body)
		if c.want.status == 0 {
			if a.status != http.StatusOK || a.text("client_id") != id {
				t.Errorf("%s: %s, want 200 for %s", c.name, a, id)
			}
		} else if err := c.want.check(s, a); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
