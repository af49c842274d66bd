package registry_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

// killedIn names the folder of TestKilledRestoreProcess to the process that is killed.
const killedIn = "REGISTRY_RESTORE_KILLED_IN"

// TestKilledRestoreProcess kills a process that restores, at several moments. What it leaves
// is empty, or opens nowhere, or is whole; and the next restore makes it whole.
func TestKilledRestoreProcess(t *testing.T) {
	if dir := os.Getenv(killedIn); dir != "" {
		restoreAndTell(t, dir)
		return
	}
	if testing.Short() {
		t.Skip("it starts processes")
	}
	t.Parallel()
	dir := t.TempDir()
	original := keep(t)
	everyKind(t, original)
	for n := range 3000 {
		if err := original.Update(t.Context(), func(w registry.Writer) error {
			return w.Put(fmt.Sprintf("document/%04d", n), bytes.Repeat([]byte{byte(n)}, 1000))
		}); err != nil {
			t.Fatal(err)
		}
	}
	file := backupOf(t, original, plain{})
	if err := os.WriteFile(filepath.Join(dir, "backup"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	halves := 0
	for _, lines := range []int{1, 34, 45, 1000} {
		store := filepath.Join(dir, "store")
		if err := os.RemoveAll(store); err != nil {
			t.Fatal(err)
		}
		killAfter(t, dir, lines)
		s, err := badger.Open(badger.Options{Dir: store})
		if err != nil {
			t.Fatalf("killed after %d lines: %v", lines, err)
		}
		_, err = opens(t, registry.Options{Store: lasting{s}, Sealer: plain{}})
		switch {
		case errors.Is(err, registry.ErrRestoring):
			halves++
			if _, err := registry.Restore(t.Context(), registry.Restoration{From: bytes.NewReader(file), Store: s, Sealer: plain{}}); err != nil {
				t.Errorf("killed after %d lines, and restored again: %v", lines, err)
			}
			differ(t, records(t, s), records(t, original), differing...)
		case err != nil:
			t.Errorf("killed after %d lines: got %v, want a whole store, none, or ErrRestoring", lines, err)
		case len(records(t, s)) > 3: // more than about the store itself
			differ(t, records(t, s), records(t, original), append(differing, "store/")...)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if halves < 2 {
		t.Errorf("got %d restores that were killed half way, want 2 or more, or the test proves little", halves)
	}
}

// killAfter lets a process restore until it has told of its progress so often.
func killAfter(t *testing.T, dir string, lines int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledRestoreProcess$")
	c.Env = append(os.Environ(), killedIn+"="+dir)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		for s := bufio.NewScanner(out); lines > 0 && s.Scan(); lines-- {
		}
	}()
	wait.For(t, told, "the progress of the process")
	_ = c.Process.Kill() // it may have ended by itself
	_ = c.Wait()
}

func restoreAndTell(t *testing.T, dir string) {
	file, err := os.Open(filepath.Join(dir, "backup"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s, err := badger.Open(badger.Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tell := func(p registry.BackupProgress, verified bool) { fmt.Println(p.Records, verified) }
	if _, err := registry.Restore(t.Context(), registry.Restoration{From: file, Store: s, Sealer: plain{}, Progress: tell}); err != nil {
		t.Fatal(err)
	}
}
