package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// The bounds of an update, as numbers, so that the suite notices another bound.
const (
	mostKeys  = 64
	mostBytes = 512 << 10
)

var limits = []test{
	{"keys", func(t *testing.T, s registry.Store) {
		update(t, s, manyKeys(mostKeys))
		wantTooLarge(t, s, manyKeys(mostKeys+1))
		if n := len(scan(t, s, "many/", "", 1000)); n != mostKeys {
			t.Errorf("%d keys, want the first update's %d", n, mostKeys)
		}
	}},
	{"a deleted key counts", func(t *testing.T, s registry.Store) {
		wantTooLarge(t, s, func(w registry.Writer) error {
			if err := manyKeys(mostKeys)(w); err != nil {
				return fmt.Errorf("within the limit: %v", err)
			}
			return w.Delete("one more")
		})
	}},
	{"a key written again counts once", func(t *testing.T, s registry.Store) {
		update(t, s, func(w registry.Writer) error {
			for range 3 {
				if err := manyKeys(mostKeys)(w); err != nil {
					return err
				}
				if err := w.Put("many/0", make([]byte, mostBytes/2)); err != nil {
					return err
				}
			}
			return nil
		})
	}},
	{"bytes", func(t *testing.T, s registry.Store) {
		most := bytes.Repeat([]byte{'x'}, mostBytes-len("key"))
		update(t, s, func(w registry.Writer) error { return w.Put("key", most) })
		wantValue(t, s, "key", string(most))
		wantTooLarge(t, s, func(w registry.Writer) error { return w.Put("key", append(most, 'y')) })
		wantTooLarge(t, s, func(w registry.Writer) error {
			return w.PutExpiring("key", append(most, 'y'), time.Now().Add(time.Hour))
		})
		wantTooLarge(t, s, func(w registry.Writer) error {
			if err := w.Put("key", most); err != nil {
				return fmt.Errorf("within the limit: %v", err)
			}
			return w.Put("k", nil)
		})
		wantValue(t, s, "key", string(most))
	}},
	{"a swallowed error is not forgotten", func(t *testing.T, s registry.Store) {
		wantTooLarge(t, s, func(w registry.Writer) error {
			if err := manyKeys(mostKeys + 1)(w); !errors.Is(err, registry.ErrTooLarge) {
				return fmt.Errorf("got %v", err)
			}
			return nil
		})
		if found := scan(t, s, "", "", 10); len(found) != 0 {
			t.Errorf("written all the same: %q", found)
		}
	}},
	{"others are not hurt", func(t *testing.T, s registry.Store) {
		together(t, 8, func(i int) error {
			if i%2 == 0 {
				return put(t.Context(), s, fmt.Sprintf("good/%d", i), "x")
			}
			if err := s.Update(t.Context(), manyKeys(mostKeys+1)); !errors.Is(err, registry.ErrTooLarge) {
				return fmt.Errorf("got %v, want ErrTooLarge", err)
			}
			return nil
		})
		if n := len(scan(t, s, "", "", 1000)); n != 4 {
			t.Errorf("%d keys, want 4", n)
		}
	}},
	{"many of the largest at once", func(t *testing.T, s registry.Store) {
		const updates = 12
		each := mostBytes/mostKeys - 16
		together(t, updates, func(i int) error {
			return s.Update(t.Context(), func(w registry.Writer) error {
				for k := range mostKeys {
					if err := w.Put(fmt.Sprintf("large/%02d/%02d", i, k), bytes.Repeat([]byte{byte(i)}, each)); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if n := len(scan(t, s, "large/", "", 10000)); n != updates*mostKeys {
			t.Errorf("%d keys, want %d", n, updates*mostKeys)
		}
	}},
}

func manyKeys(n int) func(registry.Writer) error {
	return func(w registry.Writer) error {
		for i := range n {
			if err := w.Put(fmt.Sprintf("many/%d", i), []byte("x")); err != nil {
				return err
			}
		}
		return nil
	}
}

func wantTooLarge(t *testing.T, s registry.Store, f func(registry.Writer) error) {
	t.Helper()
	if err := s.Update(t.Context(), f); !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("update: %v, want ErrTooLarge", err)
	}
}
