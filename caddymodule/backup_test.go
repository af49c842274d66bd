package caddymodule

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

func untold(registry.BackupProgress, bool) {}

// restored is a store in a new directory that a backup was put into.
func restored(t *testing.T, file io.ReadSeeker, o RestoreOptions) *BadgerStore {
	t.Helper()
	engine := &BadgerStore{absolute: filepath.Join(t.TempDir(), "restored")}
	o.Progress = untold
	if _, err := configuration(t, engine, "").Restore(t.Context(), file, o); err != nil {
		t.Fatal(err)
	}
	return engine
}

// served starts a gateway's app on a store, until the end of f.
func served(t *testing.T, engine *BadgerStore, f func(*App)) {
	t.Helper()
	a := configuration(t, engine, "")
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	f(a)
	if err := a.Cleanup(); err != nil {
		t.Fatal(err)
	}
	stores.settled(t, engine)
}

// TestBackupOfEarlierVersions: a store that an earlier version has written is backed up while
// it is open, and restored on another directory it has what it had.
func TestBackupOfEarlierVersions(t *testing.T) {
	archives, err := filepath.Glob("testdata/stores/*.tar.gz")
	if err != nil || len(archives) == 0 {
		t.Fatalf("got %q, %v, want an archive or more", archives, err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".tar.gz"), func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("XDG_DATA_HOME", dir) // where its keyset is
			unpack(t, archive, dir)
			file, err := os.Create(filepath.Join(dir, "backup"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			served(t, &BadgerStore{absolute: filepath.Join(dir, "store")}, func(a *App) {
				h, err := a.Backup(t.Context(), file, nil)
				if err != nil || h.Sequence == 0 || h.Counts["client"] != 5 || len(h.KeysetIDs) != 1 {
					t.Errorf("got %+v, %v, want 5 clients, a sequence and a key", h, err)
				}
			})
			served(t, restored(t, file, RestoreOptions{}), func(a *App) {
				if e := a.registry.Epoch(); !e.Unconfirmed() || e.Cause != registry.EpochRestored {
					t.Errorf("got the epoch %+v, want that of a restore, unconfirmed", e)
				}
				hasFiveClients(t, a.registry, a.workspaces[0].Workspace)
			})
		})
	}
}

// TestBackupsOfEarlierVersions: backups that an earlier version has made are restored. Each
// is of the store in testdata/stores/before-head-closed.tar.gz, and needs its keyset.
func TestBackupsOfEarlierVersions(t *testing.T) {
	files, err := filepath.Glob("testdata/backups/*.backup")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %q, %v, want a backup or more", files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("XDG_DATA_HOME", dir)
			unpack(t, "testdata/stores/before-head-closed.tar.gz", dir)
			file, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			served(t, restored(t, file, RestoreOptions{Confirm: "a test"}), func(a *App) {
				if e := a.registry.Epoch(); e.Unconfirmed() || e.Reason != "a test" {
					t.Errorf("got the epoch %+v, want it confirmed with the reason", e)
				}
				hasFiveClients(t, a.registry, a.workspaces[0].Workspace)
			})
		})
	}
}

// TestRestoreBesideAGateway: nothing is restored while a gateway holds the store, none
// without a keyset, and to verify a backup neither matters.
func TestRestoreBesideAGateway(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	engine := &BadgerStore{absolute: filepath.Join(dir, "store")}
	var file bytes.Buffer
	served(t, engine, func(a *App) {
		if _, err := a.Backup(t.Context(), &file, nil); err != nil {
			t.Fatal(err)
		}
		again := configuration(t, engine, "")
		_, err := again.Restore(t.Context(), bytes.NewReader(file.Bytes()), RestoreOptions{Progress: untold})
		if !errors.Is(err, badger.ErrLocked) || !strings.HasSuffix(err.Error(), "stop the gateway first") {
			t.Errorf("beside a gateway: got %v, want ErrLocked, and what to do", err)
		}
		if _, err := again.Restore(t.Context(), bytes.NewReader(file.Bytes()), RestoreOptions{VerifyOnly: true, Progress: untold}); err != nil {
			t.Errorf("verifying beside a gateway: %v", err)
		}
	})
	a := configuration(t, engine, "")
	if _, err := a.Restore(t.Context(), bytes.NewReader(file.Bytes()), RestoreOptions{Progress: untold}); !errors.Is(err, registry.ErrNotEmpty) {
		t.Errorf("into its own store: got %v, want ErrNotEmpty", err)
	}
	if _, err := a.Backup(t.Context(), &file, nil); !errors.Is(err, ErrStoreNotOpen) {
		t.Errorf("of a configuration that has not started: got %v, want ErrStoreNotOpen", err)
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	fresh := &BadgerStore{absolute: filepath.Join(dir, "fresh")}
	_, err := configuration(t, fresh, "").Restore(t.Context(), bytes.NewReader(file.Bytes()), RestoreOptions{Progress: untold})
	if err == nil || !strings.Contains(err.Error(), "keyset.json is missing, and no backup contains it") {
		t.Errorf("without a keyset: got %v", err)
	}
	if _, err := os.Stat(fresh.absolute); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
}

// TestGatewayRefusesHalfARestore: a restore that was cut off is no store to start with.
func TestGatewayRefusesHalfARestore(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	var file bytes.Buffer
	served(t, &BadgerStore{absolute: filepath.Join(dir, "store")}, func(a *App) {
		if _, err := a.Backup(t.Context(), &file, nil); err != nil {
			t.Fatal(err)
		}
	})
	engine := &BadgerStore{absolute: filepath.Join(dir, "half")}
	_, err := configuration(t, engine, "").Restore(t.Context(), &brokenLater{Reader: bytes.NewReader(file.Bytes())}, RestoreOptions{Progress: untold})
	if err == nil || !strings.Contains(err.Error(), "the restore is not completed, run it again") {
		t.Errorf("got %v, want that it is to be run again", err)
	}
	if err := configuration(t, engine, "").Start(); !errors.Is(err, registry.ErrRestoring) {
		t.Errorf("got %v, want ErrRestoring", err)
	}
	stores.settled(t, engine)
	if _, err := configuration(t, engine, "").Restore(t.Context(), bytes.NewReader(file.Bytes()), RestoreOptions{Progress: untold}); err != nil {
		t.Fatalf("once more: %v", err)
	}
	served(t, engine, func(*App) {})
}

// brokenLater is a file that cannot be read any more once it was read to its end.
type brokenLater struct {
	*bytes.Reader
	ended bool
}

func (b *brokenLater) Read(p []byte) (int, error) {
	if b.ended && b.Len() > 0 {
		return 0, errors.New("input/output error")
	}
	n, err := b.Reader.Read(p)
	b.ended = b.ended || b.Len() == 0
	return n, err
}
