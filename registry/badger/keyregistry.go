package badger

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// checkKeyRegistry reads Badger's list of data keys as Badger does. Nothing is encrypted, so
// it is empty but for its header: without the file Badger makes it anew, damaged it refuses
// the directory, with words about encryption keys.
func checkKeyRegistry(dir string) error {
	path := filepath.Join(dir, badger.KeyRegistryFileName)
	f, err := os.Open(path)
	if err != nil {
		return nil // missing, or Badger tells
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	if _, err := badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: dir, ReadOnly: true}); err != nil {
		return fmt.Errorf("registry/badger: %s is damaged: %w; it holds nothing that is needed: move it away and start again, a new one is made", path, err)
	}
	return nil
}
