package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

var (
	// ErrNotEmpty is Restore's for a store that holds something.
	ErrNotEmpty = errors.New("the store is not empty, and a restore overwrites nothing")
	// ErrRestoring is Open's for a store whose restore has not ended.
	ErrRestoring = errors.New("a restore of this store was not completed: run caddy dcr restore again with the backup")

	errChanged = errors.New("registry: the file has changed while it was read: run the restore again with a file that nobody writes to")
)

// Restoration is what Restore needs.
type Restoration struct {
	// From is the backup. It is read twice. Required.
	From io.ReadSeeker
	// Store is empty, or one in which a restore was begun. It stays open. Required.
	Store Store
	// Sealer is the keyset with which the backup was made, or one that has its keys. Required.
	Sealer Sealer
	// Confirm is an operator's reason to confirm the epoch at once: nothing was lost, because
	// nothing was changed after the backup. Default: the epoch waits for its confirmation.
	Confirm string
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Progress is called now and then, from one goroutine. verified tells that the file was
	// verified, and that its records are being written. Default: none.
	Progress func(p BackupProgress, verified bool)
}

// Restore puts a backup into an empty store. The file is verified to its end before
// anything is written. What was issued until the store is opened for the first time counts
// as used afterwards, as DeclareRestored says. A restore that does not end leaves a store
// that Open refuses, and that Restore clears and fills from the beginning.
//
// Errors: those of VerifyBackup and of the store, ErrNotEmpty.
func Restore(ctx context.Context, o Restoration) (*VerifiedBackup, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = func(BackupProgress, bool) {}
	}
	if o.Confirm != "" {
		if err := CheckConfirmation(o.Confirm); err != nil {
			return nil, err
		}
	}
	if err := mayRestore(ctx, o.Store); err != nil {
		return nil, err
	}
	v, err := VerifyBackup(ctx, o.From, o.Sealer, func(p BackupProgress) { o.Progress(p, false) })
	if err != nil {
		return nil, err
	}
	now := o.Now()
	if err := markRestoring(ctx, o.Store, now); err != nil {
		return nil, err
	}
	if err := clearStore(ctx, o.Store); err != nil {
		return nil, fmt.Errorf("registry: clearing what an earlier restore has left: %w", err)
	}
	own, err := o.writeRecords(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("%w; the restore is not completed, run it again", err)
	}
	v.Label = fmt.Sprintf("backup of %s, restored %s", v.Time.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	return v, o.finish(ctx, v, own, now)
}

// ownRecords are those about the store itself, which come with the end.
type ownRecords map[string][]byte

// Get makes readOwn read them.
func (o ownRecords) Get(key string) ([]byte, error) {
	if value, ok := o[key]; ok {
		return bytes.Clone(value), nil
	}
	return nil, ErrNotFound
}

// writeRecords writes all others.
func (o *Restoration) writeRecords(ctx context.Context, v *VerifiedBackup) (ownRecords, error) {
	own := ownRecords{}
	b := newBulk(ctx, o.Store)
	read, err := readBackup(ctx, o.From, o.Sealer, func(p BackupProgress) { o.Progress(p, true) }, func(r backup.Record) error {
		switch r.Key {
		case bindingKey, epochKey, restoredKey, unopenedKey:
			own[r.Key] = r.Value
			return nil
		}
		return b.put(Entry{Key: r.Key, Value: r.Value, Expires: r.Expires})
	})
	if writeErr := b.wait(); writeErr != nil {
		return nil, writeErr
	}
	if err != nil {
		return nil, err
	}
	if read.sum != v.sum {
		return nil, errChanged
	}
	return own, nil
}

