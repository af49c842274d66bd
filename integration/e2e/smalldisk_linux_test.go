package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

const (
	mb = 1 << 20
	// diskSize and diskFiles leave the store what it wants, and not much more.
	diskSize  = 256 * mb
	diskFiles = 128
	// littleRoom is too little for a commit, and enough to start with.
	littleRoom = 64 * mb
)

// disk is a small file system with nothing but a store on it.
type disk struct {
	dir string
	// told: this machine lets no test have a file system. The gateway is told of the
	// room instead, in the file that registry/badger/told.go reads.
	told bool
}

// onDisk is a play whose store is on a small disk of its own. The gateway's leases are
// a tenth, so that what a full disk has left is mended within the test.
func onDisk(t *testing.T, o story.Options) (*story.Play, *disk) {
	t.Helper()
	o.Binary, o.Dir = crashing(t), t.TempDir()
	d := &disk{dir: filepath.Join(o.Dir, "store")}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := mount(d.dir, diskSize, diskFiles); err != nil {
		d.told = true
		t.Logf("the gateway is told of the disk's room, since nobody may mount one here: %v", err)
	} else {
		t.Cleanup(func() { unmount(t, d.dir) })
	}
	return learn(t, open(t, o)), d
}

// mount makes a folder a disk of so many bytes and files.
func mount(dir string, size, files int) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d,mode=0700", size, files))
}

func unmount(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		t.Error(err)
	}
}

// onceOnDisk runs a test as once does, with the store on a small disk.
func onceOnDisk(t *testing.T, f func(*testing.T, *story.Play, *disk)) {
	t.Helper()
	if ranInNamespace(t) {
		return
	}
	for _, kind := range onceKinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p, d := onDisk(t, story.Options{Kind: kind})
			f(t, p, d)
		})
	}
}

// leave takes all room but so many bytes.
func (d *disk) leave(t *testing.T, room int64) {
	t.Helper()
	var err error
	if d.told {
		err = d.tell(strconv.FormatInt(room, 10))
	} else {
		err = d.fill(room)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

func (d *disk) fill(room int64) error {
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	var stat syscall.Statfs_t
	info, err := f.Stat()
	if err == nil {
		err = syscall.Fstatfs(int(f.Fd()), &stat)
	}
	if err != nil {
		return err
	}
	if over := int64(stat.Bavail)*stat.Bsize - room; over > 0 {
		return syscall.Fallocate(int(f.Fd()), 0, info.Size(), over)
	}
	return nil
}

// tell replaces the file as a whole, since the gateway may be reading it.
func (d *disk) tell(room string) error {
	file := d.dir + ".dcr-test-room"
	if err := os.WriteFile(file+".new", []byte(room), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// leaveNoFiles takes every file that the disk could still have.
func (d *disk) leaveNoFiles(t *testing.T) {
	t.Helper()
	if d.told {
		d.leave(t, 0)
		return
	}
	if err := os.Mkdir(d.ballast(), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range diskFiles {
		if err := os.WriteFile(filepath.Join(d.ballast(), strconv.Itoa(i)), nil, 0o600); err != nil {
			return
		}
	}
	t.Fatal("the disk takes any number of files")
}

// empty gives everything back.
func (d *disk) empty(t *testing.T) {
	t.Helper()
	var err error
	if d.told {
		err = os.Remove(d.dir + ".dcr-test-room")
	} else {
		err = os.RemoveAll(d.ballast())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// namespaced tells a test process that it is the one in a namespace.
const namespaced = "DCR_TEST_NAMESPACED"

// ranInNamespace runs the test that calls it once more, where this process may not
// mount: in a user namespace, where on most machines every user may. It returns false
// where that is not needed, or there are no such namespaces.
func ranInNamespace(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	err := mount(dir, diskSize, diskFiles)
	if err == nil {
		unmount(t, dir)
		return false
	}
	if os.Getenv(namespaced) != "" {
		return false
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	again.Env = append(os.Environ(), namespaced+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, failed := again.CombinedOutput()
	if again.Process == nil {
		return false
	}
	t.Logf("run in a user namespace, since this process may not mount (%v):\n%s", err, out)
	if failed != nil {
		t.Error(failed)
	}
	return true
}
