package badger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestFull: without room nothing is written and everybody of the group is told
// so; views go on, and updates when there is room again.
func TestFull(t *testing.T) {
	t.Parallel()
	s := openIn(t, filepath.Join(t.TempDir(), "store"), untuned)
	put := func(ctx context.Context, key string) error {
		return s.Update(ctx, func(w registry.Writer) error { return w.Put(key, []byte("x")) })
	}
	if err := put(t.Context(), "before"); err != nil {
		t.Fatal(err)
	}
	s.committer.space.free = func(string) (uint64, bool) { return 128<<20 - 1, true }
	n := commits(s, (*badger.Txn).Commit)
	for i, err := range queued(t, s, 9, func(i int, w registry.Writer) error {
		if _, err := w.Get("full"); err == nil {
			return fmt.Errorf("refused because of what another wrote in vain")
		}
		return w.Put("full", []byte("x"))
	}) {
		if !errors.Is(err, ErrFull) {
			t.Errorf("update %d: %v, want ErrFull", i, err)
		}
	}
	if *n != 0 {
		t.Errorf("%d commits", *n)
	}
	s.committer.space.free = free
	if err := put(t.Context(), "after"); err != nil {
		t.Errorf("with room again: %v", err)
	}
	for key, want := range map[string]error{"before": nil, "full": registry.ErrNotFound, "after": nil} {
		if err := lookup(t, s, key); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
}

func lookup(t *testing.T, s *Store, key string) error {
	return s.View(t.Context(), func(r registry.Reader) error {
		_, err := r.Get(key)
		return err
	})
}

// TestLowDisk: operators are told once when little room is left, and once when it is over.
func TestLowDisk(t *testing.T) {
	t.Parallel()
	var log recorder
	s, err := open(Options{Dir: filepath.Join(t.TempDir(), "store"), Logger: &log}, untuned)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		s.committer.space.free = free
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		left          uint64
		low           bool
		errors, warns int
	}{
		{1 << 40, false, 0, 0},
		{256 << 20, false, 0, 0},
		{256<<20 - 1, true, 1, 0},
		{128 << 20, true, 1, 0},
		{256 << 20, true, 1, 0}, // at the edge nothing is said
		{256<<20 - 1, true, 1, 0},
		{320 << 20, false, 1, 1},
		{256<<20 - 1, true, 2, 1},
	} {
		s.committer.space.free = func(string) (uint64, bool) { return c.left, true }
		for range 3 {
			if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("x", []byte("y")) }); err != nil {
				t.Fatal(err)
			}
		}
		free, low, known := s.Room()
		if free != c.left || low != c.low || !known {
			t.Errorf("with %d left: %d, %v, %v", c.left, free, low, known)
		}
		if e, w := len(log.has("error")), len(log.has("warn")); e != c.errors || w != c.warns {
			t.Errorf("with %d left: logged %q", c.left, log.lines)
		}
	}
	s.committer.space.free = func(string) (uint64, bool) { return 0, false }
	if _, _, known := s.Room(); known {
		t.Error("nobody knows, and it is known")
	}
}

func TestDemandedSpace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		left   uint64
		known  bool
		times  uint64
		cannot error
		want   error
	}{
		{"enough", 100, true, 0, nil, nil},
		{"too little", 99, true, 1, nil, ErrFull},
		{"none", 0, true, 0, nil, ErrFull},
		{"unknown", 0, false, 0, nil, nil},
		{"read-only", 100, true, 0, ErrReadOnly, ErrReadOnly},
		{"enough for large memtables", 800, true, 8, nil, nil},
		{"too little for them", 799, true, 8, nil, ErrFull},
	} {
		s := space{
			dir: "d", times: c.times,
			free:     func(dir string) (uint64, bool) { return c.left, c.known && dir == "d" },
			writable: func(string) error { return c.cannot },
		}
		if err := s.demand(100); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// The system's own answer is of the right size, where it has one.
	if left, known := free(t.TempDir()); known && (left < 1<<20 || left > 1<<60) {
		t.Errorf("%d bytes left", left)
	}
}

// damage inverts a few bytes in the middle of every file of the kind.
func damage(t *testing.T, dir, kind string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %q, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			data[len(data)/3+i] ^= 0xff
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// write fills a new directory with records and one document, and closes it.
func write(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	s := openIn(t, dir, untuned)
	for n := range 4 {
		err := s.Update(t.Context(), func(w registry.Writer) error {
			for k := range 50 {
				key := fmt.Sprintf("record/%d/%02d", n, k)
				if err := w.Put(key, bytes.Repeat([]byte(key), 100)); err != nil {
					return err
				}
			}
			return w.Put("document", document("some text"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDamagedTable: the directory is not opened, where Badger would find none of
// the keys in the damaged block.
func TestDamagedTable(t *testing.T) {
	t.Parallel()
	dir := write(t)
	damage(t, dir, "sst")
	_, err := Open(Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("got %v, want a wrong checksum", err)
	}
}

// TestDamagedDocument: an error, where Badger would return no bytes. Damage in the newest
// file of the value log is found when the store is opened, see TestDamagedValueLog.
func TestDamagedDocument(t *testing.T) {
	t.Parallel()
	dir := write(t)
	older := newest(t, dir, "vlog")
	if err := openIn(t, dir, untuned).Close(); err != nil { // begins another file
		t.Fatal(err)
	}
	alter(t, older, func(data []byte) []byte { data[len(data)-len(data)/8] ^= 1; return data })
	s := openIn(t, dir, untuned)
	if err := lookup(t, s, "document"); !errors.Is(err, ErrDamaged) {
		t.Errorf("get: %v, want ErrDamaged", err)
	}
	err := s.View(t.Context(), func(r registry.Reader) error {
		_, err := r.Scan("doc", "", 10)
		return err
	})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("scan: %v, want ErrDamaged", err)
	}
	err = s.Update(t.Context(), func(w registry.Writer) error {
		_, err := w.Get("document")
		return err
	})
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("get in an update: %v, want ErrDamaged", err)
	}
	// The rest goes on, and the document can be replaced.
	if err := lookup(t, s, "record/3/49"); err != nil {
		t.Error(err)
	}
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("document", document("other text")) }); err != nil {
		t.Error(err)
	}
	if err := lookup(t, s, "document"); err != nil {
		t.Errorf("replaced: %v", err)
	}
}

// TestUnsyncedMessage reads the only trace that a value log which could not be
// synced leaves, in the source of the Badger that this is built with.
func TestUnsyncedMessage(t *testing.T) {
	t.Parallel()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/dgraph-io/badger/v4").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "value.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(source, []byte(`Errorf("`+unsynced)) {
		t.Errorf("badger's value.go has no %q any more: a failed sync would pass unseen", unsynced)
	}
}