// finish makes the store one that opens, in one transaction. The entries of the audit trail
// come before: they may be more than one takes.
func (o *Restoration) finish(ctx context.Context, v *VerifiedBackup, own ownRecords, now time.Time) error {
	b := newBulk(ctx, o.Store)
	for _, name := range v.Workspaces {
		entries := []AuditEntry{{At: now, Change: AuditStoreRestored, Workspace: name, Act: Act{Reason: v.Label}}}
		if o.Confirm != "" {
			entries = append(entries, AuditEntry{At: now, Change: AuditConfirmed, Workspace: name, Act: Act{Reason: o.Confirm}})
		}
		for _, e := range entries {
			if err := putAuditEntry(b, Workspace{}, &e); err != nil {
				return errors.Join(err, b.wait())
			}
		}
	}
	if err := b.wait(); err != nil {
		return err
	}
	before, err := readEpoch(own)
	if err != nil {
		return err
	}
	u := &unopened{Schema: schema, Label: v.Label, Confirm: o.Confirm}
	epoch := u.epoch(before, now)
	return o.Store.Update(ctx, func(w Writer) error {
		err := w.Delete(bindingKey)
		if value, ok := own[bindingKey]; ok {
			err = w.Put(bindingKey, value)
		}
		if value, ok := own[restoredKey]; ok {
			err = errors.Join(err, w.Put(restoredKey, value))
		}
		return errors.Join(err, putRecord(w, epochKey, epoch), putRecord(w, unopenedKey, u))
	})
}

// mayRestore refuses a store that holds anything, unless that is of a restore.
func mayRestore(ctx context.Context, s Store) error {
	return s.View(ctx, func(v Reader) error {
		_, err := readBinding(v)
		if errors.Is(err, ErrRestoring) {
			return nil
		}
		if keys, err := v.Keys("", "", 1); err != nil || len(keys) == 0 {
			return err
		}
		clients, err := clientsIn(v)
		if err != nil {
			return err
		}
		return fmt.Errorf("%w: it has %s; to replace what it has, move its directory away or empty its database, and restore again; to keep it, configure another store", ErrNotEmpty, clients)
	})
}

// Of a store that is not empty, so many clients are counted, and so many workspaces named.
const (
	maxCountedClients  = 1000
	maxNamedWorkspaces = 5
)

// clientsIn says how many clients a store has, and of which workspaces.
func clientsIn(v Reader) (string, error) {
	keys, err := v.Keys(clientPrefix, "", maxCountedClients+1)
	switch {
	case err != nil:
		return "", err
	case len(keys) == 0:
		return "no clients, but other records, as a gateway writes when it starts", nil
	}
	var names []string
	for after := ""; len(names) <= maxNamedWorkspaces; {
		next, err := v.Keys(clientPrefix, after, 1)
		if err != nil {
			return "", err
		}
		if len(next) == 0 {
			break
		}
		names = append(names, clientPlaceOf(next[0], nil).workspace)
		workspace, _, _ := strings.Cut(next[0][len(clientPrefix):], "/")
		after = clientPrefix + workspace + "0" // behind all that begin with it and a slash
	}
	if len(names) > maxNamedWorkspaces {
		names[maxNamedWorkspaces] = "others"
	}
	clients := "1 client"
	switch n := len(keys); {
	case n > maxCountedClients:
		clients = fmt.Sprintf("more than %d clients", maxCountedClients)
	case n > 1:
		clients = fmt.Sprintf("%d clients", n)
	}
	return fmt.Sprintf("%s, of %s", clients, strings.Join(names, ", ")), nil
}

// markRestoring makes the store one that no version opens: those before this one know no
// schema 2 of the binding. In the same transaction it finds out that no gateway has opened it.
func markRestoring(ctx context.Context, s Store, now time.Time) error {
	mark := &binding{Schema: schema + 1, Seals: []seal{}, Restoring: now.UTC().Format(time.RFC3339)}
	text, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	return s.Update(ctx, func(w Writer) error {
		switch b, err := readBinding(w); {
		case errors.Is(err, ErrRestoring):
		case err != nil:
			return err
		case len(b.Seals) > 0:
			return fmt.Errorf("%w: a gateway has opened it meanwhile", ErrNotEmpty)
		}
		return w.Put(bindingKey, text)
	})
}
