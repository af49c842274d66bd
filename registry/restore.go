package registry

import (
	"context"
	"errors"
	"log/slog"
)

// restore tells the AS once more what a client is registered with, after an
// update whose end is not known: the answer was lost, the gateway ended, or the
// AS took something else than it was asked to. The registry's record counts.
func (r *Registry) restore(ctx context.Context, ws Workspace, k work) error {
	holder := "restore " + k.ID
	var c *Client
	now := r.now()
	err := r.store.Update(ctx, func(w Writer) (err error) {
		c, err = loadClient(w, k.Workspace, k.Registration)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && !c.Registered():
			c = nil // deleted meanwhile, and then the AS is told so
			return w.Delete(k.key)
		case err != nil:
			return err
		case c.changing(now) && c.Change != holder:
			return errChanging()
		}
		if err := r.unseal(c); err != nil {
			return err
		}
		var request []byte
		if c.Document != "" {
			request, err = get(w, documentKey(c))
		}
		if err != nil {
			return err
		}
		// One that cannot be read must not leave the AS with other metadata than ours.
		if raw, _, err := c.Statement(request); err == nil {
			c.SoftwareStatement = raw
		}
		c.Change, c.ChangeUntil = holder, leaseEnd(now).Unix()
		return putClient(w, c)
	})
	if err != nil || c == nil {
		return err
	}
	crashpoint("restore: begun")
	p, theirs, err := r.update(ctx, ws, c)
	if p != nil {
		c.Credentials = p.Credentials
	}
	crashpoint("restore: answered")
	var lost *Discrepancy
	switch {
	case err == nil:
		c.Metadata, c.Keys = p.Metadata, p.Keys
	case k.final(err, now):
		// It refuses what it has taken before, or does not know the client any more.
		kind := OtherMetadata
		if errors.Is(err, ErrDetached) {
			kind = Detached
		}
		r.log.Error("cannot restore a client's metadata at the authorization server, which may hold others than the registry", slog.String("client_id", c.ClientID), slog.Any("error", err))
		lost = r.discrepancy(kind, c, err)
	}
	return errors.Join(err, r.endRestore(ctx, ws, c, k, err == nil, theirs, lost))
}

// endRestore keeps what the AS rotated and lets go of the client, unless a
// request may still be on its way: then the next attempt, or time, ends the lease.
func (r *Registry) endRestore(ctx context.Context, ws Workspace, c *Client, k work, done bool, theirs standing, lost *Discrepancy) error {
	if err := r.seal(c, c.Credentials); err != nil {
		return err
	}
	return r.transactDetached(ctx, func(w Writer) error {
		current, err := heldBy(w, c, c.Change)
		if err != nil {
			return err
		}
		current.Bridge, current.Sealed, current.Metadata, current.Keys = c.Bridge, c.Sealed, c.Metadata, c.Keys
		if theirs != perhapsChanged || done {
			current.Change, current.ChangeUntil = "", 0
		}
		if !done {
			return errors.Join(putClient(w, current), lost.put(w))
		}
		current.Unconfirmed = false
		if err := current.settled(w); err != nil {
			return err
		}
		return errors.Join(putClient(w, current), endDiscrepancies(w, current), w.Delete(k.key), r.putAudit(w, ws, AuditEntry{Change: AuditRestored}, current))
	})
}
