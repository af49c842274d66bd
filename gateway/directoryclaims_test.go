package gateway

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestStatementWithEmptyClaims: what a directory leaves empty binds nothing, and an
// organisation's JWKS that cannot be used does not count where the software's own has the
// certificate.
func TestStatementWithEmptyClaims(t *testing.T) {
	s := newStage(t, func(_ *stage, o *Options, _ *authserver.Options) { o.BindCertificate = []string{verify.BindSSAJWKS} })
	s.directory.put("/page", []byte("<html>"))
	for name, endpoint := range map[string]any{
		"absent": nil, "null": json.RawMessage("null"), "empty": "", "a list": []string{}, "an object": map[string]any{},
		"a refused host": "https://keys.example/org.jwks", "no URL": "keys", "404": s.acme.endpoint + "nothing", "no JWKS": s.acme.endpoint + "page",
	} {
		a := s.dcr(s.acme, http.MethodPost, stageRegister, s.registrationToken(), s.withStatement(map[string]any{
			"org_jwks_endpoint": endpoint, "scope": "", "redirect_uris": []string{}, "grant_types": []string{""}, "response_types": json.RawMessage("null"),
			"tls_client_auth_subject_dn": "", "application_type": map[string]any{},
		}))
		if a.status != http.StatusCreated {
			t.Errorf("%s: got %s, want 201", name, a)
		}
	}
}

// TestRevokedKey: a key that the directory has revoked signs no registration, where the
// operator asks, although it is still published.
func TestRevokedKey(t *testing.T) {
	for asks, want := range map[bool]errorRow{true: {http.StatusBadRequest, "invalid_client_metadata", "", "registration request is signed with a key that the directory has revoked"}, false: {}} {
		s := newStage(t, func(s *stage, o *Options, _ *authserver.Options) {
			if asks {
				o.Rules.Issuers[0].RevokedKeys = jwks.NewRevokedSources(s.trusting, []string{"127.0.0.1"}, nil).Source
			}
		})
		s.publish(s.acme, strangerKey().jwk(map[string]any{"use": "sig", "alg": "PS256"}))
		s.revoke(softwareKey())
		for _, c := range []struct {
			name string
			key  signingKey
			want errorRow // of no status: it is accepted
		}{{"revoked", softwareKey(), want}, {"current", strangerKey(), errorRow{}}} {
			a := s.dcr(s.acme, http.MethodPost, stageRegister, s.registrationToken(), s.withHeader(c.key, nil))
			if c.want.status == 0 {
				if a.status != http.StatusCreated {
					t.Errorf("the %s key, revoked ones count: %v: got %s, want 201", c.name, asks, a)
				}
			} else if err := c.want.check(s, a); err != nil {
				t.Errorf("the %s key: %v", c.name, err)
			}
		}
	}
}
