package badger

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/storetest"
)

// small has files of 1 MB, so that there is something to collect.
func small(o *badger.Options) {
	o.ValueLogFileSize = 1 << 20
	o.MemTableSize = 1 << 20
	o.BaseTableSize = 1 << 18
	o.BaseLevelSize = 1 << 18
}

// collect makes the store's garbage known, collects it, and returns how many
// files of the value log are gone. Only a compaction knows what is garbage, and
// dropping a prefix is the one thing that makes Badger flush and compact now.
func collect(t *testing.T, s *Store) int {
	t.Helper()
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("dropped", nil) }); err != nil {
		t.Fatal(err)
	}
	if err := s.db.DropPrefix([]byte("dropped")); err != nil {
		t.Fatal(err)
	}
	before := valueLogs(t, s)
	s.collector.collect()
	after := valueLogs(t, s)
	return len(slices.DeleteFunc(before, func(file string) bool { return slices.Contains(after, file) }))
}

func valueLogs(t *testing.T, s *Store) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.db.Opts().Dir, "*.vlog"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDurable is the suite's, with a collection before each closing.
func TestDurable(t *testing.T) {
	t.Parallel()
	var log recorder
	collected := 0
	storetest.RunDurable(t, func(t *testing.T) storetest.Durable {
		dir := filepath.Join(t.TempDir(), "store")
		return storetest.Durable{
			Open: func(t *testing.T) registry.Store {
				s, err := open(Options{Dir: dir, Logger: &log}, small)
				if err != nil {
					t.Fatal(err)
				}
				return s
			},
			Collect: func(t *testing.T, s registry.Store) { collected += collect(t, s.(*Store)) },
		}
	})
	if collected == 0 {
		t.Error("no file of the value log was collected, so the test proves nothing")
	}
	if found := append(log.has("warn"), log.has("error")...); len(found) > 0 {
		t.Errorf("logged %q", found)
	}
}

// TestCollector lets it run as often as it can, under writers, until Close.
func TestCollector(t *testing.T) {
	t.Parallel()
	var log recorder
	o := Options{Dir: filepath.Join(t.TempDir(), "store"), Logger: &log, CollectEvery: time.Microsecond}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		document := make([]byte, 50<<10)
		if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(fmt.Sprint(i%10), document) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found := append(log.has("warn"), log.has("error")...); len(found) > 0 {
		t.Errorf("logged %q", found)
	}
}

