package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

var watches = []test{
	{"its own prefix only", func(t *testing.T, s registry.Store) {
		a, b, all := watch(t, s, "a/"), watch(t, s, "b/"), watch(t, s, "")
		mustPut(t, s, "b/1", "x")
		wantSignal(t, b)
		wantSignal(t, all)
		wantQuiet(t, a, "a key of another prefix")
		update(t, s, func(w registry.Writer) error { return w.Delete("b/1") })
		wantSignal(t, b)
		mustPut(t, s, "a/1", "x", "c", "x")
		wantSignal(t, a)
	}},
	{"not for what was not written", func(t *testing.T, s registry.Store) {
		a := watch(t, s, "a/")
		if err := s.Update(t.Context(), func(w registry.Writer) error {
			if err := w.Put("a/1", []byte("x")); err != nil {
				return err
			}
			return errOwn
		}); err == nil {
			t.Error("the update returned nil")
		}
		if err := s.View(t.Context(), func(r registry.Reader) error {
			_, err := r.Scan("a/", "", 1)
			return err
		}); err != nil {
			t.Error(err)
		}
		mustPut(t, s, "b", "x")
		wantQuiet(t, a, "an update that failed")
	}},
	{"signals are coalesced", func(t *testing.T, s registry.Store) {
		a := watch(t, s, "a/")
		const updates = 100 // None waits for the receiver.
		for i := range updates {
			mustPut(t, s, fmt.Sprintf("a/%d", i), "x")
		}
		wantSignal(t, a)
		more := 0
		for drained := false; !drained; {
			select {
			case <-a:
				more++
			default:
				drained = true
			}
		}
		if more >= updates {
			t.Errorf("%d signals for %d updates", more+1, updates)
		}
	}},
	{"no change is missed", noneMissed},
	{"closed when its context ends", func(t *testing.T, s registry.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		ended, err := s.Watch(ctx, "a/")
		if err != nil {
			t.Fatal(err)
		}
		other := watch(t, s, "a/")
		cancel()
		wantClosed(t, ended)
		mustPut(t, s, "a/1", "x")
		wantSignal(t, other)
	}},
	{"closed with the store", func(t *testing.T, s registry.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		a, err := s.Watch(ctx, "a/")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wantClosed(t, a)
		cancel() // Must not close it again.
	}},
	{"contexts end under writers", func(t *testing.T, s registry.Store) {
		together(t, 16, func(i int) error {
			for range 10 {
				if i%2 == 0 {
					if err := put(t.Context(), s, "a/1", "x"); err != nil {
						return err
					}
					continue
				}
				ctx, cancel := context.WithCancel(t.Context())
				_, err := s.Watch(ctx, "a/")
				cancel()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}},
}

// noneMissed follows a counter by signals alone to its end.
func noneMissed(t *testing.T, s registry.Store) {
	const last = "100"
	changed := watch(t, s, "n")
	done := make(chan error, 1)
	go func() {
		for i := range 101 {
			if err := put(t.Context(), s, "n", fmt.Sprint(i)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		wantSignal(t, changed)
		if got, _ := lookup(t, s, "n"); got == last {
			break
		}
	}
	if err := wait.For(t, done, "the writer"); err != nil {
		t.Error(err)
	}
}

func watch(t *testing.T, s registry.Store, prefix string) <-chan struct{} {
	t.Helper()
	changed, err := s.Watch(t.Context(), prefix)
	if err != nil {
		t.Fatalf("watch %q: %v", prefix, err)
	}
	return changed
}

func wantSignal(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	select {
	case _, open := <-changed:
		if !open {
			t.Fatal("the channel is closed, want a signal")
		}
	case <-time.After(wait.Limit):
		t.Fatalf("waited %s for a signal in vain", wait.Limit)
	}
}

func wantQuiet(t *testing.T, changed <-chan struct{}, why string) {
	t.Helper()
	select {
	case _, open := <-changed:
		t.Errorf("a signal (open %t) for %s", open, why)
	default:
	}
}

// wantClosed takes what may still be signalled, and then the end.
func wantClosed(t *testing.T, changed <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		for range changed {
		}
		close(ended)
	}()
	wait.For(t, ended, "the channel to be closed")
}
