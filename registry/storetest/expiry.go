package storetest

import (
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
