package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// What an operator can do with the work that is left for the AS. The outbox and operators work
// on an entry one at a time (outboxClaims): what an operator has given up does not come back
// with an attempt that fails.

var (
	// ErrAtWork is that of a change of an outbox entry that is being carried out.
	ErrAtWork = errors.New("this entry is being carried out now; read it again in a moment")
	// ErrNotAttached is RetryOutbox's for an entry of a workspace that is not configured.
	ErrNotAttached = errors.New("the workspace of this entry is not configured, so that nobody can carry it out; the entry waits for that, or give it up")
)

// outboxClaims are the keys of the entries that somebody works on.
type outboxClaims struct {
	mu   sync.Mutex
	keys map[string]bool
}

func (c *outboxClaims) take(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys[key] {
		return false
	}
	if c.keys == nil {
		c.keys = map[string]bool{}
	}
	c.keys[key] = true
	return true
}

func (c *outboxClaims) leave(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.keys, key)
}

// name is what an entry is called as long as it lasts. Its key changes with each attempt.
func (k *work) name() string { return cmp.Or(k.ID, k.Registration) }

// OutboxEntry returns an entry that waits, and its entity tag, see Act. An empty workspace
// stands for all.
//
// Errors: ErrNotFound, also for an entry of a request that is at work.
func (r *Registry) OutboxEntry(ctx context.Context, workspace, id string) (found *OutboxEntry, tag string, err error) {
	key, err := r.findWork(ctx, workspace, id)
	if err != nil {
		return nil, "", err
	}
	err = r.store.View(ctx, func(v Reader) error {
		data, err := v.Get(key)
		if err != nil {
			return err
		}
		one, err := outboxEntry(Entry{Key: key, Value: data}, outboxDue(key))
		if err != nil {
			return err
		}
		found = &one
		tag, err = entityTag(v, key)
		return err
	})
	return found, tag, err
}

// findWork is the key that an entry has now. It looks through the outbox, as there is no index.
func (r *Registry) findWork(ctx context.Context, workspace, id string) (key string, err error) {
	err = r.eachEntry(ctx, "", func(at string, e OutboxEntry) bool {
		if e.ID == id && (workspace == "" || workspace == e.Workspace) {
			key = at
		}
		return key == ""
	})
	if err == nil && key == "" {
		err = ErrNotFound
	}
	return key, err
}

// RetryOutbox makes an entry due now, however long it was to wait. The audit trail has it.
//
// Errors: ErrNotFound, ErrChanged, ErrAtWork, ErrNotAttached.
func (r *Registry) RetryOutbox(ctx context.Context, workspace, id string, act Act) error {
	return r.changeOutbox(ctx, workspace, id, act, func(w Writer, k work) error {
		ws, ok := r.attached(k.Workspace)
		if !ok {
			return ErrNotAttached
		}
		before := k.key
		k.key = outboxKey(r.now(), cmp.Or(k.Registration, k.ID))
		return errors.Join(w.Delete(before), k.put(w), r.auditOutbox(w, ws, AuditRetried, k, nil, act))
	})
}

// changeOutbox changes an entry that an operator has seen, in one transaction.
func (r *Registry) changeOutbox(ctx context.Context, workspace, id string, act Act, change func(Writer, work) error) error {
	key, err := r.findWork(ctx, workspace, id)
	if err != nil {
		return err
	}
	if !r.atWork.take(key) {
		return ErrAtWork
	}
	defer r.nudge() // the outbox may have passed the entry over meanwhile
	defer r.atWork.leave(key)
	return r.store.Update(ctx, func(w Writer) error {
		data, err := get(w, key)
		switch {
		case err != nil:
			return err
		case data == nil: // it was carried out, or put off, meanwhile
			return ErrChanged
		}
		if err := act.matches(w, key); err != nil {
			return err
		}
		k := work{key: key}
		if err := json.Unmarshal(data, &k); err != nil {
			return fmt.Errorf("registry: unreadable outbox entry %s: %w", key, err)
		}
		if k.Schema > schema {
			return fmt.Errorf("registry: outbox entry of schema %d, this version knows %d: run the newer version", k.Schema, schema)
		}
		return change(w, k)
	})
}

// auditOutbox records what an operator has done with an entry; c is the client, nil where it is
// not there.
func (r *Registry) auditOutbox(w Writer, ws Workspace, change string, k work, c *Client, act Act) error {
	e := &AuditEntry{At: r.now(), Change: change, Workspace: k.Workspace, Outbox: k.Kind, Registration: k.Registration, ClientID: k.ClientID, Act: act, about: k.Registration}
	if c != nil {
		e.ClientID, e.SoftwareID, e.OrgID, e.Directory = c.ClientID, c.SoftwareID, c.OrgID, c.Directory
	}
	return putAuditEntry(w, ws, e)
}

// GiveUpOutbox ends an entry, and what it is about here. What the AS may have otherwise from
// then on is listed as a Discrepancy. The audit trail has it.
//
// Errors: ErrNotFound, ErrChanged, ErrAtWork.
func (r *Registry) GiveUpOutbox(ctx context.Context, workspace, id string, act Act) error {
	var given work
	err := r.changeOutbox(ctx, workspace, id, act, func(w Writer, k work) error {
		given = k
		ws, _ := r.attached(k.Workspace)
		c, err := r.giveUp(w, k)
		if err != nil {
			return err
		}
		return r.auditOutbox(w, ws, AuditGivenUp, k, c, act)
	})
	if err == nil {
		r.log.Warn("gives up an outbox entry as an operator requested", slog.String("kind", given.Kind), slog.String("workspace", given.Workspace), slog.String("id", given.name()), slog.String("reason", act.Reason))
	}
	return err
}
