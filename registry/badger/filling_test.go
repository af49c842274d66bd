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
	closed := false
	closes := func() {
		if closed {
			return
		}
		closed = true
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	defer closes()
	const updates = 400 // 24 MiB, three memtables of an ordinary store
	value := []byte(strings.Repeat("x", 2<<10))
	keyOf := func(n, i int) string { return fmt.Sprintf("client/%d/%d", n, i) }
	for n := range updates {
		if err := s.Update(t.Context(), func(w registry.Writer) error {
			for i := range 30 {
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
	closes()
	for _, dir := range []string{killed, killed, running} { // the second time, all is in tables
		s := openIn(t, dir, untuned)
		if err := s.View(t.Context(), func(r registry.Reader) error {
			for n := range updates {
				for i := range 30 {
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
}
