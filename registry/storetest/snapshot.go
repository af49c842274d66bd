package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var snapshots = []test{
	{"a view stays where it began", stillView},
	{"a view under writers", viewUnderWriters},
	{"a long view", longView},
}

// stillView changes everything in the middle of a view.
func stillView(t *testing.T, s registry.Store) {
	mustPut(t, s, "k/1", "old", "k/2", "old", "k/3", "old")
	err := s.View(t.Context(), func(r registry.Reader) error {
		if got, err := r.Get("k/1"); err != nil || string(got) != "old" {
			return fmt.Errorf("before: %q, %w", got, err)
		}
		update(t, s, func(w registry.Writer) error {
			if err := w.Delete("k/3"); err != nil {
				return err
			}
			if err := w.Put("k/4", []byte("new")); err != nil {
				return err
			}
			return w.Put("k/2", []byte("new"))
		})
		if got, err := r.Get("k/2"); err != nil || string(got) != "old" {
			return fmt.Errorf("after a change: %q, %w", got, err)
		}
		entries, err := r.Scan("k/", "", 10)
		if err != nil {
			return err
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Key+"="+string(e.Value))
		}
		if want := []string{"k/1=old", "k/2=old", "k/3=old"}; !slices.Equal(got, want) {
			return fmt.Errorf("scan after a change: got %q, want %q", got, want)
		}
		keys, err := r.Keys("k/", "", 10)
		if want := []string{"k/1", "k/2", "k/3"}; err == nil && !slices.Equal(keys, want) {
			err = fmt.Errorf("keys after a change: got %q, want %q", keys, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	wantValue(t, s, "k/2", "new")
	wantAbsent(t, s, "k/3")
}

// viewUnderWriters writes one number to many keys, again and again, while views
// demand that Get and Scan find one number only.
func viewUnderWriters(t *testing.T, s registry.Store) {
	const keys, writers, readers, each = 8, 4, 4, 25
	write := func(n int) error {
		return s.Update(t.Context(), func(w registry.Writer) error {
			for k := range keys {
				if err := w.Put(fmt.Sprintf("same/%d", k), []byte(strconv.Itoa(n))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := write(-1); err != nil {
		t.Fatal(err)
	}
	var writing atomic.Int64
	writing.Store(writers)
	together(t, writers+readers, func(i int) error {
		if i < writers {
			defer writing.Add(-1)
			for n := range each {
				if err := write(i*each + n); err != nil {
					return err
				}
			}
			return nil
		}
		for writing.Load() > 0 {
			if err := s.View(t.Context(), sameEverywhere); err != nil {
				return err
			}
		}
		return nil
	})
}

func sameEverywhere(r registry.Reader) error {
	first, err := r.Get("same/0")
	if err != nil {
		return err
	}
	entries, err := r.Scan("same/", "", 100)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if string(e.Value) != string(first) {
			return fmt.Errorf("%s is %s where same/0 is %s", e.Key, e.Value, first)
		}
	}
	last, err := r.Get(entries[len(entries)-1].Key)
	if err == nil && string(last) != string(first) {
		err = fmt.Errorf("the last is %s where the first is %s", last, first)
	}
	return err
}

// longView reads page by page, as a backup does, while every key is replaced between two
// pages, again and again, and every second one is deleted. Values are of both kinds that an
// engine may keep apart, small and large.
func longView(t *testing.T, s registry.Store) {
	const keys, page = 60, 7
	value := func(k, round int) []byte {
		size := 20
		if k%2 == 1 {
			size = 20 << 10
		}
		return bytes.Repeat([]byte{byte(round)}, size)
	}
	key := func(k int) string { return fmt.Sprintf("long/%02d", k) }
	write := func(round int) {
		for k := range keys {
			update(t, s, func(w registry.Writer) error {
				if round > 0 && k%4 == round%4 {
					return w.Delete(key(k))
				}
				return w.Put(key(k), value(k, round))
			})
		}
	}
	write(0)
	err := s.View(t.Context(), func(r registry.Reader) error {
		seen := 0
		for after, round := "", 1; ; round++ {
			entries, err := r.Scan("long/", after, page)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.Key != key(seen) || !bytes.Equal(e.Value, value(seen, 0)) {
					return fmt.Errorf("got %s with %.10q of %d bytes, want %s as it was when the view began", e.Key, e.Value, len(e.Value), key(seen))
				}
				seen++
				after = e.Key
			}
			if len(entries) < page {
				break
			}
			write(round)
		}
		if seen != keys {
			return fmt.Errorf("got %d keys, want %d", seen, keys)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
