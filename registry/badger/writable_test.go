package badger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestReadOnly: where no file can be made nothing is written, although the files that
// are open could be, and views go on; updates too when files can be made again.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := openIn(t, filepath.Join(t.TempDir(), "store"), untuned)
	put := func(key string) error {
		return s.Update(t.Context(), func(w registry.Writer) error { return w.Put(key, []byte("x")) })
	}
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	n := commits(s, (*badger.Txn).Commit)
	s.committer.space.writable = func(string) error { return ErrReadOnly }
	if err := put("meanwhile"); !errors.Is(err, ErrReadOnly) || *n != 0 {
		t.Errorf("%v and %d commits, want ErrReadOnly and none", err, *n)
	}
	s.committer.space.writable = writable
	if err := put("after"); err != nil {
		t.Error(err)
	}
	for key, want := range map[string]error{"before": nil, "meanwhile": registry.ErrNotFound, "after": nil} {
		if err := lookup(t, s, key); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
}

// TestWritable: root may write whatever the mode says, and must be let.
func TestWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := writable(dir); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	err := tryFile(dir)
	if quick := writable(dir); (err == nil) != (quick == nil) {
		t.Errorf("a file: %v, and before a commit: %v", err, quick)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind %q, %v", left, err)
	}
	gone := filepath.Join(dir, "gone")
	if err := writable(gone); err != nil && (!errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), gone)) {
		t.Errorf("got %v, want ErrReadOnly with the directory", err)
	}
	if err := tryFile(gone); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
}

func BenchmarkWritable(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		if err := writable(dir); err != nil {
			b.Fatal(err)
		}
	}
}
