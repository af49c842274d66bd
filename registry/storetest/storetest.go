// Package storetest is the one suite that every registry.Store passes: what a
// Registry relies on, and nothing that only one engine does.
package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

type test struct {
	name string
	run  func(t *testing.T, s registry.Store)
}

// Run runs the suite. open returns an empty Store each time; the suite closes
// it. Beyond the words of registry.Store it demands that a view never holds up
// updates, and that calls made while Close waits are refused at once.
func Run(t *testing.T, open func(t *testing.T) registry.Store) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"values", values},
		{"scan", scans},
		{"expiry", expiries},
		{"limits", limits},
		{"serial", serials},
		{"snapshot", snapshots},
		{"context", contexts},
		{"panic", panics},
		{"watch", watches},
		{"close", closings},
	} {
		for _, test := range group.tests {
			t.Run(group.name+"/"+test.name, func(t *testing.T) {
				s := open(t)
				closeAfter(t, s)
				test.run(t, s)
			})
		}
	}
}

// closeAfter closes a store that the test itself may have closed.
func closeAfter(t *testing.T, s registry.Store) {
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, registry.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
}

// update fails the test when the update fails.
func update(t *testing.T, s registry.Store, f func(registry.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatalf("update: %v", err)
	}
}

// put writes one value. It may be called from any goroutine.
func put(ctx context.Context, s registry.Store, key, value string) error {
	return s.Update(ctx, func(w registry.Writer) error { return w.Put(key, []byte(value)) })
}

// mustPut writes pairs of key and value, all in one update.
func mustPut(t *testing.T, s registry.Store, pairs ...string) {
	t.Helper()
	update(t, s, func(w registry.Writer) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := w.Put(pairs[i], []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

// lookup reads one value in a view of its own.
func lookup(t *testing.T, s registry.Store, key string) (value string, found bool) {
	t.Helper()
	err := s.View(t.Context(), func(r registry.Reader) error {
		data, err := r.Get(key)
		value = string(data)
		return err
	})
	if errors.Is(err, registry.ErrNotFound) {
		return "", false
	}
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	return value, true
}

// wantValue and wantAbsent check one key.
func wantValue(t *testing.T, s registry.Store, key, want string) {
	t.Helper()
	if got, found := lookup(t, s, key); !found || got != want {
		t.Errorf("%q is %.80q (found %t), want %.80q", key, got, found, want)
	}
}

func wantAbsent(t *testing.T, s registry.Store, key string) {
	t.Helper()
	if got, found := lookup(t, s, key); found {
		t.Errorf("%q is %.80q, want none", key, got)
	}
}
