package e2e_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestDamagedStore: after five registrations, kill -9 and one flipped bit the gateway
// does not start, again and again, and says what is wrong and what can be done. With the
// word that it asks for it starts, says what is lost, and has what was whole.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	var ids, tokens []string
	for range 5 {
		id, token := registered(t, p)
		ids, tokens = append(ids, id), append(tokens, token)
	}
	if err := p.Gateway.Kill(); err != nil {
		t.Fatal(err)
	}
	log, err := story.FlipBit(filepath.Join(p.Dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	var word string
	for range 2 {
		err := p.Gateway.Restart(t.Context())
		if err == nil {
			t.Fatal("started")
		}
		found := story.AcceptLoss.FindStringSubmatch(err.Error())
		if found == nil || !strings.Contains(err.Error(), "the store does not hold what it held: "+log+": it is damaged at ") {
			t.Fatalf("the error does not say what is wrong: %v", err)
		}
		word = found[1]
	}
	accepting := edited(t, p.Caddyfile, store.Add("accept_loss "+word))
	if err := os.WriteFile(filepath.Join(p.Dir, "Caddyfile"), []byte(accepting), 0o600); err != nil {
		t.Fatal(err)
	}
	lost := "without the missing commits, as accept_loss " + word + " says"
	before := strings.Count(p.Gateway.Log(), lost)
	if err := p.Gateway.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.CloseIdle()
	saysTimes(t, p.Gateway, before+1, lost)
	for n, want := range map[int]int{0: http.StatusOK, 4: http.StatusUnauthorized} {
		if r, err := p.Client(p.Acme).Read(t.Context(), p.Register, ids[n], tokens[n]); err != nil || r.Status != want {
			t.Errorf("client %d: %v, %v, want %d", n, r, err, want)
		}
	}
	// One that was forgotten does not pass at the guard, though the AS knows it.
	if _, err := p.ClientToken(t.Context(), p.Acme, ids[0]); err != nil {
		t.Errorf("client 0 at the token endpoint: %v", err)
	}
	if token, err := p.ClientToken(t.Context(), p.Acme, ids[4]); err == nil {
		t.Errorf("client 4, forgotten, has a token: %q", token)
	}
	// What was issued up to the epoch registers nobody: it may have been used.
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body); err != nil || r.Status != http.StatusUnauthorized || !strings.Contains(r.Text("error_description"), "may have registered before") {
		t.Errorf("a token from before the epoch: %v, %v, want 401, may have registered before", r, err)
	}
	// The word stays where it is, and the gateway goes on as ever.
	for _, end := range []func() error{p.Gateway.Kill, p.Gateway.Stop} {
		if err := errors.Join(end(), p.Gateway.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
		p.CloseIdle()
		if r, err := p.Client(p.Acme).Read(t.Context(), p.Register, ids[0], tokens[0]); err != nil || r.Status != http.StatusOK {
			t.Errorf("after another start: %v, %v, want 200", r, err)
		}
	}
}
