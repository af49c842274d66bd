package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTableOfAnotherCopy gives each table of a store that has gone on from a copy to the
// other one that has. Only the last one, which HEAD tells of, was noticed.
func TestTableOfAnotherCopy(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "base")
	s := openIn(t, base, small)
	put(t, s, "base")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	branch := func(name string) string {
		dir := copyOf(t, base)
		for round := range 3 {
			s := openIn(t, dir, small)
			for n := range 3 {
				put(t, s, fmt.Sprintf("jti/%s/%d/%d", name, round, n))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	a, b := branch("a"), branch("b")
	if _, err := found(t, a); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(a, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := 0
	for _, file := range files {
		other := mustRead(t, filepath.Join(b, filepath.Base(file)))
		if bytes.Equal(other, mustRead(t, file)) {
			continue
		}
		foreign++
		dir := copyOf(t, a)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), other, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := open(Options{Dir: dir}, small)
		if err == nil {
			t.Errorf("%s: opened, with jti/a/1/0: %v", filepath.Base(file), lookup(t, s, "jti/a/1/0"))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		if !errors.Is(err, ErrLoss) || !strings.Contains(err.Error(), "another copy") {
			t.Errorf("%s: %v, want ErrLoss because of another copy", filepath.Base(file), err)
		}
	}
	if foreign != 3 {
		t.Errorf("%d tables differ", foreign)
	}
}

// TestLinks: what a healthy store has is never refused: gaps that compactions have left,
// a log that was flushed twice, and the first commit after an accepted loss.
func TestLinks(t *testing.T) {
	t.Parallel()
	name := func(n byte) link { return link{n} }
	commit := func(n byte) chainValue { return chainValue{previous: name(n - 1), link: name(n)} }
	first := chainValue{link: name(1)}
	restart := chainValue{previous: name(99), link: name(4), restart: true}
	foreign := chainValue{previous: name(99), link: name(4)}
	renamed := chainValue{previous: name(3), link: name(99)}
	type record struct {
		version uint64
		chainValue
	}
	for _, c := range []struct {
		name   string
		tables [][]record // each the newest first
		fine   bool
	}{
		{"one after the other", [][]record{{{2, commit(2)}, {1, first}}, {{4, commit(4)}, {3, commit(3)}}}, true},
		{"gaps", [][]record{{{9, commit(9)}, {7, commit(7)}, {6, commit(6)}}, {{4, commit(4)}}, {{2, commit(2)}}}, true},
		{"flushed twice", [][]record{{{3, commit(3)}, {2, commit(2)}}, {{3, commit(3)}, {2, commit(2)}}, {{2, commit(2)}, {1, first}}}, true},
		{"after a loss", [][]record{{{3, commit(3)}}, {{5, commit(5)}, {4, restart}}}, true},
		{"after a loss, in one", [][]record{{{5, commit(5)}, {4, restart}, {3, commit(3)}}}, true},
		{"foreign", [][]record{{{3, commit(3)}}, {{4, foreign}}}, false},
		{"foreign in itself", [][]record{{{4, foreign}, {3, commit(3)}}}, false},
		{"foreign in the middle", [][]record{{{3, commit(3)}}, {{5, commit(5)}}, {{4, renamed}}}, false},
		{"twice, not the same", [][]record{{{4, renamed}}, {{4, commit(4)}}}, false},
	} {
		l, err := newLinks(), error(nil)
		for _, table := range c.tables {
			r := linkReader{links: l}
			for _, record := range table {
				err = errors.Join(err, r.add(record.version, record.chainValue))
			}
			err = errors.Join(err, r.end())
		}
		if err = errors.Join(err, l.check()); c.fine != (err == nil) {
			t.Errorf("%s: %v, want an error: %t", c.name, err, !c.fine)
		}
	}
}
