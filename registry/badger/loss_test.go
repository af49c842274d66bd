package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// lossOf is the loss that opening the directory is refused for.
func lossOf(t *testing.T, dir string) *loss {
	t.Helper()
	var l *loss
	if s, err := open(Options{Dir: dir}, small); !errors.As(err, &l) {
		if err == nil {
			t.Errorf("opened (close: %v), want an error", s.Close())
		}
		t.Fatalf("got %v, want a loss", err)
	}
	return l
}

// harmed is an image with a flipped bit in its third update.
func harmed(t *testing.T) (dir string) {
	t.Helper()
	return flipThird(t, image(t))
}

func flipThird(t *testing.T, dir string) string {
	t.Helper()
	log := newest(t, dir, "mem")
	w, err := readWAL(log)
	if err != nil {
		t.Fatal(err)
	}
	// The first commit is the one that binds the store.
	if err := flip(int64(w.commits[3].begins) + 40)(log); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAnotherLossHasAnotherWord, also where as much is whole: more was lost of it.
func TestAnotherLossHasAnotherWord(t *testing.T) {
	t.Parallel()
	running := filepath.Join(t.TempDir(), "running")
	s := openIn(t, running, small)
	lost := func() *loss {
		for n := range commitsOf {
			if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(fmt.Sprint(n), nil) }); err != nil {
				t.Fatal(err)
			}
		}
		return lossOf(t, flipThird(t, copyOf(t, running)))
	}
	first, second := lost(), lost()
	if first.found != second.found || first.word == second.word {
		t.Errorf("%s and %s", first.word, second.word)
	}
}

