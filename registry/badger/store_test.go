package badger

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/storetest"
)

// openIn opens dir until the end of the test. A process that another test starts holds this
// one's files, and so its locks, until it executes its program: then openIn tries again.
func openIn(t testing.TB, dir string, tune func(*badger.Options)) *Store {
	t.Helper()
	var s *Store
	var err error
	wait.Poll(func() bool { s, err = open(Options{Dir: dir}, tune); return !errors.Is(err, ErrLocked) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, registry.ErrClosed) {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func untuned(*badger.Options) {}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) registry.Store { return openIn(t, t.TempDir(), untuned) })
}

func TestLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openIn(t, dir, untuned)
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second open: %v, want ErrLocked", err)
	} else {
		t.Log(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir, untuned)
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"no directory": "", "a file": file, "below a file": filepath.Join(file, "db")} {
		if _, err := Open(Options{Dir: dir}); err == nil || errors.Is(err, ErrLocked) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestPrivateDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	openIn(t, dir, untuned)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode.Perm() != 0o700 {
		t.Errorf("the directory has mode %s", mode)
	}
}

// TestSize holds what an empty store claims: 49 MB, not Badger's 2.1 GB.
func TestSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openIn(t, dir, untuned)
	var apparent int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().IsRegular() {
			apparent += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if apparent > 60<<20 {
		t.Errorf("an empty store is %d MB apparent", apparent>>20)
	}
}

func TestReservedKeys(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir(), untuned)
	long := string(make([]byte, 65_001))
	for name, key := range map[string]string{"empty": "", "badger's own": "!badger!txn", "too long": long} {
		err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(key, []byte("x")) })
		if err == nil {
			t.Errorf("%s: the key was taken", name)
		}
		if got, want := errors.Is(err, registry.ErrTooLarge), key == long; got != want { // Badger would refuse all of the batch
			t.Errorf("%s: got %v, want ErrTooLarge: %v", name, err, want)
		}
		err = s.View(t.Context(), func(r registry.Reader) error {
			_, err := r.Get(key)
			return err
		})
		if !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: get: %v, want ErrNotFound", name, err)
		}
	}
	// The store goes on.
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put(long[1:], []byte("x")) }); err != nil {
		t.Errorf("the longest key: %v", err)
	}
}

func BenchmarkStore(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	storetest.Benchmark(b, s)
}
