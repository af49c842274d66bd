package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/backup"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

// ErrStoreNotOpen is Backup's where this configuration serves nothing.
var ErrStoreNotOpen = errors.New("the store is not open: this configuration has not started, or has ended")

// Backup writes a backup of the open store to w while everything goes on, see
// registry.Registry.Backup. The store stays open until it returns, over reloads too.
//
// Errors: ErrStoreNotOpen, registry.ErrBackupRunning, those of w.
func (a *App) Backup(ctx context.Context, w io.Writer, progress func(registry.BackupProgress)) (*backup.Header, error) {
	r, open := a.EnterOpen()
	if !open {
		return nil, ErrStoreNotOpen
	}
	defer a.Leave()
	h, err := r.Backup(ctx, w, progress)
	if err != nil {
		return nil, err
	}
	a.log.Info("made a backup of the store", slog.Int64("records", h.Records()), slog.Uint64("sequence", h.Sequence))
	return h, nil
}

// RestoreOptions say how Restore goes about it.
type RestoreOptions struct {
	// VerifyOnly reads the backup and opens no store. Default: false.
	VerifyOnly bool
	// Confirm and Progress are those of registry.Restoration.
	Confirm  string
	Progress func(p registry.BackupProgress, verified bool)
}

// Restore puts a backup into the configured store, which must be empty and not in use, with
// the configured keyset. The App is provisioned and not started.
//
// Errors: those of registry.Restore, badger.ErrLocked, and a keyset that is missing.
func (a *App) Restore(ctx context.Context, from io.ReadSeeker, o RestoreOptions) (v *registry.VerifiedBackup, err error) {
	file := keysetFile{name: keysetName(), log: a.log}
	k, err := file.read(a.keyset)
	switch {
	case err != nil:
		return nil, fmt.Errorf("keyset: %w", err)
	case k == nil:
		return nil, fmt.Errorf("keyset: %s is missing, and no backup contains it: put back the keyset with which the backup was made", file.name)
	}
	if o.VerifyOnly {
		return registry.VerifyBackup(ctx, from, k, func(p registry.BackupProgress) { o.Progress(p, false) })
	}
	if err := a.checkUser(file.name); err != nil {
		return nil, err
	}
	open, err := a.openRestored(from)
	if err != nil {
		return nil, err
	}
	store, err := open(ctx, a.log)
	if errors.Is(err, badger.ErrLocked) {
		err = fmt.Errorf("%w: stop the gateway first", err)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return registry.Restore(ctx, registry.Restoration{From: from, Store: store, Sealer: k, Confirm: o.Confirm, Progress: o.Progress})
}

// largeBackup is from which size on a restore takes memory and room on the disk to be faster.
const largeBackup = 128 << 20

// openRestored is how the store is opened for a backup, which is read from its beginning
// afterwards.
func (a *App) openRestored(from io.Seeker) (func(context.Context, *slog.Logger) (registry.Store, error), error) {
	size, err := from.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = from.Seek(0, io.SeekStart)
	}
	if b, ok := a.engine.(*BadgerStore); ok && size >= largeBackup {
		return b.openToFill, err
	}
	return a.engine.Open, err
}

// checkUser refuses to make files as root that the gateway's user could not open.
func (a *App) checkUser(keyset string) error {
	names := []string{keyset}
	if b, ok := a.engine.(*BadgerStore); ok {
		names = append(names, b.absolute)
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			continue
		}
		if user, is := rootBeside(info); is {
			return fmt.Errorf("%s belongs to user %s, who could not open what root restores: run this as that user, with sudo -u %s -H", name, user, user)
		}
	}
	return nil
}
