package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// memtable is what Badger gathers in memory before it writes a table, in bytes.
	memtable = 8 << 20
	// fillingMemtable is that of a store that is being filled: with memtable, compactions
	// rewrite each record several times, and a restore takes longer by half.
	fillingMemtable = 64 << 20
	// fillingName is the file that says that fillingMemtable counts.
	fillingName = "FILLING"
)

// memtableIn is the size of memtables for a directory: the large one from when it is filled
// to the next regular end. What a process has left that was killed meanwhile has no room in
// a smaller one, and Badger ends the process over that.
func memtableIn(dir string, filling bool) (int64, error) {
	name := filepath.Join(dir, fillingName)
	if filling {
		if err := errors.Join(os.WriteFile(name, nil, 0o600), syncDirectory(dir)); err != nil {
			return 0, fmt.Errorf("registry/badger: %w", err)
		}
	}
	switch _, err := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return memtable, nil
	case err != nil:
		return 0, fmt.Errorf("registry/badger: %w", err)
	}
	return fillingMemtable, nil
}

// filled makes the memtables of the next time small: Badger has closed, and has left none.
func filled(dir string) error {
	if err := os.Remove(filepath.Join(dir, fillingName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("registry/badger: %w", err)
	}
	return nil
}
