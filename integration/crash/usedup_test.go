package crash_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// usedUp holds that nothing of an attempt that was acknowledged registers another
// client, and that this is why: a request that is refused for something else would
// say nothing of the token or the jti.
func (b *bank) usedUp(t *testing.T, a attempt) {
	t.Helper()
	fresh, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		name string
		attempt
		status      int
		code, claim string
	}{
		{"the token with another request", attempt{token: a.token, body: fresh.body}, http.StatusUnauthorized, "invalid_token", ""},
		{"the jti in another request", attempt{token: fresh.token, body: b.withJTIOf(t, a)}, http.StatusBadRequest, "invalid_client_metadata", "jti"},
	} {
		r, err := insist(t.Context(), func() (*tpp.Response, error) {
			return b.Client(b.Acme).Register(t.Context(), b.Register, try.token, try.body)
		})
		if err != nil || r.Status != try.status || r.Text("error") != try.code || !strings.HasPrefix(r.Text("error_description"), try.claim) {
			t.Errorf("%s: %v, %v; want %d %s", try.name, r, err, try.status, try.code)
		}
	}
	// Refused for what is used up, it has burnt nothing that is not.
	b.register(t, fresh)
}

// stayUsedUp looks at all attempts that were acknowledged once more. Until the lease
// of a reservation ends, one that was never made final looks as if it had been.
func (b *bank) stayUsedUp(t *testing.T) {
	t.Helper()
	for _, a := range b.acknowledged {
		wait := time.NewTimer(time.Until(a.at.Add(leased)))
		select {
		case <-wait.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
		b.usedUp(t, a.attempt)
	}
}

// leased is longer than the lease of the gateway with crash points.
const leased = 7 * time.Second

// acknowledgement is an attempt that a TPP has got a 201 for, and when.
type acknowledgement struct {
	attempt
	at time.Time
}

// withJTIOf is another request with the jti of an attempt.
func (b *bank) withJTIOf(t *testing.T, a attempt) string {
	t.Helper()
	claims, err := verify.UnverifiedClaims([]byte(a.body))
	if err != nil {
		t.Fatal(err)
	}
	jti, _, err := claims.String("jti")
	if err != nil {
		t.Fatal(err)
	}
	body, err := b.Acme.Request(map[string]any{"jti": jti})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// usedTwice counts the attempts that more than one client of the registry comes of: a
// token and a jti that were good for each. Every attempt has a redirect URI of its own.
func (b *bank) usedTwice(t *testing.T) (twice int) {
	t.Helper()
	clients := map[string]int{}
	for _, record := range b.made {
		var c struct {
			Metadata struct {
				RedirectURIs []string `json:"redirect_uris"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(record, &c); err != nil || len(c.Metadata.RedirectURIs) != 1 {
			t.Fatalf("record %.300s: %v", record, err)
		}
		clients[strings.TrimSuffix(c.Metadata.RedirectURIs[0], "/updated")]++
	}
	for _, n := range clients {
		if n > 1 {
			twice++
		}
	}
	return twice
}
