package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// asOwner runs f, and whatever process it starts, without root's right to write where
// the mode does not allow it.
func asOwner(t *testing.T, f func() error) {
	t.Helper()
	const dropFromBounds, override = 24, 1 // PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
	var refused syscall.Errno
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with what it has lost
		if os.Geteuid() == 0 {
			if _, _, refused = syscall.RawSyscall(syscall.SYS_PRCTL, dropFromBounds, override, 0); refused != 0 {
				done <- nil
				return
			}
		}
		done <- f()
	}()
	err := <-done
	if refused != 0 {
		t.Skipf("left out: a directory that cannot be written, since root cannot give up its right to: %v", refused)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// refusesToStart holds that the gateway does not start, names the directory and says
// what to do about it.
func refusesToStart(t *testing.T, p *story.Play, dir string) {
	t.Helper()
	asOwner(t, func() error {
		err := p.Gateway.Restart(t.Context())
		want := "the directory cannot be written: " + dir + " must belong to the user that this process runs as, on a disk that is not read-only: "
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("started, or without saying why: %v", err)
		}
		return nil
	})
}

// TestReadOnlyDirectory: the directory cannot be written, at the start or all of a
// sudden. What needs no write goes on, and everything does when it can be written again.
func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	dir := filepath.Join(p.Dir, "store")
	mode := func(mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { mode(0o700) }) // or nobody but root could remove it
	id, own := registered(t, p)
	if err := p.Gateway.Stop(); err != nil {
		t.Fatal(err)
	}
	mode(0o500)
	refusesToStart(t, p, dir)
	mode(0o700)
	asOwner(t, func() error { return p.Gateway.Restart(t.Context()) })
	p.CloseIdle()

	w := prepared(t, p)
	mode(0o500)
	refusesWrites(t, p, id, own, w)
	says(t, p.Gateway, "the directory cannot be written: "+dir+" must belong")
	mode(0o700)
	made := w.areTaken(t, p, id, own)

	mode(0o500)
	if err := p.Gateway.Stop(); err != nil || !endedInOrder(p) {
		t.Errorf("the gateway did not end in order: %v", err)
	}
	refusesToStart(t, p, dir)
	mode(0o700)
	asOwner(t, func() error { return p.Gateway.Restart(t.Context()) })
	p.CloseIdle()
	for _, id := range []string{id, made} {
		if err := reads(t.Context(), p, id); err != nil {
			t.Error(err)
		}
	}
}

// TestReadOnlyDisk: the same at the start, of a disk that is mounted so.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	if ranInNamespace(t) {
		return
	}
	p, d := onDisk(t, story.Options{Kind: authserverprocess.GoOIDC})
	if d.told {
		t.Skip("left out: a disk that is mounted read-only, since no test may mount one here")
	}
	id, _ := registered(t, p)
	remount := func(flags uintptr) error { return syscall.Mount("", d.dir, "", syscall.MS_REMOUNT|flags, "") }
	if err := errors.Join(p.Gateway.Stop(), remount(syscall.MS_RDONLY)); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, p, d.dir)
	if err := errors.Join(remount(0), p.Gateway.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.CloseIdle()
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
