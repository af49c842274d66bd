package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// UndoImport removes the clients that an import has written and that nothing has changed
// since: nothing at the AS. A client that was suspended since counts as changed: it might pass
// as an unknown one. It takes any import that is not at work, complete or not, and goes on with
// one that was begun to be undone.
//
// Errors: ErrNotFound; ErrChanged; ErrImportRunning; those of the store, and of ctx.
func (r *Registry) UndoImport(ctx context.Context, id string, act Act) (*ImportRecord, error) {
	if err := act.Check(); err != nil {
		return nil, err
	}
	if !r.importing.TryLock() {
		return nil, ErrImportRunning
	}
	defer r.importing.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.running, func() { cancel(ErrClosed) })()
	var m *ImportRecord
	err := r.store.Update(ctx, func(w Writer) (err error) {
		if m, err = readImport(w, id); err != nil {
			return err
		}
		if err := errors.Join(act.matches(w, importKey(id)), act.confirm(w)); err != nil {
			return err
		}
		m.State, m.Act, m.Ended, m.Kept = ImportUndoing, act, 0, 0
		return m.put(w, r.now())
	})
	if err != nil {
		return nil, err
	}
	act.confirms = nil // it has
	for after, full := "", true; full; {
		var keys []string
		err := r.store.View(ctx, func(v Reader) (err error) {
			keys, err = v.Keys(importedPrefix(id), after, undoPage)
			return err
		})
		if err != nil {
			return nil, err
		}
		for some := range slices.Chunk(keys, importClients) {
			if err := r.undoImported(ctx, m, some, act); err != nil {
				return nil, fmt.Errorf("%w; the import is not undone: undo it again", err)
			}
			after = some[len(some)-1]
		}
		full = len(keys) == undoPage
	}
	m.State, m.Ended = ImportUndone, r.now().Unix()
	err = r.store.Update(ctx, func(w Writer) error { return m.put(w, r.now()) })
	if err == nil {
		r.log.Info("undid an import of clients", slog.String("import", id), slog.Int("undone", m.Undone), slog.Int("kept", m.Kept))
	}
	return m, err
}

const undoPage = 256

// undoImported removes some clients, and that they were imported. One that has changed stays,
// with its entry.
func (r *Registry) undoImported(ctx context.Context, m *ImportRecord, entryKeys []string, act Act) error {
	undone, kept := m.Undone, m.Kept
	return r.transact(ctx, func(w Writer) error {
		m.Undone, m.Kept = undone, kept
		for _, k := range entryKeys {
			if err := r.undoOne(w, m, k, act); err != nil {
				return err
			}
		}
		return m.put(w, r.now())
	})
}

func (r *Registry) undoOne(w Writer, m *ImportRecord, entryKey string, act Act) error {
	data, err := get(w, entryKey)
	if err != nil || data == nil {
		return err
	}
	var e importedEntry
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("registry: unreadable %s: %w", entryKey, err)
	}
	workspace, clientID, err := importedNames(entryKey)
	if err != nil {
		return err
	}
	c, err := findClient(w, workspace, clientID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && c.Status == Deleted:
		return w.Delete(entryKey) // and the client_id of one that was deleted stays taken
	case err != nil:
		return err
	}
	same, err := r.unchangedSince(w, c, &e)
	if err != nil {
		return err
	}
	if !same {
		m.Kept++
		return nil
	}
	m.Undone++
	return errors.Join(r.takeOut(w, c, &e, act), w.Delete(entryKey))
}

// importedNames are workspace and client_id of an importedKey.
func importedNames(k string) (workspace, clientID string, err error) {
	parts := strings.Split(k, "/")
	if len(parts) != 4 {
		return "", "", fmt.Errorf("registry: %s is no key of an imported client", k)
	}
	if workspace, err = url.PathUnescape(parts[2]); err == nil {
		clientID, err = url.PathUnescape(parts[3])
	}
	return workspace, clientID, err
}

func (r *Registry) unchangedSince(w Writer, c *Client, e *importedEntry) (bool, error) {
	if c.ID != e.Registration || c.Status != Active || c.changing(r.now()) {
		return false, nil
	}
	suspensions, err := records[Suspension](w, c.suspensionKeys())
	if err != nil {
		return false, err
	}
	// Every other suspension is some operator's decision, and so is the end of the import's own.
	own := func(s Suspension) bool { return e.Suspended && s.Kind == SuspendClient && s.Since == e.At }
	if e.Suspended != slices.ContainsFunc(suspensions, own) || len(suspensions) > 1 || len(suspensions) == 1 && !own(suspensions[0]) {
		return false, nil
	}
	sum, err := stateOf(c)
	return bytes.Equal(sum, e.Sum), err
}

// takeOut removes what putImported has written, so that the client_id is one that the registry
// has never known.
func (r *Registry) takeOut(w Writer, c *Client, e *importedEntry, act Act) error {
	ws, _ := r.attached(c.Workspace)
	indexes, err := indexKeys(c)
	if err != nil {
		return err
	}
	if err := c.leaves(w); err != nil {
		return err
	}
	if alike := alikeKey(c); e.Alike && alike != "" {
		of, err := get(w, alike)
		if err != nil {
			return err
		}
		if string(of) == c.ID { // else a client that registered since has written it too
			if err := w.Delete(alike); err != nil {
				return err
			}
		}
	}
	if e.Suspended {
		if err := w.Delete((&Suspension{Workspace: c.Workspace, Kind: SuspendClient, Value: c.ClientID}).key()); err != nil {
			return err
		}
	}
	return errors.Join(deleteAll(w, indexes), endDiscrepancies(w, c), w.Delete(idKey(c)), w.Delete(clientKey(c)), w.Delete(useKey(c.Workspace, c.ClientID)), w.Delete(findingKey(c)), deleteDocument(w, c),
		r.putAudit(w, ws, AuditEntry{Change: AuditImportUndone, Act: act}, c))
}
