package storetest

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

var panics = []test{
	{"in an update", func(t *testing.T, s registry.Store) {
		fault := new(int)
		recovered := caught(func() {
			err := s.Update(t.Context(), func(w registry.Writer) error {
				if err := w.Put("a", []byte("x")); err != nil {
					return err
				}
				panic(fault)
			})
			t.Errorf("the update returned %v", err)
		})
		if recovered != fault {
			t.Errorf("recovered %v, want the function's own value", recovered)
		}
		wantAbsent(t, s, "a")
		mustPut(t, s, "a", "after")
		wantValue(t, s, "a", "after")
	}},
	{"in a view", func(t *testing.T, s registry.Store) {
		fault := new(int)
		recovered := caught(func() {
			err := s.View(t.Context(), func(registry.Reader) error { panic(fault) })
			t.Errorf("the view returned %v", err)
		})
		if recovered != fault {
			t.Errorf("recovered %v, want the function's own value", recovered)
		}
		mustPut(t, s, "a", "after")
		wantValue(t, s, "a", "after")
	}},
	{"among others", func(t *testing.T, s registry.Store) {
		amongOthers(t, s, func(fault any) { panic(fault) })
	}},
	// What t.FailNow in an update function does.
	{"goexit among others", func(t *testing.T, s registry.Store) {
		amongOthers(t, s, func(any) { runtime.Goexit() })
	}},
}

// caught returns what f panics with.
func caught(f func()) (recovered any) {
	defer func() { recovered = recover() }()
	f()
	return nil
}

// amongOthers lets every third update leave its function by force, each with a
// value of its own, while the others commit.
func amongOthers(t *testing.T, s registry.Store, leave func(any)) {
	const updates = 48
	var returned atomic.Int64
	together(t, updates, func(i int) error {
		key := fmt.Sprintf("k/%d", i)
		if i%3 != 0 {
			return put(t.Context(), s, key, "x")
		}
		// A goroutine of its own, since Goexit ends it.
		gone := make(chan any)
		go func() {
			defer close(gone)
			recovered := caught(func() {
				if s.Update(t.Context(), func(w registry.Writer) error {
					if err := w.Put(key, []byte("x")); err != nil {
						return err
					}
					leave(i)
					return nil
				}) == nil {
					returned.Add(1)
				}
			})
			gone <- recovered
		}()
		if recovered := wait.For(t, gone, "an update that panics"); recovered != nil && recovered != i {
			return fmt.Errorf("update %d recovered %v", i, recovered)
		}
		return nil
	})
	if n := returned.Load(); n != 0 {
		t.Errorf("%d updates returned nil", n)
	}
	for i := range updates {
		if key := fmt.Sprintf("k/%d", i); i%3 == 0 {
			wantAbsent(t, s, key)
		} else {
			wantValue(t, s, key, "x")
		}
	}
}
