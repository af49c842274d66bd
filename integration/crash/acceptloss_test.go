package crash_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestKilledWhileAccepting kills the gateway while it accepts that its damaged store has
// lost something. Whichever step it had reached, the next start ends what was begun, with
// the operator's word or without it, and the epoch is in force.
func TestKilledWhileAccepting(t *testing.T) {
	t.Parallel()
	b := openBank(t, variant{authserverprocess.GoOIDC, true, registry.ReregisterReturn})
	first := b.register(t, b.attempted(t))
	for range 4 {
		b.register(t, b.attempted(t))
	}
	before := b.attempted(t)
	if err := b.Gateway.Kill(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(b.Dir, "store")
	if _, err := story.FlipBit(dir); err != nil {
		t.Fatal(err)
	}
	err := b.Gateway.Restart(t.Context())
	if err == nil {
		t.Fatal("started with a damaged store")
	}
	found := story.AcceptLoss.FindStringSubmatch(err.Error())
	if found == nil {
		t.Fatalf("no way out in: %v", err)
	}
	damaged := filepath.Join(b.Dir, "damaged")
	if err := os.Rename(dir, damaged); err != nil {
		t.Fatal(err)
	}
	accepting, err := gateway.Apply(b.Caddyfile, gateway.At(gateway.Global, "openbanking_dcr", "store").Add("accept_loss "+found[1]))
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{"store: set aside", "store: cut off", storeCommitted, "store: loss told"} {
		for name, again := range map[string]string{"with the word": accepting, "without it": b.Caddyfile} {
			t.Run(point+", again "+name, func(t *testing.T) {
				b.acceptKilled(t, damaged, point, accepting, again)
				if uri := b.wholly(t, first); uri == "" {
					t.Error("a client that was whole is lost")
				}
				r, err := b.Client(b.Acme).Register(t.Context(), b.Register, before.token, before.body)
				if err != nil || r.Status != http.StatusUnauthorized || !strings.Contains(r.Text("error_description"), "may have registered before") {
					t.Errorf("a token from before the epoch: %v, %v, want 401, may have registered before", r, err)
				}
			})
		}
	}
}

// attempted prepares a registration.
func (b *bank) attempted(t *testing.T) attempt {
	t.Helper()
	a, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// acceptKilled puts the damaged store in place, kills the gateway at a point while it
// accepts the loss, and starts it again.
func (b *bank) acceptKilled(t *testing.T, damaged, point, accepting, again string) {
	t.Helper()
	dir, caddyfile := filepath.Join(b.Dir, "store"), filepath.Join(b.Dir, "Caddyfile")
	if err := b.Gateway.Stop(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(damaged)), os.WriteFile(caddyfile, []byte(accepting), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := b.Gateway.RestartWith(t.Context(), "DCR_CRASH_AT="+point); !killed(err) {
		t.Fatalf("not killed at %s: %v", point, err)
	}
	if err := os.WriteFile(caddyfile, []byte(again), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Gateway.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.CloseIdle()
}
