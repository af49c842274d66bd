package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestBackupAndRestore: a backup of a running gateway brings back, into an empty store, the
// clients that there were; what is damaged, or would overwrite something, is refused.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, _ := registered(t, p)
	dcr := func(succeeds bool, says string, args ...string) {
		t.Helper()
		out, err := p.Gateway.Command(t.Context(), append([]string{"dcr"}, args...)...)
		if (err == nil) != succeeds || !strings.Contains(out, says) {
			t.Fatalf("dcr %s: %v\n%s\nwant %q, success %t", strings.Join(args, " "), err, out, says, succeeds)
		}
	}
	dcr(true, "To verify it:", "backup", "one.backup", "--config", "Caddyfile", "--reason", "a test")
	dcr(false, "is there already", "backup", "one.backup", "--config", "Caddyfile")
	dcr(false, "--reason is missing", "backup", "two.backup", "--config", "Caddyfile", "--reason", "")
	dcr(false, "does not answer", "backup", "two.backup", "--address", "localhost:1")
	if left, err := filepath.Glob(filepath.Join(p.Dir, "two.backup*")); err != nil || len(left) > 0 {
		t.Errorf("%v are left of backups that failed", left)
	}
	if !strings.Contains(p.Gateway.Log(), `"sent a backup of the store"`) {
		t.Error("the log does not say that a backup was sent")
	}
	dcr(true, "", "restore", "one.backup", "--config", "Caddyfile", "--verify")
	dcr(false, "stop the gateway first", "restore", "one.backup", "--config", "Caddyfile")
	file := filepath.Join(p.Dir, "one.backup")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.Dir, "cut.backup"), whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	restart(t, p, func() error {
		if err := p.Gateway.Stop(); err != nil {
			return err
		}
		store := filepath.Join(p.Dir, "store")
		if err := os.Rename(store, store+".before"); err != nil {
			return err
		}
		dcr(false, "", "restore", "cut.backup", "--config", "Caddyfile")
		dcr(true, "", "restore", "one.backup", "--config", "Caddyfile", "--confirm", "--reason", "nothing was changed after the backup")
		return nil
	})
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
