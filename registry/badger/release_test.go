package badger

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestCloseWithoutRoom: Close comes back without having touched the disk, and the
// directory is released when there is room. What was written is there all the time.
func TestCloseWithoutRoom(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{"full": ErrFull, "read-only": ErrReadOnly} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			var log recorder
			s, err := Open(Options{Dir: dir, Logger: &log})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("before", []byte("x")) }); err != nil {
				t.Fatal(err)
			}
			var bad atomic.Bool
			bad.Store(true)
			s.committer.space.free = func(dir string) (uint64, bool) {
				if bad.Load() && want == ErrFull {
					return commitRoom - 1, true
				}
				return free(dir)
			}
			s.committer.space.writable = func(dir string) error {
				if bad.Load() && want == ErrReadOnly {
					return ErrReadOnly
				}
				return writable(dir)
			}
			if err := s.Close(); !errors.Is(err, want) {
				t.Fatalf("close: %v, want %v", err, want)
			}
			if tables, err := filepath.Glob(filepath.Join(dir, "*.sst")); err != nil || len(tables) > 0 {
				t.Errorf("flushed %q, %v", tables, err)
			}
			if err := s.View(t.Context(), func(registry.Reader) error { return nil }); !errors.Is(err, registry.ErrClosed) {
				t.Errorf("a view: %v, want ErrClosed", err)
			}
			if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "this very process") {
				t.Errorf("open: %v, want ErrLocked by this process", err)
			}
			// As a process finds it that comes after this one.
			if err := lookup(t, openIn(t, copyOf(t, dir), untuned), "before"); err != nil {
				t.Errorf("after the end of the process: %v", err)
			}
			bad.Store(false)
			var again *Store
			if !wait.Poll(func() bool { again, err = Open(Options{Dir: dir}); return err == nil }) {
				t.Fatalf("the directory is not released after %s: %v", wait.Limit, err)
			}
			if err := errors.Join(lookup(t, again, "before"), again.Close()); err != nil {
				t.Error(err)
			}
			if said := log.has("warn"); len(said) != 1 || !strings.Contains(said[0], "can close the directory") {
				t.Errorf("logged %q", said)
			}
		})
	}
}
