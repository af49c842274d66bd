package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

var serials = []test{
	{"no increment is lost", increments},
	{"no write skew", writeSkew},
	{"one of many reserves a key", reservation},
	{"what has returned is seen", func(t *testing.T, s registry.Store) {
		together(t, 8, func(i int) error {
			key := fmt.Sprintf("own/%d", i)
			for n := range 20 {
				want := strconv.Itoa(n)
				if err := put(t.Context(), s, key, want); err != nil {
					return err
				}
				err := s.View(t.Context(), func(r registry.Reader) error {
					got, err := r.Get(key)
					if err == nil && string(got) != want {
						err = fmt.Errorf("%s is %s after %s was written", key, got, want)
					}
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}},
}

// together runs f(0) to f(n-1) at once and fails the test with the first error.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var group errgroup.Group
	start := make(chan struct{})
	for i := range n {
		group.Go(func() error {
			<-start
			return f(i)
		})
	}
	close(start)
	all := make(chan error, 1)
	go func() { all <- group.Wait() }()
	if err := wait.For(t, all, "all calls"); err != nil {
		t.Error(err)
	}
}

// number reads a counter; one that is not there is 0.
func number(get func(string) ([]byte, error), key string) (int, error) {
	data, err := get(key)
	if errors.Is(err, registry.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(data))
}

// increments moves two counters that must always sum up to zero, under views
// that check it, and updates that fail after they have written.
func increments(t *testing.T, s registry.Store) {
	const writers, each = 16, 25
	balance := func(get func(string) ([]byte, error)) (int, error) {
		up, err := number(get, "up")
		if err != nil {
			return 0, err
		}
		down, err := number(get, "down")
		if err == nil && up+down != 0 {
			err = fmt.Errorf("up %d and down %d", up, down)
		}
		return up, err
	}
	together(t, writers, func(i int) error {
		for n := range each {
			err := s.Update(t.Context(), func(w registry.Writer) error {
				up, err := balance(w.Get)
				if err != nil {
					return err
				}
				if err := w.Put("up", []byte(strconv.Itoa(up+1))); err != nil {
					return err
				}
				if (n+i)%5 == 0 {
					return errOwn // Half done: must leave no trace.
				}
				return w.Put("down", []byte(strconv.Itoa(-up-1)))
			})
			if err != nil && !errors.Is(err, errOwn) {
				return err
			}
			if err := s.View(t.Context(), func(r registry.Reader) error {
				_, err := balance(r.Get)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	wantValue(t, s, "up", strconv.Itoa(writers*each*4/5))
}

// writeSkew lets two updates each read both keys and write one. Both may go on
// duty's end only if the other is still there.
func writeSkew(t *testing.T, s registry.Store) {
	for range 50 {
		mustPut(t, s, "duty/0", "1", "duty/1", "1")
		together(t, 2, func(i int) error {
			return s.Update(t.Context(), func(w registry.Writer) error {
				first, err := number(w.Get, "duty/0")
				if err != nil {
					return err
				}
				second, err := number(w.Get, "duty/1")
				if err != nil || first+second < 2 {
					return err
				}
				return w.Put(fmt.Sprintf("duty/%d", i), []byte("0"))
			})
		})
		first, _ := lookup(t, s, "duty/0")
		second, _ := lookup(t, s, "duty/1")
		if first+second == "00" {
			t.Fatal("both left: each had read the state before the other")
		}
	}
}

func reservation(t *testing.T, s registry.Store) {
	const rivals = 32
	for round := range 5 {
		key := fmt.Sprintf("token/%d", round)
		var won atomic.Int64
		var mu sync.Mutex
		var winner string
		together(t, rivals, func(i int) error {
			name := strconv.Itoa(i)
			err := s.Update(t.Context(), func(w registry.Writer) error {
				if _, err := w.Get(key); !errors.Is(err, registry.ErrNotFound) {
					return errors.Join(errOwn, err)
				}
				return w.Put(key, []byte(name))
			})
			if err == nil {
				won.Add(1)
				mu.Lock()
				winner = name
				mu.Unlock()
				return nil
			}
			if errors.Is(err, errOwn) {
				return nil
			}
			return err
		})
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of %d reserved one key", n, rivals)
		}
		wantValue(t, s, key, winner)
	}
}
