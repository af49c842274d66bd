package gateway

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// TestTokenAudience: where JWTs are verified here, one for the issuer or for the registration
// endpoint registers and manages, and one for somebody else does neither.
func TestTokenAudience(t *testing.T) {
	s := newStage(t, func(_ *stage, _ *Options, as *authserver.Options) {
		as.Validate = authserver.JWT
		as.RegistrationEndpoint = func(issuer string) string { return RegisterURL("", issuer, stagePath) }
	})
	jwt := func(audience any, client, scope string) string {
		now := time.Now()
		return strangerKey().sign(t, map[string]any{ // the key of the AS here
			"iss": stageIssuer, "sub": client, "client_id": client, "aud": audience, "scope": scope, "jti": uuid.NewString(), "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		}, map[string]any{"typ": "at+jwt"})
	}
	register := func(audience any) *siteAnswer {
		return s.dcr(s.acme, http.MethodPost, stageRegister, jwt(audience, "registrar", "dcr_register"), s.acme.request(nil))
	}
	id := register(stageIssuer).text("client_id")
	for _, c := range []struct {
		name     string
		audience any
		good     bool
	}{
		{"the issuer", stageIssuer, true}, {"the registration endpoint", stageRegister, true}, {"the issuer among others", []string{"https://api.bank.example", stageIssuer}, true},
		{"another", "https://api.bank.example", false}, {"none", nil, false},
	} {
		refused := errorRow{http.StatusUnauthorized, "invalid_token", `, error="invalid_token"`, "access token: "}
		registered, read := register(c.audience), s.dcr(s.acme, http.MethodGet, stageRegister+"/"+id, jwt(c.audience, id, "accounts"), "")
		if c.good {
			if registered.status != http.StatusCreated || read.status != http.StatusOK {
				t.Errorf("%s: registers %s, reads %s, want 201 and 200", c.name, registered, read)
			}
			continue
		}
		if err := errors.Join(refused.check(s, registered), refused.check(s, read)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
