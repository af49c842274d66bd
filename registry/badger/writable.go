package badger

import (
	"errors"
	"fmt"
	"os"
)

// writable returns nil, or ErrReadOnly where no file can be made in the directory.
// It is asked before every commit: a commit goes to a file that is open, and Badger
// needs a new one only after thousands of them. Where it cannot have that one it is
// lost until it is opened anew, and at its end it tries again for ever.
func writable(dir string) error {
	if mayWrite(dir) {
		return nil
	}
	return tryFile(dir) // which knows: permissions are more than mayWrite may see
}

// tryFile makes a file.
func tryFile(dir string) error {
	f, err := os.CreateTemp(dir, ".writable-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fmt.Errorf("%w: %s must belong to the user that this process runs as, on a disk that is not read-only: %w", ErrReadOnly, dir, err)
	}
	return nil
}
