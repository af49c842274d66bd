package gateway

import (
	"encoding/json"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestAnswerRequestClaims: what comes back is what the stored request has, a JWS as every
// version has kept it, and only where the bank says so.
func TestAnswerRequestClaims(t *testing.T) {
	const registration = `{"client_id":"id"}`
	all := map[string]any{"iss": "software", "iat": 1700000000, "exp": 1700003600, "aud": "bank", "jti": "6F1CB1F6-66e9-4f3e-9a51-a0d1ba8c3f20", "nbf": 1, "sub": "no", "client_id": "no"}
	with := func(name string, value any) map[string]any {
		claims := map[string]any{}
		for n, v := range all {
			claims[n] = v
		}
		claims[name] = value
		return claims
	}
	bare, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	const first, last = `{"iss":"software","iat":1700000000,"exp":1700003600,`, `"jti":"6F1CB1F6-66e9-4f3e-9a51-a0d1ba8c3f20","client_id":"id"}`
	for _, c := range []struct {
		name, stored string
		on           bool
		want         string
	}{
		{"off", unsigned(t, all), false, registration},
		{"on", unsigned(t, all), true, first + `"aud":"bank",` + last},
		{"a bare request", string(bare), true, first + `"aud":"bank",` + last},
		{"one audience in a list", unsigned(t, with("aud", []string{"bank"})), true, first + `"aud":"bank",` + last},
		{"several", unsigned(t, with("aud", []string{"https://bank.example", "bank", "other"})), true, first + `"aud":"bank",` + last},
		{"several, none in the configuration", unsigned(t, with("aud", []string{"https://bank.example", "other"})), true, first + `"aud":"https://bank.example",` + last},
		{"left out", unsigned(t, with("aud", nil)), true, first + last},
		{"none", unsigned(t, map[string]any{"client_name": "x"}), true, registration},
	} {
		claims, err := verify.StoredClaims([]byte(c.stored))
		if err != nil {
			t.Fatal(err)
		}
		g := &Gateway{options: Options{Rules: verify.RequestRules{Audiences: []string{"bank"}}, AnswerRequestClaims: c.on}}
		if got := string(g.withRequestClaims([]byte(registration), claims)); got != c.want || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
