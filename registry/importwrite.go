package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
)

var (
	// ErrImportRunning is Import's and UndoImport's while another one of the same store is at
	// work.
	ErrImportRunning = errors.New("an import into this store is running already: wait for its end, or end it")
	// ErrImportFaults is Import's for a file that has errors, of which nothing was written.
	ErrImportFaults = errors.New("the file has errors, and nothing of it was imported")
	// ErrImportUndoing is Import's for a file whose import was begun to be undone.
	ErrImportUndoing = errors.New("the import of this file is being undone: end that first")
	// ErrSealedElsewhere is for a file whose secrets the keyset cannot open.
	ErrSealedElsewhere = errors.New("the secrets in the file are encrypted with another keyset")
)

const (
	// importClients are written in one update: each has up to 18 keys.
	importClients = 3
	// importUpdates run side by side, and share the syncs of the disk.
	importUpdates = 8
	// importTold is after how many batches the record says how far it is.
	importTold = 256
)

// Import checks a whole file, and writes its clients if it has no error. The guard holds a
// client from when it is written. Nothing is told to the AS. Where it ends early, because ctx
// or the process did, the same file goes on with it; UndoImport takes back what it has written.
//
// Errors: ErrImportFaults, with the report that has them; ErrImportRunning; ErrImportUndoing;
// ErrSealedElsewhere; those of CheckImport and of the store, and of ctx.
func (r *Registry) Import(ctx context.Context, o ClientImport) (*ImportReport, error) {
	if err := o.Act.Check(); err != nil {
		return nil, err
	}
	if !r.importing.TryLock() {
		return nil, ErrImportRunning
	}
	defer r.importing.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.running, func() { cancel(ErrClosed) })()
	k, err := r.checkImport(ctx, o)
	if err != nil {
		return nil, err
	}
	if k.report.ErrorCount > 0 {
		return &k.report, ErrImportFaults
	}
	m, err := r.beginImport(ctx, k)
	if err != nil {
		return nil, err
	}
	if m.State == ImportDone {
		k.report.State = m.State // there is nothing left of it
		return &k.report, nil
	}
	err = k.write(ctx, m)
	k.report.Written, k.report.State = int(k.written.Load()), m.State
	if err != nil {
		return &k.report, fmt.Errorf("%w; the import is not complete: import the same file again, or undo it", err)
	}
	r.log.Info("imported clients", slog.String("import", m.ID), slog.Int("clients", m.Clients), slog.Int("written", k.report.Written), slog.Int("conflicts", k.report.Conflicts))
	return &k.report, nil
}

// beginImport records that it begins, or goes on. One that is done, and has nothing left to write, stays
// as it is.
func (r *Registry) beginImport(ctx context.Context, k *importCheck) (m *ImportRecord, err error) {
	err = r.store.Update(ctx, func(w Writer) error {
		m, err = readImport(w, k.report.ID)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && m.State == ImportUndone:
			m = &ImportRecord{ID: k.report.ID, SHA256: hex.EncodeToString(k.sum[:]), Workspace: k.Workspace, Clients: k.report.Clients, Began: r.now().Unix()}
		case err != nil:
			return err
		case m.State == ImportUndoing:
			return ErrImportUndoing
		case !m.sameFile(k.sum):
			return errImportChanged
		case m.State == ImportDone && k.report.New == 0:
			return nil
		}
		m.State, m.Act, m.Ended = ImportWriting, k.Act, 0
		return m.put(w, r.now())
	})
	return m, err
}

// write writes what is new. The batches have no order: each client is there as a whole, or not.
func (k *importCheck) write(ctx context.Context, m *ImportRecord) error {
	before := k.report.Imported // what the record says is older where the process was killed
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importUpdates)
	var conflicts atomic.Int64
	var batch []*importedClient
	size, batches := 0, 0
	tell := func(w Writer) error {
		m.Written, m.Conflicts = before+int(k.written.Load()), int(conflicts.Load())
		return m.put(w, k.r.now())
	}
	flush := func() error {
		these := batch
		batch, size = nil, 0
		if len(these) == 0 {
			return nil
		}
		group.Go(func() error {
			written, taken, err := k.r.writeImported(ctx, m.ID, these, k.Act)
			k.written.Add(int64(written))
			conflicts.Add(int64(taken))
			return err
		})
		if batches++; batches%importTold == 0 {
			return k.r.store.Update(ctx, tell)
		}
		return nil
	}
	read, err := k.each(ctx, func(ctx context.Context, l *clientfile.Client, c *importedClient) error {
		if size += c.size; len(batch) == importClients || size > bulkBytes {
			if err := flush(); err != nil {
				return err
			}
			size = c.size
		}
		batch = append(batch, c)
		return nil
	})
	if err == nil && (k.report.ErrorCount > 0 || read.Sum() != k.sum) {
		err = errImportChanged
	}
	if err == nil {
		err = flush()
	}
	if err = errors.Join(err, group.Wait()); err != nil {
		return err
	}
	k.report.Conflicts = int(conflicts.Load())
	m.State, m.Ended = ImportDone, k.r.now().Unix()
	return k.r.store.Update(context.WithoutCancel(ctx), tell)
}

