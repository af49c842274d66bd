//go:build unix

package caddymodule

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// newFileHere has the test binary write a new file where only a part of it has room.
const newFileHere = "CADDYMODULE_NEW_FILE"

// TestNewFileIsWholeOrNotThere: a keyset of which only the beginning was written could not be
// read at the next start, and nothing would make another one.
func TestNewFileIsWholeOrNotThere(t *testing.T) {
	const room = 100
	if name := os.Getenv(newFileHere); name != "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: room, Max: room}); err != nil {
			t.Fatal(err)
		}
		if err := writeNew(name, make([]byte, 3*room)); !errors.Is(err, syscall.EFBIG) {
			os.Exit(3)
		}
		os.Exit(0)
	}
	dir := filepath.Join(t.TempDir(), "new")
	name := filepath.Join(dir, "keyset.json")
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNewFileIsWholeOrNotThere$")
	child.Env = append(os.Environ(), newFileHere+"="+name)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v, want nothing left behind", left, err)
	}
	whole := bytes.Repeat([]byte{'x'}, 3*room)
	if err := writeNew(name, whole); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(name); err != nil || !bytes.Equal(data, whole) {
		t.Errorf("got %q, %v, want %q", data, err, whole)
	}
}
