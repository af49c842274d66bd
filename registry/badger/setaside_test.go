package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unlisted is a closed store of three tables, of which MANIFEST does not name the last one
// any more.
func unlisted(t *testing.T) (dir, table string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	for n := range 3 {
		s := openIn(t, dir, small)
		put(t, s, fmt.Sprint("jti/", n))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	table = newest(t, dir, "sst")
	if err := resize(filepath.Join(dir, manifestName), -3); err != nil {
		t.Fatal(err)
	}
	return dir, table
}

// TestUnlistedTables: tables that MANIFEST does not name, which Badger removes, are kept
// when a loss is accepted, and so is MANIFEST, which Badger cuts off. Also where a kill
// comes between.
func TestUnlistedTables(t *testing.T) {
	original, table := unlisted(t)
	whole, manifest := mustRead(t, table), mustRead(t, filepath.Join(original, manifestName))
	word := lossOf(t, original).word
	if !bytes.Equal(mustRead(t, table), whole) {
		t.Error("refusing has changed the table")
	}
	for _, point := range []string{"", "store: set aside", "store: tables set aside", "store: committed"} {
		t.Run(point, func(t *testing.T) {
			dir, left := acceptedAndKilled(t, original, word, point)
			if point != "" {
				dir = left
				s := openIn(t, dir, small)
				if entries := losses(t, s); len(entries) != 1 {
					t.Errorf("the store is told %q", entries)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			for name, want := range map[string][]byte{filepath.Base(table): whole, manifestName: manifest} {
				kept, err := os.ReadFile(filepath.Join(dir, lostPrefix+word, name))
				if err != nil || !bytes.Equal(kept, want) {
					t.Errorf("%s is not kept: %d bytes, %v", name, len(kept), err)
				}
			}
		})
	}
}

// TestUnlistedTableOnce: what Badger itself has left unlisted since takes no kept table's
// place.
func TestUnlistedTableOnce(t *testing.T) {
	t.Parallel()
	dir, table := unlisted(t)
	l := lossOf(t, dir)
	i, err := found(t, dir)
	if !errors.As(err, &l) {
		t.Fatal(err)
	}
	whole := mustRead(t, table)
	a := l.accepted(time.Now())
	for _, later := range [][]byte{nil, []byte("later")} {
		if later != nil {
			if err := os.WriteFile(table, later, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := i.setAside(a); err != nil {
			t.Fatal(err)
		}
	}
	if kept := mustRead(t, filepath.Join(dir, lostPrefix+l.word, filepath.Base(table))); !bytes.Equal(kept, whole) {
		t.Errorf("kept are %d bytes of %d", len(kept), len(whole))
	}
}

// TestKilledAfterHead: an acceptance without HEAD goes on with its word where a kill has
// ended it after HEAD was made and before the first commit.
func TestKilledAfterHead(t *testing.T) {
	t.Parallel()
	skipLong(t)
	dir := image(t)
	if err := os.Remove(filepath.Join(dir, headName)); err != nil {
		t.Fatal(err)
	}
	l := lossOf(t, dir)
	i, err := found(t, dir)
	if err == nil {
		t.Fatal("no loss")
	}
	if err := i.setAside(l.accepted(time.Now())); err != nil {
		t.Fatal(err)
	}
	without := copyFolder(t, dir)
	if err := createHead(dir, head{}); err != nil {
		t.Fatal(err)
	}
	// As an earlier version has noted it: no HEAD is no link.
	earlier := copyFolder(t, dir)
	alter(t, filepath.Join(earlier, lostPrefix+l.word, pendingName), func(note []byte) []byte {
		return bytes.Replace(note, []byte(`"head_link":"0000000000000000"`), []byte(`"head_link":""`), 1)
	})
	for name, dir := range map[string]string{"made": dir, "not made": without, "earlier": earlier} {
		for _, word := range []string{"", l.word} {
			dir := copyFolder(t, dir)
			s, err := open(Options{Dir: dir, AcceptLoss: word}, small)
			if err != nil {
				t.Errorf("HEAD %s, word %q: %v", name, word, err)
				continue
			}
			if entries := losses(t, s); len(entries) != 1 || entries[0].Key != lossPrefix+l.word {
				t.Errorf("HEAD %s: the store is told %q", name, entries)
			}
			holdsAll(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSameLossAgain: the damaged copy is put back over the directory, where the folder of
// the first acceptance is. It is kept, and another one made.
func TestSameLossAgain(t *testing.T) {
	original := harmed(t)
	word := lossOf(t, original).word
	dir := copyOf(t, original)
	defer func() { crashpoint = func(string) {} }()
	for n, folder := range []string{lostPrefix + word, lostPrefix + word + "-2", lostPrefix + word + "-3"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if !entry.IsDir() {
				if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
			t.Fatal(err)
		}
		damaged := mustRead(t, newest(t, dir, "mem"))
		var killed string
		crashpoint = func(name string) {
			if name == "store: set aside" {
				killed = copyFolder(t, dir)
			}
		}
		var log recorder
		s, err := open(Options{Dir: dir, AcceptLoss: word, Logger: &log}, small)
		crashpoint = func(string) {}
		if err != nil {
			t.Fatalf("time %d: %v", n+1, err)
		}
		if lines := log.has("error"); len(lines) != 1 || !strings.Contains(lines[0], folder+":") {
			t.Errorf("time %d: logged %q", n+1, lines)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for _, dir := range []string{dir, killed} {
			s := openIn(t, dir, small)
			if entries := losses(t, s); len(entries) != 1 || entries[0].Key != lossPrefix+word {
				t.Errorf("time %d: the store is told %q", n+1, entries)
			}
			if begun, err := pending(dir); err != nil || len(begun) > 0 {
				t.Errorf("time %d: the acceptance has not ended: %v, %v", n+1, begun, err)
			}
			if kept := mustRead(t, newest(t, filepath.Join(dir, folder), "mem")); !bytes.Equal(kept, damaged) {
				t.Errorf("time %d: %s keeps something else", n+1, folder)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
