//go:build linux || darwin || freebsd

package badger

import (
	"fmt"
	"os"
	"syscall"
)

// held tells whether somebody has the directory open: Badger locks it in this way.
func held(dir string) (bool, error) {
	d, err := os.Open(dir)
	if err != nil {
		return false, fmt.Errorf("registry/badger: %w", err)
	}
	defer d.Close() // and the lock is gone
	err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return err == syscall.EWOULDBLOCK, nil
}
