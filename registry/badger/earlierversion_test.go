package badger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestStoreWithoutChain opens what an earlier version has left: closed, killed, with the
// tail of an unfinished commit, and with damage.
func TestStoreWithoutChain(t *testing.T) {
	t.Parallel()
	running := filepath.Join(t.TempDir(), "running")
	db, err := badger.Open(earlier(running))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for n := range 4 {
		if err := db.Update(func(txn *badger.Txn) error {
			key := fmt.Sprintf("client/%d", n)
			return firstOf(txn.Set([]byte(key), []byte("x")), txn.Set([]byte("document/"+key), document(key)), txn.Delete([]byte("gone")))
		}); err != nil {
			t.Fatal(err)
		}
	}
	killed := copyOf(t, running)
	end := used(t, killed)
	for _, c := range []struct {
		name    string
		harm    func(log string) error
		clients int // 0: refused
	}{
		{"killed", func(string) error { return nil }, 4},
		{"unfinished commit", func(log string) error { return os.Truncate(log, int64(end-3)) }, 3},
		{"flipped bit", flip(60), 0},
		{"empty", func(log string) error { return os.Truncate(log, 0) }, -1}, // nothing tells of what was in it
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyOf(t, killed)
			if err := c.harm(newest(t, dir, "mem")); err != nil {
				t.Fatal(err)
			}
			if c.clients == 0 {
				l := lossOf(t, dir)
				s, err := open(Options{Dir: dir, AcceptLoss: l.word}, small)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			for range 3 {
				s := openIn(t, dir, small)
				for n := range c.clients {
					for _, prefix := range []string{"", "document/"} {
						if err := lookup(t, s, fmt.Sprintf("%sclient/%d", prefix, n)); err != nil {
							t.Errorf("client %d: %v", n, err)
						}
					}
				}
				if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("new", nil) }); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// earlier are the options of a version without a chain.
func earlier(dir string) badger.Options {
	o := tuning(dir, &filter{Logger: silent{}, failure: &failure{}})
	small(&o)
	return o
}

// TestEarlierVersionSince: what an earlier version has written after this one is refused
// once, and all of it is there when that is accepted.
func TestEarlierVersionSince(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed %v", closed), func(t *testing.T) {
			dir := image(t)
			db, err := badger.Open(earlier(dir))
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Update(func(txn *badger.Txn) error { return txn.Set([]byte("by the earlier one"), nil) }); err != nil {
				t.Fatal(err)
			}
			killed := copyOf(t, dir)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if !closed {
				dir = killed
			}
			l := lossOf(t, dir)
			s, err := open(Options{Dir: dir, AcceptLoss: l.word}, small)
			if err != nil {
				t.Fatal(err)
			}
			holdsAll(t, s)
			if err := lookup(t, s, "by the earlier one"); err != nil {
				t.Error(err)
			}
			killed = copyOf(t, dir)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{killed, dir} {
				holdsAll(t, openIn(t, dir, small))
			}
		})
	}
}
