package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// goodSlots is how many slots of HEAD are good; the file has its size.
func goodSlots(t *testing.T, dir string) (good int) {
	t.Helper()
	data := mustRead(t, filepath.Join(dir, headName))
	if len(data) != headOfFile {
		t.Errorf("HEAD has %d bytes", len(data))
		return 0
	}
	for slot := range headSlots {
		if _, ok := parseHead(data[slot*slotSize : (slot+1)*slotSize]); ok {
			good++
		}
	}
	return good
}

// TestHeadSize: HEAD has its size before the first commit, so another size is no power
// failure's. It is refused, and whole again when that was accepted.
func TestHeadSize(t *testing.T) {
	t.Parallel()
	skipLong(t)
	original := image(t)
	for _, size := range []int64{0, 1, 4095, 4096, 8192, 8192 + 60, headOfFile - 1, headOfFile + 1, 2 * headOfFile} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := copyOf(t, original)
			if err := os.Truncate(filepath.Join(dir, headName), size); err != nil {
				t.Fatal(err)
			}
			before := contents(t, dir)
			l := lossOf(t, dir)
			if !strings.Contains(l.Error(), headName) || !strings.Contains(l.Error(), "bytes") {
				t.Errorf("the error is %v", l)
			}
			if !bytes.Equal(before, contents(t, dir)) {
				t.Error("refusing has changed something")
			}
			s, err := open(Options{Dir: dir, AcceptLoss: l.word}, small)
			if err != nil {
				t.Fatal(err)
			}
			holdsAll(t, s)
			if good := goodSlots(t, dir); good != headSlots {
				t.Errorf("%d slots are good", good)
			}
			killed := copyOf(t, dir)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for _, dir := range []string{killed, dir} {
				holdsAll(t, openIn(t, dir, small))
			}
		})
	}
}

// TestHeadAlone: a HEAD of another size is no new directory's, and one that was just made is.
func TestHeadAlone(t *testing.T) {
	t.Parallel()
	for size, fine := range map[int64]bool{headOfFile: true, headOfFile - 1: false, 0: false} {
		dir := t.TempDir()
		if err := createHead(dir, head{}); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, headName), size); err != nil {
			t.Fatal(err)
		}
		s, err := open(Options{Dir: dir}, small)
		if fine != (err == nil) || err != nil && !errors.Is(err, ErrLoss) {
			t.Errorf("size %d: %v", size, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestTornHeadMadeWhole: whichever slots a power failure has torn, but not all, the store
// opens, and every slot is good from then on: also of a HEAD that has slots never written.
func TestTornHeadMadeWhole(t *testing.T) {
	t.Parallel()
	skipLong(t)
	original := image(t)
	for torn := range 1<<headSlots - 1 {
		for _, from := range []int{0, 20} {
			t.Run(fmt.Sprintf("slots %03b from %d", torn, from), func(t *testing.T) {
				dir := copyOf(t, original)
				alter(t, filepath.Join(dir, headName), func(data []byte) []byte {
					for slot := range headSlots {
						if torn&(1<<slot) != 0 {
							clear(data[slot*slotSize+from : (slot+1)*slotSize])
						}
					}
					return data
				})
				r, err := readHead(dir)
				if err != nil {
					t.Fatal(err)
				}
				if !r.newest.bound() {
					t.Skip("no power failure tears every slot that says something")
				}
				s := openIn(t, dir, small)
				holdsAll(t, s)
				if good := goodSlots(t, dir); good != headSlots {
					t.Errorf("%d slots are good", good)
				}
				put(t, s, "after")
				killed := copyOf(t, dir)
				s = openIn(t, killed, small)
				if err := lookup(t, s, "after"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func put(t *testing.T, s *Store, key string) {
	t.Helper()
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(key, []byte("value")) }); err != nil {
		t.Fatal(err)
	}
}
