package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// Delete ends a client. When it returns nil the client can do nothing any more
// through the gateway; the AS knows that too, or will as soon as it can be
// reached. The token that asked for it is revoked first.
//
// Errors: those of verify.NotYours for a client that is gone; Unavailable.
func (r *Registry) Delete(ctx context.Context, ws Workspace, clientID string, presented Presented) error {
	crashpoint("delete: accepted")
	c, todo, err := r.beginDelete(ctx, ws, clientID, presented)
	if err != nil {
		return err
	}
	r.endDelete(ctx, ws, c, todo)
	return nil
}

func (r *Registry) beginDelete(ctx context.Context, ws Workspace, clientID string, presented Presented) (c *Client, todo *work, err error) {
	todo = r.newWork(workDelete, ws.Name)
	if v := presented.revocation(); v.Token != "" && ws.Provisioner.Revokes(v) {
		if err := r.carryToken(todo, presented.Token, v); err != nil {
			return nil, nil, err
		}
	}
	err = r.transact(ctx, func(w Writer) error {
		if c, err = r.leave(w, ws, clientID, todo); err != nil {
			return err
		}
		if err := refuseSuspended(w, c); err != nil {
			return err
		}
		return r.putAudit(w, ws, AuditEntry{Change: AuditDeleted, Origin: presented.Origin}, c)
	})
	return c, todo, err
}

// leave makes an active client one that may do nothing any more, and todo the entry
// that has the AS forget it.
func (r *Registry) leave(w Writer, ws Workspace, clientID string, todo *work) (*Client, error) {
	now := r.now()
	c, err := changeable(w, ws.Name, clientID, now)
	if err != nil {
		return nil, err
	}
	if err := c.leaves(w); err != nil {
		return nil, err
	}
	c.Status = Deleting
	todo.key, todo.Registration, todo.Org = laterKey(leaseEnd(now), c.ID), c.ID, c.Organisation()
	return c, errors.Join(putClient(w, c), todo.put(w))
}

// endDelete has the AS forget a client now, or leaves that to the outbox.
func (r *Registry) endDelete(ctx context.Context, ws Workspace, c *Client, todo *work) {
	crashpoint("delete: begun")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	if err := r.finishDelete(ctx, ws, c, *todo); err != nil {
		r.log.Warn("the authorization server did not delete a client; the outbox goes on", slog.String("client_id", c.ClientID), slog.Any("error", err))
		if err := r.reschedule(ctx, *todo, err); err != nil {
			r.log.Error("outbox: entry not written back", slog.Any("error", err))
		}
		crashpoint("delete: put off")
	}
}

// finishDelete deletes the client at the AS and then what the registry has of it.
func (r *Registry) finishDelete(ctx context.Context, ws Workspace, c *Client, todo work) error {
	err := r.unseal(c)
	if err != nil { // with a keyset that was lost: nobody can delete it there with its own token
		err = fmt.Errorf("%w: %w", ErrDetached, err)
	} else {
		if err := r.revokeFirst(ctx, ws, todo); err != nil {
			return err
		}
		crashpoint("delete: revoked")
		err = ws.Provisioner.Delete(ctx, c)
	}
	if (errors.Is(err, ErrDetached) || errors.Is(err, ErrLost)) && ws.Provisioner.ChoosesClientID() {
		err = r.registerToDelete(ctx, ws, c, func() { crashpoint("delete: reattached") })
	}
	var left *Divergence
	if errors.Is(err, ErrDetached) {
		left, err = r.notDeleted(c, err), nil
	}
	if err != nil {
		return err
	}
	crashpoint("delete: answered")
	indexes, err := indexKeys(c)
	if err != nil {
		return err
	}
	err = r.transactDetached(ctx, func(w Writer) error {
		for _, k := range indexes {
			if err := w.Delete(k); err != nil {
				return err
			}
		}
		return errors.Join(settle(w, c), left.put(w), w.Put(idKey(c), []byte{}), w.Delete(clientKey(c)), deleteDocument(w, c), w.Delete(todo.key))
	})
	if err == nil {
		crashpoint("delete: finished")
	}
	return err
}
