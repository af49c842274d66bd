package badger

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestKilledWhileFilling: what a killed process has written to a store that it filled opens
// as any other store, with all of it.
func TestKilledWhileFilling(t *testing.T) {
	t.Parallel()
	running := filepath.Join(t.TempDir(), "running")
	s, err := Open(Options{Dir: running, Filling: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	const updates, keys = 200, 5 // 12 MiB, more than a memtable of an ordinary store
	value := []byte(strings.Repeat("x", 12<<10))
	keyOf := func(n, i int) string { return fmt.Sprintf("client/%d/%d", n, i) }
	for n := range updates {
		if err := s.Update(t.Context(), func(w registry.Writer) error {
			for i := range keys {
				if err := w.Put(keyOf(n, i), value); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	killed := copyOf(t, running)
	for _, dir := range []string{killed, killed} { // the second time, all is in tables
		s := openIn(t, dir, untuned)
		if err := s.View(t.Context(), func(r registry.Reader) error {
			for n := range updates {
				for i := range keys {
					if _, err := r.Get(keyOf(n, i)); err != nil {
						return fmt.Errorf("%s: %w", keyOf(n, i), err)
					}
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if size, err := memtableIn(killed, false); size != memtable || err != nil {
		t.Errorf("after a regular end: memtables of %d bytes, %v, want %d", size, err, memtable)
	}
}
