package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// diskSize leaves the store the room that it wants, and not much more.
const diskSize = 256 << 20

// onDisk is a play whose store is on a small disk of its own. The gateway's leases are
// a tenth, so that what a full disk has left is mended within the test.
func onDisk(t *testing.T, kind authserverprocess.Kind) (p *story.Play, disk string) {
	t.Helper()
	dir := t.TempDir()
	disk = filepath.Join(dir, "store")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize)); err != nil {
		t.Skipf("left out: a disk that runs full, for which this machine does not let a test mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	binary, err := gateway.BuildCrashing()
	if err != nil {
		t.Fatal(err)
	}
	s, err := story.Open(t.Context(), story.Options{Binary: binary, Dir: dir, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if log := s.Gateway.Log(); t.Failed() {
			t.Logf("the gateway's log:\n%s", log[max(0, len(log)-shownLog):])
		}
	})
	return learn(t, s), disk
}

// fill takes so much room that too little is left, and returns what gives it back.
func fill(t *testing.T, disk string) (empty func()) {
	t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(disk, &stat); err != nil {
		t.Fatal(err)
	}
	room := int64(stat.Bavail) * stat.Bsize
	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	const left = 64 << 20
	chunk := make([]byte, 1<<20)
	for ; room > left; room -= int64(len(chunk)) {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
	}
}

// TestDiskFull: what cannot be made durable is not done, and says so; what needs no
// write goes on. When there is room again, everything is as before.
func TestDiskFull(t *testing.T) {
	for _, kind := range authserverprocess.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			p, disk := onDisk(t, kind)
			client := p.Client(p.Acme)
			id, own := registered(t, p)
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			change, err := p.Acme.Request(nil)
			if err != nil {
				t.Fatal(err)
			}
			empty := fill(t, disk)
			full := func() {
				t.Helper()
				r, err := client.Register(t.Context(), p.Register, token, body)
				unavailable(t, "register", r, err)
				if strings.Contains(string(r.Body), disk) || strings.Contains(string(r.Body), "MB") {
					t.Errorf("the TPP is told of the disk: %v", r)
				}
				r, err = client.Update(t.Context(), p.Register, id, own, change)
				unavailable(t, "update", r, err)
				r, err = client.Delete(t.Context(), p.Register, id, own)
				unavailable(t, "delete", r, err)
				if err := reads(t.Context(), p, id); err != nil { // the guard, and GET
					t.Error(err)
				}
				if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
					t.Errorf("%d clients at the authorization server, %v", len(clients), err)
				}
			}
			full()
			if !strings.Contains(p.Gateway.Log(), "MB are needed") {
				t.Error("the log does not say what is missing")
			}
			if err := errors.Join(p.Gateway.Kill(), p.Gateway.Restart(t.Context())); err != nil {
				t.Fatalf("killed and started while the disk is full: %v", err)
			}
			p.CloseIdle()
			full()
			empty()
			r, err := client.Register(t.Context(), p.Register, token, body)
			answered(t, r, err, 201, "")
			r, err = client.Update(t.Context(), p.Register, id, own, change)
			answered(t, r, err, 200, "")
			for _, id := range []string{id, r.Text("client_id")} {
				if err := reads(t.Context(), p, id); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestDiskFullMeanwhile: the disk runs full while the AS registers a client. It can
// not be taken into the registry, and must not stay at the AS.
func TestDiskFullMeanwhile(t *testing.T) {
	for _, kind := range authserverprocess.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			p, disk := onDisk(t, kind)
			token, body, answer := holdsRegistration(t, p, true)
			empty := fill(t, disk)
			if err := p.AS.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := <-answer
			unavailable(t, "register", r.Response, r.err)
			empty()
			if err := story.Eventually(t.Context(), time.Minute, func() error { return noClients(t, p) }); err != nil {
				t.Errorf("the authorization server keeps the client: %v", err)
			}
			err := story.Eventually(t.Context(), time.Minute, func() error {
				r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
				if err == nil && r.Status != 201 {
					err = fmt.Errorf("the same registration once more: %v", r)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
				t.Errorf("%d clients at the authorization server, %v", len(clients), err)
			}
		})
	}
}

// TestReadOnlyDirectory: the gateway does not start, names the directory, and works
// when that can be written again.
func TestReadOnlyDirectory(t *testing.T) {
	p, disk := onDisk(t, authserverprocess.GoOIDC)
	id, _ := registered(t, p)
	if err := p.Gateway.Stop(); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	err := p.Gateway.Restart(t.Context())
	if err == nil || !strings.Contains(err.Error(), disk) || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("started, or without saying why: %v", err)
	}
	remount(0)
	if err := p.Gateway.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.CloseIdle()
	if err := reads(t.Context(), p, id); err != nil {
		t.Error(err)
	}
}
