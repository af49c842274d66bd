package badger

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// commitsOf is how many updates image holds.
const commitsOf = 5

// image is the directory as kill -9 leaves it after five updates that were answered:
// Badger's mapped files are what a copy reads.
func image(t *testing.T) (dir string) {
	t.Helper()
	running := filepath.Join(t.TempDir(), "running")
	s := openIn(t, running, small)
	for n := range commitsOf {
		err := s.Update(t.Context(), func(w registry.Writer) error {
			key := fmt.Sprintf("client/%d", n)
			return firstOf(
				w.Put(key, []byte(strings.Repeat(key, 20))),
				w.Put("index/"+key, nil),
				w.Put("document/"+key, document(key)),
			)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return copyOf(t, running)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// copyOf copies a directory, when Badger has nothing to do there: what it flushes and
// removes meanwhile would make a copy that never was.
func copyOf(t *testing.T, from string) (to string) {
	t.Helper()
	const attempts = 200
	for range attempts {
		to = filepath.Join(t.TempDir(), "copy")
		before := listing(t, from)
		err := copyFiles(from, to)
		if err == nil && listing(t, from) == before {
			return to
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s was different after each of %d copies", from, attempts)
	return ""
}

func listing(t *testing.T, dir string) (names string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names += entry.Name() + "\n"
	}
	return names
}

func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue // what an accepted loss has set aside
		}
		if err := copyUsed(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copiedHole is how much a copy keeps of the hole at a file's end: Badger makes its files as
// long as they may become, and to read a megabyte of zeros takes the race detector longer
// than all the rest of a test.
const copiedHole = 64 << 10

// copyUsed copies a file up to its last byte that is not zero, with a hole behind it that is no
// longer than the original's. It does not sync: what reads the copy is not after a power failure.
func copyUsed(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	part := make([]byte, 16<<10)
	var read, used int64
	for err == nil {
		var n int
		n, err = io.ReadFull(in, part)
		if kept := len(bytes.TrimRight(part[:n], "\x00")); kept > 0 {
			used = read + int64(kept)
			if _, err := out.WriteAt(part[:kept], read); err != nil {
				return errors.Join(err, out.Close())
			}
		}
		read += int64(n)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return errors.Join(err, out.Truncate(min(read, used+copiedHole)), out.Close())
}

// copyFolder copies a directory with what an acceptance has set aside.
func copyFolder(t *testing.T, from string) (to string) {
	t.Helper()
	to = copyOf(t, from)
	folders, err := filepath.Glob(filepath.Join(from, lostPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if err := os.CopyFS(filepath.Join(to, filepath.Base(folder)), os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// newest is the newest file of a kind.
func newest(t *testing.T, dir, kind string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*."+kind))
	if err != nil || len(files) == 0 {
		t.Fatalf("files %q, %v", files, err)
	}
	return slices.Max(files)
}

// alter rewrites a file.
func alter(t *testing.T, file string, change func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// readUsed is the beginning of a file.
func readUsed(path string, end int) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return data[:end], nil
}
