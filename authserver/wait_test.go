package authserver_test

import (
	"sync"
	"testing"
	"time"
)

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

// ended waits for a group, or fails the test.
func ended(t *testing.T, group *sync.WaitGroup, what string) {
	t.Helper()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	within(t, done, what)
}
