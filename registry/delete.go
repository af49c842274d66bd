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
	d := &deletion{operation: r.newOperation(ws, Registration{Origin: presented.Origin}, AuditDeleted), presented: presented}
	d.find = func(w Writer) (*Client, error) {
		c, err := changeable(w, ws.Name, clientID, d.began)
		if err == nil {
			err = refuseSuspended(w, c)
		}
		return c, err
	}
	return run(ctx, d)
}

// DeleteByOperator ends a client as Delete does, because an operator wants it so: suspended or
// not. The AS deletes it too, or is asked to until it has. Its tokens end with it where the AS
// ends the tokens of a deleted client.
//
// Errors: ErrNotFound for a workspace that is not configured, or a client that is not there;
// ErrChanged; Unavailable while a change of the client is under way.
func (r *Registry) DeleteByOperator(ctx context.Context, workspace, clientID string, act Act) error {
	ws, _, err := r.activeClient(ctx, workspace, clientID)
	if err != nil {
		return err
	}
	d := &deletion{operation: r.newOperation(ws, Registration{}, AuditDeleted)}
	d.audit.Act = act
	d.find = func(w Writer) (*Client, error) {
		c, err := changeable(w, workspace, clientID, d.began)
		if err == nil {
			err = act.matches(w, c.tagged()...)
		}
		return c, err
	}
	return forOperator(run(ctx, d))
}

// forOperator is an error of a change that an operator has made: a client that is gone
// meanwhile is no invalid token.
func forOperator(err error) error {
	if errors.Is(err, errNotManaged) {
		return fmt.Errorf("%w: this client was deleted", ErrNotFound)
	}
	return err
}

// deletion is a deletion of a client in progress. Once it has begun it does not fail: the
// outbox goes on with it.
type deletion struct {
	operation
	// presented is the token that asked for it; empty for none.
	presented Presented
	// find is the client, or why it is not to be deleted.
	find func(Writer) (*Client, error)
	// left is what the AS may still hold of the client: call fills it in.
	left *Discrepancy
}

func (d *deletion) prepare() error {
	d.entry = *d.r.newWork(workDelete, d.ws.Name)
	if v := d.presented.revocation(); v.Token != "" && d.ws.Provisioner.Revokes(v) {
		return d.r.carryToken(&d.entry, d.presented.Token, v)
	}
	return nil
}

// reserve makes the client one that may do nothing any more.
func (d *deletion) reserve(ctx context.Context) error {
	err := d.r.transact(ctx, func(w Writer) (err error) {
		if d.client, err = d.find(w); err != nil {
			return err
		}
		c := d.client
		if err := c.leaves(w); err != nil {
			return err
		}
		was := c.Status
		c.Status = Deleting
		if err := indexApproval(w, c, was); err != nil {
			return err
		}
		d.entry.key, d.entry.Registration, d.entry.Org = laterKey(leaseEnd(d.began), c.ID), c.ID, c.Organisation()
		return errors.Join(putClient(w, c), d.entry.put(w), d.r.putAudit(w, d.ws, d.audit, c))
	})
	if err != nil {
		return err
	}
	if d.audit.Reason != "" {
		d.r.log.Warn("deletes a client as an operator requested", slog.String("workspace", d.ws.Name), slog.String("client_id", d.client.ClientID), slog.String("software_id", d.client.SoftwareID))
	}
	crashpoint("delete: begun")
	return nil
}

// call has the AS forget the client.
func (d *deletion) call(ctx context.Context) error {
	c := d.client
	err := d.r.unseal(c)
	if err != nil { // with a keyset that was lost: nobody can delete it there with its own token
		err = fmt.Errorf("%w: %w", ErrDetached, err)
	} else {
		if err := d.r.revokeFirst(ctx, d.ws, d.entry); err != nil {
			return err
		}
		crashpoint("delete: revoked")
		err = d.ws.Provisioner.Delete(ctx, c)
	}
	if (errors.Is(err, ErrDetached) || errors.Is(err, ErrLost)) && d.ws.Provisioner.ChoosesClientID() {
		err = d.r.registerToDelete(ctx, d.ws, c, func() { crashpoint("delete: reattached") })
	}
	if errors.Is(err, ErrDetached) {
		d.left, err = d.r.notDeleted(c, err), nil
	}
	return err
}

// conclude removes the client, or leaves that to the outbox.
func (d *deletion) conclude(ctx context.Context, failed error) error {
	if failed == nil {
		failed = d.finish(ctx)
	}
	if failed == nil {
		return nil
	}
	d.r.log.Warn("cannot delete a client at the authorization server now; the outbox tries again", slog.String("client_id", d.client.ClientID), slog.Any("error", failed))
	if err := d.r.reschedule(ctx, d.entry, failed); err != nil {
		d.r.log.Error("cannot update an outbox entry in the store", slog.Any("error", err))
	}
	crashpoint("delete: put off")
	return nil
}

// finish is the last transaction: it removes what the registry has of the client.
func (d *deletion) finish(ctx context.Context) error {
	crashpoint("delete: answered")
	err := d.r.transactDetached(ctx, func(w Writer) error { return endClient(w, d.client, d.entry, d.left) })
	if err == nil {
		crashpoint("delete: finished")
	}
	return err
}

// endClient removes what the registry has of a client that may do nothing any more, with the
// entry of the outbox that was to end it at the AS, and lists what may be left there.
func endClient(w Writer, c *Client, entry work, left *Discrepancy) error {
	indexes, err := indexKeys(c)
	if err != nil {
		return err
	}
	return errors.Join(deleteAll(w, indexes), endDiscrepancies(w, c), left.put(w), w.Put(idKey(c), []byte{}), w.Delete(clientKey(c)), deleteDocument(w, c), w.Delete(useKey(c.Workspace, c.ClientID)), w.Delete(findingKey(c)), w.Delete(entry.key))
}
