package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestBackupOnFullDisk: a backup that does not fit on its disk is none: the command says so, and
// leaves no file. The gateway goes on.
func TestBackupOnFullDisk(t *testing.T) {
	t.Parallel()
	if ranInNamespace(t) {
		return
	}
	p := learn(t, open(t, story.Options{Kind: onceKinds()[0]}))
	id, _ := registered(t, p)
	full := filepath.Join(p.Dir, "full")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := mount(full, 8<<10, 4); err != nil {
		t.Skipf("nobody may mount a disk here, so that none can be full: %v", err)
	}
	t.Cleanup(func() { unmount(t, full) })
	out, err := p.Gateway.Command(t.Context(), "dcr", "backup", "full/one.backup", "--config", "Caddyfile", "--reason", "a test")
	if err == nil || !strings.Contains(out, "no space left on device") {
		t.Errorf("got %v, %s; want that there is no space", err, out)
	}
	if left, err := os.ReadDir(full); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
