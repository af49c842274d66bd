package jwks_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestAnswers: what is given is not asked for, and offline nothing is.
func TestAnswers(t *testing.T) {
	const keys, other = "https://keys.example/keys.jwks", "https://keys.example/other.jwks"
	client := jwks.NewClient(jwks.Options{})
	ctx := jwks.WithAnswers(t.Context(), &jwks.Answers{Bodies: map[string][]byte{keys: []byte("{}")}, Offline: true})
	res, err := client.Get(ctx, keys)
	if err != nil || res.Status != http.StatusOK || string(res.Body) != "{}" {
		t.Errorf("%+v, %v; want 200 {}", res, err)
	}
	_, err = client.Get(ctx, other)
	if !errors.Is(err, jwks.ErrOffline) || !strings.Contains(err.Error(), other) {
		t.Errorf("%v, want ErrOffline that names %s", err, other)
	}
	// Not even what is answered is spoken of otherwise than over https.
	if _, err := client.Get(ctx, "http://keys.example/keys.jwks"); err == nil || errors.Is(err, jwks.ErrOffline) {
		t.Errorf("%v, want a refusal of http, not ErrOffline", err)
	}
}
