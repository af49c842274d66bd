package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestKeysetCommands add a key to the configured keyset and promote it, in this order alone.
func TestKeysetCommands(t *testing.T) {
	dir := machine(t)
	file := filepath.Join(dir, "caddy/openbanking_dcr/keyset.json")
	run := func(step string) (string, error) {
		c := keyset()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&out)
		c.SetArgs([]string{step, "--config", filepath.Join(dir, "Caddyfile")})
		err := c.ExecuteContext(t.Context())
		return out.String(), err
	}
	keys := func() []uint32 {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		k, err := registry.ReadKeyset(text)
		if err != nil {
			t.Fatal(err)
		}
		return k.KeyIDs()
	}
	first := keys()
	if out, err := run("promote"); err == nil || !strings.Contains(err.Error(), "add a key first") {
		t.Errorf("promoting first: got %s, %v", out, err)
	}
	out, err := run("add")
	both := keys()
	if err != nil || len(both) != 2 || both[0] != first[0] || !strings.Contains(out, "caddy dcr keyset promote") || !strings.Contains(out, file) {
		t.Errorf("got %s, %v, keys %v, want one more, and what to do", out, err, both)
	}
	if out, err := run("add"); err == nil || !strings.Contains(err.Error(), "promote it first") {
		t.Errorf("adding twice: got %s, %v", out, err)
	}
	out, err = run("promote")
	if got := keys(); err != nil || len(got) != 2 || got[0] != both[1] || !strings.Contains(out, "is the primary one") {
		t.Errorf("got %s, %v, keys %v, want %d in front", out, err, got, both[1])
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if out, err := run("tell"); err == nil {
		t.Errorf("an unknown step: got %s", out)
	}
}
