package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestTornTail: whichever pages of a commit that was not answered have reached the disk,
// and wherever it ends, is no damage.
func TestTornTail(t *testing.T) {
	t.Parallel()
	skipLong(t)
	running := filepath.Join(t.TempDir(), "running")
	s := openIn(t, running, small)
	putMany(t, s, 1)
	before := copyOf(t, running)
	putMany(t, s, 2)
	after := copyOf(t, running)
	r, err := readHead(before)
	if err != nil || r.newest == nil {
		t.Fatalf("HEAD is %+v, %v", r, err)
	}
	for _, kind := range []string{"mem", "vlog"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, before)
			if kind == "mem" { // the value log is synced first
				if err := os.WriteFile(newest(t, dir, "vlog"), trimmedFile(t, newest(t, after, "vlog")), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			alter(t, newest(t, dir, "mem"), shortHole)
			alter(t, newest(t, dir, "vlog"), shortHole)
			tail := tornTail{
				dir: dir, file: newest(t, dir, kind), last: r.newest.sequence,
				old: trimmedFile(t, newest(t, before, kind)), whole: trimmedFile(t, newest(t, after, kind)),
			}
			tail.cutOff(t)
			tail.pages(t)
		})
	}
}

// putMany makes one commit of many pages, in the log and in the value log.
func putMany(t *testing.T, s *Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(w registry.Writer) error {
		for k := range 8 {
			if err := w.Put(fmt.Sprintf("%d/%d", n, k), bytes.Repeat([]byte{byte(n), byte(k)}, 1500)); err != nil {
				return err
			}
		}
		return firstOf(w.Put("document", document(fmt.Sprint("document ", n))), w.Put("another", document(fmt.Sprint("another ", n))))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shortHole leaves a page of the hole at a file's end: holes cost time, under the race
// detector most of it.
func shortHole(data []byte) []byte {
	return append(bytes.TrimRight(data, "\x00"), make([]byte, 4096)...)
}

// tornTail is a file of a directory, before and after the last commit.
type tornTail struct {
	dir, file  string
	old, whole []byte
	last       uint64 // the commit before
}

// places are where the file may end: at every byte of a record's header, key and checksum,
// and at a few of its value, which says nothing.
func (f tornTail) places() (places []int) {
	const headerAndKey, checksum, within = 32, 8, 101
	data := append(bytes.Clone(f.whole), 0, 0, 0, 0) // the last checksum may have ended in zeros
	begin := fileHeader
	for r, ok := parseRecord(data[begin:]); ok; r, ok = parseRecord(data[begin:]) {
		end := begin + r.size
		for at := max(begin, len(f.old)); at < min(end, len(f.whole)); at++ {
			if at < begin+headerAndKey || at >= end-checksum || at%within == 0 {
				places = append(places, at)
			}
		}
		begin = end
	}
	return places
}

// cutOff ends the file in every record of the commit.
func (f tornTail) cutOff(t *testing.T) {
	t.Helper()
	places := f.places()
	if len(places) < 100 {
		t.Errorf("the file is cut off at %d places, want at least 100", len(places))
	}
	for _, at := range places {
		f.check(t, fmt.Sprintf("cut off at %d", at), bytes.Clone(f.whole[:at]))
	}
}

// pages writes every set of the commit's pages.
func (f tornTail) pages(t *testing.T) {
	t.Helper()
	var pages []int
	for at := len(f.old); at < len(f.whole); at = (at/4096 + 1) * 4096 {
		pages = append(pages, at)
	}
	if len(pages) < 4 {
		t.Errorf("the commit has %d pages, want at least 4", len(pages))
	}
	pages = append(pages, len(f.whole))
	for set := range 1 << (len(pages) - 1) {
		data := make([]byte, len(f.whole))
		copy(data, f.old)
		for n := range len(pages) - 1 {
			if set&(1<<n) != 0 {
				copy(data[pages[n]:], f.whole[pages[n]:pages[n+1]])
			}
		}
		f.check(t, fmt.Sprintf("pages %b of %d", set, len(pages)-1), data)
	}
}

// check inspects the directory with data as the file: it holds the commit before the torn
// one, or where all of it is there that one.
func (f tornTail) check(t *testing.T, what string, data []byte) {
	t.Helper()
	whole := bytes.Equal(data, f.whole)
	overwrite(t, f.file, append(data, make([]byte, 4096)...))
	i, err := found(t, f.dir)
	if err != nil {
		t.Fatalf("%s: %v, want no loss", what, err)
	}
	if i.found.sequence != f.last && !whole {
		t.Fatalf("%s: found commit %d, want %d", what, i.found.sequence, f.last)
	}
}

// overwrite writes a file in place: the file system brings one to the disk that is written
// anew, which takes longer than to inspect it.
func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(data, 0)
	if err := errors.Join(err, file.Truncate(int64(len(data))), file.Close()); err != nil {
		t.Fatal(err)
	}
}