// writeGarbage writes documents of which two in three are garbage afterwards: one
// of each three is replaced, one deleted and one left.
func writeGarbage(t *testing.T, s *Store, documents int) {
	t.Helper()
	for round := range 2 {
		for n := range documents {
			key := fmt.Sprintf("document/%02d", n)
			err := s.Update(t.Context(), func(w registry.Writer) error {
				switch {
				case round == 0 || n%3 == 0:
					return w.Put(key, document(fmt.Sprintf("%s in round %d ", key, round)))
				case n%3 == 1:
					return w.Delete(key)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCollectionUnderView takes the files away from under a view, which sees
// what it saw before, although all of it was replaced meanwhile.
func TestCollectionUnderView(t *testing.T) {
	t.Parallel()
	s := openIn(t, filepath.Join(t.TempDir(), "store"), small)
	writeGarbage(t, s, 90)
	err := s.View(t.Context(), func(r registry.Reader) error {
		want, err := r.Scan("document/", "", 100)
		if err != nil {
			return err
		}
		if len(want) != 60 {
			t.Errorf("%d documents, want 60", len(want))
		}
		for _, e := range want {
			if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(e.Key, []byte("new")) }); err != nil {
				return err
			}
		}
		if collect(t, s) == 0 {
			t.Error("nothing was collected")
		}
		got, err := r.Scan("document/", "", 100)
		if err != nil {
			return err
		}
		same := func(a, b registry.Entry) bool { return a.Key == b.Key && bytes.Equal(a.Value, b.Value) }
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("the view has %d documents that are not the %d before", len(got), len(want))
		}
		for _, e := range want {
			if data, err := r.Get(e.Key); err != nil || !bytes.Equal(data, e.Value) {
				t.Errorf("%s: %d bytes, %v", e.Key, len(data), err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCollectionUnderRead takes the file away between finding a value and
// reading it. Badger itself reads nothing then, and calls that no error.
func TestCollectionUnderRead(t *testing.T) {
	t.Parallel()
	const key = "document/02" // Left alone among garbage.
	s := openIn(t, filepath.Join(t.TempDir(), "store"), small)
	writeGarbage(t, s, 90)
	txn := s.db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if collect(t, s) == 0 {
		t.Fatal("nothing was collected")
	}
	if data, err := item.ValueCopy(nil); err != nil || len(data) > 0 {
		t.Errorf("badger reads %d bytes, %v: the case that value was made for is gone", len(data), err)
	}
	want := document(key + " in round 0 ")
	if data, err := value(txn, item); err != nil || !bytes.Equal(data, want) {
		t.Errorf("%d bytes, %v; want the %d written", len(data), err, len(want))
	}
}

// TestNoCollection: neither after a failure nor where there is no room.
func TestNoCollection(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*Store){
		"failed": func(s *Store) { s.failure.record(errDisk) },
		"full": func(s *Store) {
			s.committer.space.free = func(string) (uint64, bool) { return collectRoom - 1, true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openIn(t, filepath.Join(t.TempDir(), "store"), small)
			writeGarbage(t, s, 90)
			if err := s.db.DropPrefix([]byte("document/00")); err != nil {
				t.Fatal(err)
			}
			before := valueLogs(t, s)
			stop(s)
			s.collector.collect()
			if after := valueLogs(t, s); !slices.Equal(before, after) {
				t.Errorf("%q became %q", before, after)
			}
			s.failure.first.Store(nil)
			s.committer.space.free = free
			if collect(t, s) == 0 {
				t.Error("there was nothing to collect, so the test proves nothing")
			}
		})
	}
}

// TestViewDuringCollection: while a file is collected a commit waits, and a view
// waits for neither.
func TestViewDuringCollection(t *testing.T) {
	t.Parallel()
	s := openIn(t, filepath.Join(t.TempDir(), "store"), small)
	s.committer.writing.Lock()
	ran := make(chan struct{})
	updated := make(chan error, 1)
	go func() {
		updated <- s.Update(t.Context(), func(w registry.Writer) error {
			close(ran)
			return w.Put("a", nil)
		})
	}()
	wait.For(t, ran, "the update's function")
	if err := lookup(t, s, "a"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("before the commit: %v, want ErrNotFound", err)
	}
	select {
	case err := <-updated:
		t.Errorf("committed during a collection: %v", err)
	default:
	}
	s.committer.writing.Unlock()
	if err := wait.For(t, updated, "the update after the collection"); err != nil {
		t.Error(err)
	}
	if err := lookup(t, s, "a"); err != nil {
		t.Errorf("after the commit: %v", err)
	}
}

// TestCollectionAfterBytes: what is written brings on a collection, long before its time.
func TestCollectionAfterBytes(t *testing.T) {
	t.Parallel()
	s, err := open(Options{Dir: filepath.Join(t.TempDir(), "store"), CollectEvery: time.Hour, CollectAfter: 4 << 20}, small)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	writeGarbage(t, s, 90)
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("dropped", nil) }); err != nil {
		t.Fatal(err)
	}
	if err := s.db.DropPrefix([]byte("dropped")); err != nil { // see collect
		t.Fatal(err)
	}
	before := valueLogs(t, s)
	gone := func() bool {
		now := valueLogs(t, s)
		return slices.ContainsFunc(before, func(file string) bool { return !slices.Contains(now, file) })
	}
	for n := 0; !gone(); n++ {
		if n == 1000 {
			t.Fatal("no file of the value log was collected after 100 MB")
		}
		if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(fmt.Sprint("more/", n), make([]byte, 100<<10)) }); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCollectorIsToldOfGrowth: the collector is told after so many bytes, once, and then after as many more.
func TestCollectorIsToldOfGrowth(t *testing.T) {
	t.Parallel()
	c := &committer{collectAfter: 100, grown: make(chan struct{}, 1)}
	signalled := func() bool {
		select {
		case <-c.grown:
			return true
		default:
			return false
		}
	}
	for i, want := range []bool{false, true, false, true} {
		c.grow(60)
		if got := signalled(); got != want {
			t.Errorf("after %d bytes: told %v, want %v", 60*(i+1), got, want)
		}
	}
	c.grow(1000)
	c.grow(1000) // nobody has listened, and nobody waits
	if !signalled() || signalled() {
		t.Error("want to be told once")
	}
}
