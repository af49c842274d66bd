package storetest

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

var closings = []test{
	{"everything is refused afterwards", func(t *testing.T, s registry.Store) {
		mustPut(t, s, "a", "x")
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		for call, err := range map[string]error{
			"view":   s.View(t.Context(), func(registry.Reader) error { return nil }),
			"update": put(t.Context(), s, "a", "y"),
			"close":  s.Close(),
		} {
			if !errors.Is(err, registry.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", call, err)
			}
		}
		if _, err := s.Watch(t.Context(), "a"); !errors.Is(err, registry.ErrClosed) {
			t.Errorf("watch: %v, want ErrClosed", err)
		}
	}},
	{"waits for a view", func(t *testing.T, s registry.Store) {
		mustPut(t, s, "a", "x")
		closeDuring(t, s, func(block func()) error {
			return s.View(t.Context(), func(r registry.Reader) error {
				block()
				_, err := r.Get("a")
				return err
			})
		})
	}},
	{"waits for an update", func(t *testing.T, s registry.Store) {
		closeDuring(t, s, func(block func()) error {
			return s.Update(t.Context(), func(w registry.Writer) error {
				block()
				return w.Put("a", []byte("x"))
			})
		})
	}},
	{"under writers", func(t *testing.T, s registry.Store) {
		together(t, 16, func(i int) error {
			if i == 0 {
				return s.Close()
			}
			for {
				err := put(t.Context(), s, "a", "x")
				if errors.Is(err, registry.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
	}},
}

// closeDuring closes the store while call is under way. Once new calls are
// refused, Close must have begun and must not have returned; then the call ends.
func closeDuring(t *testing.T, s registry.Store, call func(block func()) error) {
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	running := make(chan error, 1)
	go func() {
		running <- call(func() {
			once.Do(func() { close(entered) })
			<-release
		})
	}()
	wait.For(t, entered, "the call's turn")
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	refused := make(chan struct{})
	go func() {
		defer close(refused)
		for t.Context().Err() == nil && !errors.Is(s.View(t.Context(), func(registry.Reader) error { return nil }), registry.ErrClosed) {
			runtime.Gosched()
		}
	}()
	wait.For(t, refused, "a call that is refused because of close")
	select {
	case err := <-closed:
		t.Errorf("close returned %v under a running call", err)
	default:
	}
	close(release)
	if err := wait.For(t, running, "the call"); err != nil {
		t.Errorf("the running call: %v", err)
	}
	if err := wait.For(t, closed, "close"); err != nil {
		t.Errorf("close: %v", err)
	}
}
