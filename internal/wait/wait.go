// Package wait bounds what tests wait for, and says what it was that did not come.
package wait

import (
	"sync"
	"testing"
	"time"
)

// Limit is how long a test waits for what must happen, on a busy machine too. No test
// that passes waits that long, also by the clock of a bubble of testing/synctest.
const Limit = 10 * time.Minute

// For receives from c. It fails the test where nothing comes within Limit.
func For[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(Limit):
		t.Fatalf("waited %s in vain for %s", Limit, what)
	}
	return v
}

// ForGroup waits until all of group have ended. It fails the test where they have not
// within Limit.
func ForGroup(t testing.TB, group *sync.WaitGroup, what string) {
	t.Helper()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	For(t, done, what)
}

// Until asks again and again until ok is true. It fails the test where ok is not within
// Limit.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	if !Poll(ok) {
		t.Fatalf("waited %s in vain for %s", Limit, what)
	}
}

// Poll reports whether ok becomes true within Limit: for goroutines, which cannot end the
// test. It asks every millisecond.
func Poll(ok func() bool) bool {
	for deadline := time.Now().Add(Limit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
