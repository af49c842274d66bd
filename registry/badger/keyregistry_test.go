package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// TestDamagedKeyRegistry: KEYREGISTRY holds nothing of a store that is not encrypted, so
// the error says to move it away, and that is enough. What Badger takes is never refused.
func TestDamagedKeyRegistry(t *testing.T) {
	t.Parallel()
	skipLong(t)
	original := image(t)
	size := len(mustRead(t, filepath.Join(original, badger.KeyRegistryFileName)))
	harms := map[string]func(path string) error{
		"longer":    func(path string) error { return resize(path, 3) },
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	}
	for n := 0; n < size; n += 3 {
		harms[fmt.Sprint("cut off at ", n)] = func(path string) error { return os.Truncate(path, int64(n)) }
		harms[fmt.Sprint("flipped at ", n)] = flip(int64(n))
	}
	refused := 0
	for name, harm := range harms {
		dir := copyOf(t, original)
		path := filepath.Join(dir, badger.KeyRegistryFileName)
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
		s, err := open(Options{Dir: dir}, small)
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it away") || errors.Is(err, ErrLoss) {
				t.Errorf("%s: %v, want an error that names %s and says to move it away, not ErrLoss", name, err, path)
			}
			if err := os.Rename(path, filepath.Join(t.TempDir(), "away")); err != nil {
				t.Fatal(err)
			}
			s = openIn(t, dir, small)
		}
		holdsAll(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if refused < size/3 {
		t.Errorf("told %d times of %d", refused, len(harms))
	}
}