// writeImported writes some clients in one update: those that the import has not written yet,
// and whose client_id is still free.
func (r *Registry) writeImported(ctx context.Context, id string, batch []*importedClient, act Act) (written, conflicts int, err error) {
	for _, m := range batch {
		if err := m.seal(r); err != nil {
			return 0, 0, err
		}
	}
	err = r.transact(ctx, func(w Writer) error {
		written, conflicts = 0, 0
		for _, m := range batch {
			found, err := r.lookUp(w, id, m)
			switch {
			case err != nil:
				return err
			case found.problem != "":
				conflicts++
				continue
			case found.imported || found.present:
				continue
			}
			if err := r.putImported(w, id, m, act); err != nil {
				return err
			}
			written++
		}
		return nil
	})
	return written, conflicts, err
}

// seal encrypts the secrets of a client for its record.
func (m *importedClient) seal(r *Registry) (err error) {
	c := m.client
	if m.credentials != (Credentials{}) {
		if err := r.seal(c, m.credentials); err != nil {
			return err
		}
	}
	if m.signing != "" {
		if m.secret.Sealed, err = r.sealer.Seal([]byte(m.signing), secretContext(c)); err != nil {
			return err
		}
	}
	if m.secret != nil {
		c.takeSecret(m.secret)
	}
	return nil
}

// putImported writes a client as a registration does.
func (r *Registry) putImported(w Writer, id string, m *importedClient, act Act) error {
	c := m.client
	ws, _ := r.attached(c.Workspace)
	indexes, err := indexKeys(c)
	if err != nil {
		return err
	}
	s, err := c.software().read(w)
	if err != nil {
		return err
	}
	s.Clients++
	s.Issued = max(s.Issued, r.issuedOf(m))
	sum, err := stateOf(c)
	if err != nil {
		return err
	}
	entry := importedEntry{Schema: schema, Registration: c.ID, Sum: sum, At: r.now().Unix()}
	if alike := alikeKey(c); alike != "" {
		entry.Alike = true
		err = w.Put(alike, []byte(c.ID))
	}
	for _, k := range indexes {
		err = errors.Join(err, w.Put(k, []byte{}))
	}
	if c.Document != "" {
		err = errors.Join(err, m.document.put(w, c))
	}
	err = errors.Join(err, s.put(w), putClient(w, c), w.Put(idKey(c), []byte(c.ID)), r.putAudit(w, ws, AuditEntry{Change: AuditImported, Act: act}, c))
	if m.suspended {
		entry.Suspended = true
		suspension := &Suspension{Schema: schema, Workspace: c.Workspace, Kind: SuspendClient, Value: c.ClientID, Act: act, Since: entry.At}
		err = errors.Join(err, putRecord(w, suspension.key(), suspension), r.auditSuspension(w, AuditSuspended, suspension))
	}
	value, marshalErr := json.Marshal(&entry)
	return errors.Join(err, marshalErr, w.PutExpiring(importedKey(id, c), value, r.now().Add(ImportRetention)))
}

// issuedOf is the iat of the statement that a client comes with, 0 for none, and for one of
// the future, which would keep its software from registering.
func (r *Registry) issuedOf(m *importedClient) int64 {
	if m.client.Document == "" {
		return 0
	}
	_, claims, err := m.client.Statement(m.document.request)
	if err != nil {
		return 0
	}
	iat, ok, err := claims.NumericDate("iat")
	if err != nil || !ok || !iat.Before(r.now().Add(skew)) {
		return 0
	}
	return iat.Unix()
}
