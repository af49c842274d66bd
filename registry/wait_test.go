package registry_test

import (
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen, by its own clock. In most tests
// here that one runs ahead while all goroutines wait.
const patience = 30 * time.Minute

// within receives from c, or fails the test.
func within[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %s in vain for %s", patience, what)
	}
	return v
}

// ended waits for a group, or fails the test.
func ended(t testing.TB, group *sync.WaitGroup, what string) {
	t.Helper()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	within(t, done, what)
}
