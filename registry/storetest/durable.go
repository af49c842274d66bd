package storetest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Durable is one place on disk.
type Durable struct {
	// Open opens the store in the place. The one before has been closed.
	Open func(t *testing.T) registry.Store
	// Collect makes the engine give back the space of what was deleted, now. Nil
	// where the engine has no such thing.
	Collect func(t *testing.T, s registry.Store)
}

// RunDurable runs the tests for engines on disk: what was committed is there
// after Close and Open, what was deleted is not. place makes an empty place.
func RunDurable(t *testing.T, place func(t *testing.T) Durable) {
	t.Run("durable/reopened", func(t *testing.T) { reopened(t, place(t)) })
	t.Run("durable/deleted stays deleted", func(t *testing.T) { staysDeleted(t, place(t)) })
}

func reopened(t *testing.T, d Durable) {
	const writers, each, rounds = 8, 20, 3
	want := make(map[string]string)
	for round := range rounds {
		s := d.Open(t)
		closeAfter(t, s)
		wantContent(t, s, want)
		together(t, writers, func(i int) error {
			for n := range each {
				if err := writeRound(t, s, fmt.Sprintf("%d/%d", i, n), round); err != nil {
					return err
				}
			}
			return nil
		})
		want = content(t, s)
		if len(want) == 0 {
			t.Fatal("nothing was written")
		}
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
}

// writeRound changes one key of each kind: a record, a document, an index that
// comes and goes, and one that expires later.
func writeRound(t *testing.T, s registry.Store, name string, round int) error {
	return s.Update(t.Context(), func(w registry.Writer) error {
		if round%2 == 0 {
			if err := w.Put("index/"+name, nil); err != nil {
				return err
			}
		} else if err := w.Delete("index/" + name); err != nil {
			return err
		}
		mark := fmt.Sprintf("%s in round %d ", name, round)
		return errors.Join(
			w.Put("record/"+name, []byte(strings.Repeat(mark, 20))),
			w.Put(fmt.Sprintf("document/%s/%d", name, round), []byte(strings.Repeat(mark, 600))),
			w.PutExpiring("token/"+name, []byte(mark), time.Now().Add(time.Hour)),
		)
	})
}

// content is everything that the store has, read in pages.
func content(t *testing.T, s registry.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := s.View(t.Context(), func(r registry.Reader) error {
		const page = 50
		for after := ""; ; {
			entries, err := r.Scan("", after, page)
			if err != nil {
				return err
			}
			for _, e := range entries {
				all[e.Key], after = string(e.Value), e.Key
			}
			if len(entries) < page {
				return nil
			}
		}
	})
	if err != nil {
		t.Fatalf("read all: %v", err)
	}
	return all
}

func wantContent(t *testing.T, s registry.Store, want map[string]string) {
	t.Helper()
	if got := content(t, s); !maps.Equal(got, want) {
		t.Fatalf("%d keys that are not the %d written", len(got), len(want))
	}
}

// staysDeleted writes documents and leaves every third alone, while the others
// are deleted in one round and replaced in the next. It lets the engine collect
// and looks again after each opening: an old version must not come back, and
// what shared its file must stay.
func staysDeleted(t *testing.T, d Durable) {
	const documents, rounds = 60, 5
	text := func(n, round int) string {
		return strings.Repeat(fmt.Sprintf("document %d of round %d ", n, round), 2000)
	}
	want := make(map[string]string)
	for round := range rounds {
		s := d.Open(t)
		closeAfter(t, s)
		wantContent(t, s, want)
		for n := range documents {
			key := fmt.Sprintf("document/%02d", n)
			switch {
			case round > 0 && n%3 == 0:
			case round > 0 && (n+round)%2 == 0:
				delete(want, key)
				update(t, s, func(w registry.Writer) error { return w.Delete(key) })
			default:
				want[key] = text(n, round)
				mustPut(t, s, key, want[key])
			}
		}
		if d.Collect != nil {
			d.Collect(t, s)
		}
		wantContent(t, s, want)
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	s := d.Open(t)
	closeAfter(t, s)
	wantContent(t, s, want)
}
