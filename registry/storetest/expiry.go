package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var expiries = []test{
	{"never before", neverBefore},
	{"an expiry that has passed", passedExpiry},
	{"a lasting value replaces an expiring one", func(t *testing.T, s registry.Store) {
		update(t, s, func(w registry.Writer) error { return w.PutExpiring("a", []byte("short"), time.Unix(1, 0)) })
		update(t, s, func(w registry.Writer) error { return w.Put("a", []byte("lasting")) })
		wantValue(t, s, "a", "lasting")
		update(t, s, func(w registry.Writer) error {
			if err := w.PutExpiring("b", []byte("short"), time.Unix(1, 0)); err != nil {
				return err
			}
			return w.Put("b", []byte("lasting"))
		})
		wantValue(t, s, "b", "lasting")
	}},
	{"an expiring value can be deleted", func(t *testing.T, s registry.Store) {
		update(t, s, func(w registry.Writer) error {
			return w.PutExpiring("a", []byte("x"), time.Now().Add(time.Hour))
		})
		update(t, s, func(w registry.Writer) error { return w.Delete("a") })
		wantAbsent(t, s, "a")
	}},
	{"a scan tells when an entry ends", scannedExpiry},
}

// neverBefore takes expiries that an engine which counts in seconds would round
// down into the past: the end of this very second, if it lasts long enough.
func neverBefore(t *testing.T, s registry.Store) {
	for tries := 0; ; tries++ {
		expires := time.Now().Truncate(time.Second).Add(time.Second - time.Nanosecond)
		update(t, s, func(w registry.Writer) error { return w.PutExpiring("soon", []byte("x"), expires) })
		_, found := lookup(t, s, "soon")
		if !time.Now().Before(expires) && tries < 100 {
			continue // The second was over before the look.
		}
		if !found {
			t.Errorf("forgotten before its expiry %s", expires)
		}
		break
	}
	later := time.Now().Add(time.Hour)
	update(t, s, func(w registry.Writer) error {
		if err := w.PutExpiring("later", []byte("x"), later); err != nil {
			return err
		}
		_, err := w.Get("later")
		return err
	})
	wantValue(t, s, "later", "x")
	if found := scan(t, s, "later", "", 10); len(found) != 1 {
		t.Errorf("scan found %q", found)
	}
}

// passedExpiry lets the engine choose between the new value and none. The old
// one must not come back.
func passedExpiry(t *testing.T, s registry.Store) {
	for name, expires := range map[string]time.Time{
		"a second ago": time.Now().Add(-time.Second),
		"at the epoch": time.Unix(0, 0),
		"before it":    time.Unix(-1000, 0),
		"zero time":    {},
	} {
		mustPut(t, s, name, "old")
		update(t, s, func(w registry.Writer) error { return w.PutExpiring(name, []byte("new"), expires) })
		if got, found := lookup(t, s, name); found && got != "new" {
			t.Errorf("%s: %q after it was overwritten", name, got)
		}
		// Another update finds no more than a view does.
		update(t, s, func(w registry.Writer) error {
			if got, err := w.Get(name); err == nil && string(got) != "new" {
				t.Errorf("%s: an update reads %q", name, got)
			}
			return nil
		})
	}
}

// scannedExpiry: what is put back with the expiry that a scan tells ends no earlier than it
// did, and at most a second later.
func scannedExpiry(t *testing.T, s registry.Store) {
	expires := time.Now().Add(time.Hour).Truncate(time.Second).Add(300 * time.Millisecond)
	update(t, s, func(w registry.Writer) error {
		return errors.Join(w.PutExpiring("ends", []byte("x"), expires), w.PutExpiring("lasts after all", []byte("x"), expires), w.Put("lasts", []byte("x")))
	})
	update(t, s, func(w registry.Writer) error { return w.Put("lasts after all", []byte("y")) })
	for range 2 {
		var entries []registry.Entry
		err := s.View(t.Context(), func(r registry.Reader) (err error) {
			entries, err = r.Scan("", "", 10)
			return err
		})
		if err != nil || len(entries) != 3 {
			t.Fatalf("got %+v, %v, want three entries", entries, err)
		}
		if got := entries[0].Expires; got.Before(expires) || got.After(expires.Add(time.Second)) {
			t.Errorf("%s ends at %v, want %v, or up to a second later", entries[0].Key, got, expires)
		}
		for _, e := range entries[1:] {
			if !e.Expires.IsZero() {
				t.Errorf("%s ends at %v, want never", e.Key, e.Expires)
			}
		}
		// Once more with what was told: it is the same to the nanosecond.
		expires = entries[0].Expires
		update(t, s, func(w registry.Writer) error { return w.PutExpiring("ends", []byte("x"), expires) })
	}
}
