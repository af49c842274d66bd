package badger

import (
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. Nothing waits that long in a test
// that passes.
const patience = 2 * time.Minute

// within receives from c, or fails the test.
func within[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %s in vain for %s", patience, what)
	}
	return v
}

// waited runs wait, that of a group, or fails the test.
func waited(t *testing.T, wait func() error, what string) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- wait() }()
	return within(t, done, what)
}

// comes tells whether ok becomes true.
func comes(ok func() bool) bool {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
