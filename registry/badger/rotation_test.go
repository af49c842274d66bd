package badger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestKilledInARotation: a process that ends between the creation of Badger's
// next file and its first byte leaves an empty one.
func TestKilledInARotation(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"00099.mem", "000099.vlog"} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			s := openIn(t, dir, func(*badger.Options) {})
			put := func(s *Store, key string) {
				t.Helper()
				err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(key, document(key)) })
				if err != nil {
					t.Fatal(err)
				}
			}
			put(s, "before")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"after", "once more"} {
				s = openIn(t, dir, func(*badger.Options) {})
				put(s, key)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s = openIn(t, dir, func(*badger.Options) {})
			err := s.View(t.Context(), func(r registry.Reader) error {
				for _, key := range []string{"before", "after", "once more"} {
					if _, err := r.Get(key); err != nil {
						t.Errorf("%s: %v", key, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
