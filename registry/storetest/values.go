package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var errOwn = errors.New("the function's own error")

var values = []test{
	{"what was put is got", func(t *testing.T, s registry.Store) {
		wantAbsent(t, s, "a")
		for _, value := range []string{"one", "", "\x00\xff", strings.Repeat("document", 12<<10)} {
			mustPut(t, s, "a", value)
			wantValue(t, s, "a", value)
		}
		wantAbsent(t, s, "A")
		wantAbsent(t, s, "aa")
	}},
	{"what was deleted is gone", func(t *testing.T, s registry.Store) {
		mustPut(t, s, "a", "1", "b", "2")
		update(t, s, func(w registry.Writer) error { return errors.Join(w.Delete("a"), w.Delete("never there")) })
		wantAbsent(t, s, "a")
		wantValue(t, s, "b", "2")
		mustPut(t, s, "a", "3")
		wantValue(t, s, "a", "3")
	}},
	{"not found is exactly ErrNotFound", func(t *testing.T, s registry.Store) {
		err := s.View(t.Context(), func(r registry.Reader) error {
			_, err := r.Get("none")
			return err
		})
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("view: %v, want ErrNotFound", err)
		}
		err = s.Update(t.Context(), func(w registry.Writer) error {
			_, err := w.Get("none")
			return err
		})
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("update: %v, want ErrNotFound", err)
		}
	}},
	{"an update sees its own writes", ownWrites},
	{"what is got is a copy", copies},
	{"an error writes nothing and is returned as it is", func(t *testing.T, s registry.Store) {
		mustPut(t, s, "a", "before", "b", "before")
		err := s.Update(t.Context(), func(w registry.Writer) error {
			return errors.Join(w.Put("a", []byte("after")), w.Delete("b"), w.Put("c", []byte("after")), errOwn)
		})
		if !errors.Is(err, errOwn) {
			t.Errorf("update: %v, want the function's own", err)
		}
		if err := s.View(t.Context(), func(registry.Reader) error { return errOwn }); err != errOwn {
			t.Errorf("view: %v, want the function's own", err)
		}
		wantValue(t, s, "a", "before")
		wantValue(t, s, "b", "before")
		wantAbsent(t, s, "c")
	}},
	{"an update that writes nothing", func(t *testing.T, s registry.Store) {
		update(t, s, func(registry.Writer) error { return nil })
	}},
}

func ownWrites(t *testing.T, s registry.Store) {
	mustPut(t, s, "kept", "old", "changed", "old", "deleted", "old")
	update(t, s, func(w registry.Writer) error {
		if err := errors.Join(w.Put("changed", []byte("new")), w.Put("made", []byte("new")), w.Delete("deleted"),
			w.Put("twice", []byte("1")), w.Put("twice", []byte("2")), w.Delete("made and deleted"),
			w.Put("remade", []byte("x")), w.Delete("remade"), w.Put("remade", []byte("new"))); err != nil {
			return err
		}
		for key, want := range map[string]string{"kept": "old", "changed": "new", "made": "new", "twice": "2", "remade": "new"} {
			if got, err := w.Get(key); err != nil || string(got) != want {
				return fmt.Errorf("%q is %q, %w; want %q", key, got, err, want)
			}
		}
		for _, key := range []string{"deleted", "made and deleted"} {
			if _, err := w.Get(key); !errors.Is(err, registry.ErrNotFound) {
				return fmt.Errorf("get %q after delete: %w, want ErrNotFound", key, err)
			}
		}
		return nil
	})
	wantValue(t, s, "changed", "new")
	wantValue(t, s, "twice", "2")
	wantValue(t, s, "remade", "new")
	wantAbsent(t, s, "deleted")
}

// copies changes every byte it can lay hands on, in both directions.
func copies(t *testing.T, s registry.Store) {
	spoil := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	update(t, s, func(w registry.Writer) error {
		if err := w.Put("a", []byte("value")); err != nil {
			return err
		}
		got, err := w.Get("a")
		spoil(got)
		return err
	})
	wantValue(t, s, "a", "value")
	update(t, s, func(w registry.Writer) error {
		got, err := w.Get("a")
		spoil(got)
		return err
	})
	var kept []byte
	err := s.View(t.Context(), func(r registry.Reader) error {
		got, err := r.Get("a")
		spoil(got)
		if err != nil {
			return err
		}
		entries, err := r.Scan("a", "", 1)
		for _, e := range entries {
			spoil(e.Value)
		}
		if err != nil {
			return err
		}
		kept, err = r.Get("a")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "a", "other")
	if string(kept) != "value" {
		t.Errorf("a value kept after the view is %q", kept)
	}
}