// losses is what the store says of accepted losses.
func losses(t *testing.T, s *Store) []registry.Entry {
	t.Helper()
	var entries []registry.Entry
	err := s.View(t.Context(), func(r registry.Reader) (err error) {
		entries, err = r.Scan(lossPrefix, "", 10)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// TestAcceptLoss: with the word the store opens with what was whole, says so in the log
// and in a key, and keeps what it has cut off. The word does not fit the next loss.
func TestAcceptLoss(t *testing.T) {
	t.Parallel()
	dir := harmed(t)
	l := lossOf(t, dir)
	for _, part := range []string{".mem: it is damaged at ", "whole up to commit 3 of 20", "the last one was commit 6 of 20", ": 3 commits are missing", "accept_loss 3-", "restore the whole directory"} {
		if !strings.Contains(l.Error(), part) {
			t.Errorf("%q is not in the error: %v", part, l)
		}
	}
	if _, err := open(Options{Dir: dir, AcceptLoss: "3-0123456789ab"}, small); !errors.Is(err, ErrLoss) {
		t.Fatalf("another word: %v", err)
	}
	damagedLog := mustRead(t, newest(t, dir, "mem"))
	var log recorder
	s, err := open(Options{Dir: dir, AcceptLoss: l.word, Logger: &log}, small)
	if err != nil {
		t.Fatal(err)
	}
	if lines := log.has("error"); len(lines) != 1 || !strings.Contains(lines[0], "without the missing commits") || !strings.Contains(lines[0], "3 commits are missing") {
		t.Errorf("logged %q", lines)
	}
	for n := range commitsOf {
		err := lookup(t, s, fmt.Sprintf("client/%d", n))
		if known := n < 2; known != (err == nil) || !known && !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("client/%d: %v", n, err)
		}
	}
	entries := losses(t, s)
	if len(entries) != 1 || entries[0].Key != lossPrefix+l.word {
		t.Fatalf("the store is told %q", entries)
	}
	var value struct{ Time, Found, Committed int64 }
	if err := json.Unmarshal(entries[0].Value, &value); err != nil || value.Found != 3 || value.Committed != 6 || value.Time == 0 {
		t.Errorf("the store is told %s, %v", entries[0].Value, err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "lost-"+l.word, "*.mem"))
	if err != nil || len(kept) != 1 || string(mustRead(t, kept[0])) != string(damagedLog) {
		t.Errorf("kept are %q, %v", kept, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lost-"+l.word, pendingName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the acceptance has not ended: %v", err)
	}
	// What the registry has taken notice of stays forgotten.
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Delete(lossPrefix + l.word) }); err != nil {
		t.Fatal(err)
	}
	killed := copyOf(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{killed, dir} {
		s, err := open(Options{Dir: dir, AcceptLoss: l.word}, small)
		if err != nil {
			t.Fatalf("the word is left where it was: %v", err)
		}
		if entries := losses(t, s); len(entries) > 0 {
			t.Errorf("told again: %q", entries)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The next loss.
	s = openIn(t, dir, small)
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("next", nil) }); err != nil {
		t.Fatal(err)
	}
	next := copyOf(t, dir)
	if err := os.Remove(newest(t, next, "mem")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(Options{Dir: next, AcceptLoss: l.word}, small); !errors.Is(err, ErrLoss) {
		t.Errorf("the next loss was accepted too: %v", err)
	}
}

// TestAcceptEveryLoss accepts losses of every kind.
func TestAcceptEveryLoss(t *testing.T) {
	t.Parallel()
	skipLong(t)
	original := image(t)
	for name, harm := range map[string]func(t *testing.T, dir string) error{
		"log missing":  func(t *testing.T, dir string) error { return os.Remove(newest(t, dir, "mem")) },
		"log empty":    func(t *testing.T, dir string) error { return os.Truncate(newest(t, dir, "mem"), 0) },
		"header":       func(t *testing.T, dir string) error { return flip(5)(newest(t, dir, "mem")) },
		"first record": func(t *testing.T, dir string) error { return flip(30)(newest(t, dir, "mem")) },
		"last record":  func(t *testing.T, dir string) error { return flip(int64(used(t, dir) - 3))(newest(t, dir, "mem")) },
		"value log":    func(t *testing.T, dir string) error { return flip(30)(newest(t, dir, "vlog")) },
		"value header": func(t *testing.T, dir string) error { return flip(5)(newest(t, dir, "vlog")) },
		"no value log": func(t *testing.T, dir string) error { return os.Remove(newest(t, dir, "vlog")) },
		"HEAD missing": func(t *testing.T, dir string) error { return os.Remove(filepath.Join(dir, headName)) },
		"HEAD overwritten": func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, headName), []byte("x"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyOf(t, original)
			if err := harm(t, dir); err != nil {
				t.Fatal(err)
			}
			l := lossOf(t, dir)
			t.Log(l)
			s, err := open(Options{Dir: dir, AcceptLoss: l.word}, small)
			if err != nil {
				t.Fatal(err)
			}
			if entries := losses(t, s); len(entries) != 1 {
				t.Errorf("the store is told %q", entries)
			}
			// As large as those before: in a lost one's place it must not be taken for it.
			for n := range commitsOf {
				if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(fmt.Sprintf("document/after/%d", n), document("client/0")) }); err != nil {
					t.Error(err)
				}
			}
			killed := copyOf(t, dir)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{killed, dir} {
				for range 3 {
					s := openIn(t, dir, small)
					if err := lookup(t, s, "document/after/4"); err != nil {
						t.Error(err)
					}
					for n := range commitsOf {
						key := fmt.Sprintf("client/%d", n)
						if value := lookupValue(t, s, "document/"+key); value != nil && string(value) != string(document(key)) {
							t.Errorf("document of %s is another one's: %.20q", key, value)
						}
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// lookupValue is nil where the value is not known, or known to be damaged.
func lookupValue(t *testing.T, s *Store, key string) (value []byte) {
	t.Helper()
	err := s.View(t.Context(), func(r registry.Reader) (err error) {
		value, err = r.Get(key)
		return err
	})
	if err != nil && !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	return value
}
