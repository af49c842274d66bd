package badger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestTornTail: whichever pages of a commit that was not answered have reached the disk,
// and wherever it ends, is no damage.
func TestTornTail(t *testing.T) {
	skipLong(t)
	running := filepath.Join(t.TempDir(), "running")
	s := openIn(t, running, small)
	put := func(n int) {
		if err := s.Update(t.Context(), func(w registry.Writer) error {
			for k := range 8 {
				if err := w.Put(fmt.Sprintf("%d/%d", n, k), bytes.Repeat([]byte{byte(n), byte(k)}, 1500)); err != nil {
					return err
				}
			}
			return firstOf(w.Put("document", document("a")), w.Put("another", document("b")))
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	before := copyOf(t, running)
	put(2)
	after := copyOf(t, running)
	r, err := readHead(before)
	if err != nil || r.newest == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	last := r.newest
	for _, kind := range []string{"mem", "vlog"} {
		dir := copyOf(t, before)
		if kind == "vlog" {
			// The value log is synced first: of the log there is nothing.
		} else if err := os.WriteFile(newest(t, dir, "vlog"), mustRead(t, newest(t, after, "vlog")), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"mem", "vlog"} { // holes cost time, under the race detector most of it
			alter(t, newest(t, dir, kind), func(data []byte) []byte { return append(bytes.TrimRight(data, "\x00"), make([]byte, 4096)...) })
		}
		old, whole := trimmedFile(t, newest(t, before, kind)), trimmedFile(t, newest(t, after, kind))
		file := newest(t, dir, kind)
		check := func(what string, data []byte) {
			t.Helper()
			if err := os.WriteFile(file, append(data, make([]byte, 4096)...), 0o600); err != nil {
				t.Fatal(err)
			}
			i, err := found(t, dir)
			if err != nil {
				t.Fatalf("%s, %s: %v", kind, what, err)
			}
			if i.found.sequence != last.sequence && !bytes.Equal(data, whole) {
				t.Fatalf("%s, %s: found %v, the last was %v", kind, what, i.found, last)
			}
		}
		for cut := len(old); cut < len(whole); cut += 1 + cut%13 {
			check(fmt.Sprintf("cut off at %d", cut), bytes.Clone(whole[:cut]))
		}
		var pages []int
		for at := len(old); at < len(whole); at = (at/4096 + 1) * 4096 {
			pages = append(pages, at)
		}
		pages = append(pages, len(whole))
		for set := range 1 << (len(pages) - 1) {
			data := make([]byte, len(whole))
			copy(data, old)
			for n := range len(pages) - 1 {
				if set&(1<<n) != 0 {
					copy(data[pages[n]:], whole[pages[n]:pages[n+1]])
				}
			}
			check(fmt.Sprintf("pages %b of %d", set, len(pages)-1), data)
		}
	}
}
