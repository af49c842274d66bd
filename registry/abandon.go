package registry

import (
	"context"
	"errors"
	"log/slog"
)

// errTwice is an AS that gives a new client the id of one that is there: it must
// not be deleted.
var errTwice = errors.New("registry: the authorization server gave out a client_id twice")

// abandon ends a registration that the AS did not carry out, and returns what the
// TPP is told. Where it may have been carried out, the undo entry ends it if the
// client_id was chosen here; otherwise there is no way to find the client, and
// operators are told.
func (n *creation) abandon(ctx context.Context, cause error) error {
	r, c := n.r, n.client
	var lost *Discrepancy
	if errors.Is(cause, ErrLost) {
		if n.ws.Provisioner.ChoosesClientID() {
			r.log.Error("lost the answer to a registration; will delete the client at the authorization server", slog.String("client_id", c.ClientID), slog.Any("error", cause))
			crashpoint("register: lost")
			return afterLease(cause) // until then token and jti are taken
		}
		lost = r.answerLost(c, cause)
	}
	crashpoint("register: refused")
	if err := r.forgetPending(ctx, n.entry, lost); err != nil {
		r.log.Error("cannot remove a refused registration from the store now; tries again later", slog.String("registration", c.ID), slog.Any("error", err))
		return afterLease(cause)
	}
	crashpoint("register: forgotten")
	return cause
}

// answerLost logs, and lists, a client that nobody knows.
func (r *Registry) answerLost(c *Client, cause error) *Discrepancy {
	r.log.Error("lost the answer to a registration; the authorization server may hold a client that the registry does not know",
		slog.String("workspace", c.Workspace), slog.String("software_id", c.SoftwareID), slog.String("client_id", c.ClientID), slog.Any("error", cause))
	return r.discrepancy(AnswerLost, c, cause)
}

// disown ends a client that the AS made and the registry does not take. The answer
// at hand says how, unless the undo entry can do it: with the client_id chosen here.
func (n *creation) disown(ctx context.Context, cause error) {
	r, c, p := n.r, n.client, n.answer
	if errors.Is(cause, errTwice) {
		return
	}
	// After a refusal there is nothing to wait for: the registration is not there, and
	// the TPP may come with a new statement and the same token.
	if n.ws.Provisioner.ChoosesClientID() && p.ClientID == c.ClientID && !isRefusal(cause) {
		return
	}
	crashpoint("disown: begun")
	// The time for the AS may be what ended the activation. Twice that is still
	// within the lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	made := *c
	made.ClientID, made.Credentials = p.ClientID, p.Credentials
	err := n.ws.Provisioner.Delete(ctx, &made)
	if err == nil {
		crashpoint("disown: deleted")
		err = r.forgetPending(ctx, n.entry, nil)
	} else {
		r.log.Warn("cannot delete a rejected client at the authorization server now; the outbox tries again", slog.String("client_id", p.ClientID), slog.Any("error", errors.Join(cause, err)))
		err = n.leaveForDeletion(ctx, &made, err)
	}
	if err != nil {
		r.log.Error("cannot remove a failed registration from the store now; tries again later", slog.String("registration", c.ID), slog.Any("error", err))
	}
	crashpoint("disown: ended")
}

// leaveForDeletion gives a client to the outbox that must go at the AS. It was
// never one here: its client_id is a deleted client's from now on.
func (n *creation) leaveForDeletion(ctx context.Context, c *Client, cause error) error {
	r := n.r
	c.Status = Deleting
	if err := r.seal(c, c.Credentials); err != nil {
		return err
	}
	todo := r.newWork(workDelete, c.Workspace)
	todo.Registration, todo.Org, todo.Tried, todo.LastError = c.ID, c.Organisation(), r.now().Unix(), errorText(cause)
	return r.transactDetached(ctx, func(w Writer) error {
		taken, err := get(w, idKey(c))
		if err != nil || len(taken) > 0 {
			return errors.Join(err, errTwice)
		}
		if err := giveBackAll(w, n.entry); err != nil {
			return err
		}
		if err := pendingLeaves(w, c); err != nil {
			return err
		}
		return errors.Join(putClient(w, c), w.Put(idKey(c), []byte{}), w.Delete(n.entry.key), todo.put(w))
	})
}

// forgetPending removes what Register's first transaction wrote, and lists what
// may be left of it.
func (r *Registry) forgetPending(ctx context.Context, undo work, lost *Discrepancy) error {
	return r.transactDetached(ctx, func(w Writer) error { return forget(w, undo, lost) })
}

func forget(w Writer, undo work, lost *Discrepancy) error {
	c, err := loadClient(w, undo.Workspace, undo.Registration)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if c != nil && !c.Registered() {
		if err := pendingLeaves(w, c); err != nil {
			return err
		}
		if err := giveBackAll(w, undo); err != nil {
			return err
		}
		if err := errors.Join(w.Delete(clientKey(c)), deleteDocument(w, c), lost.put(w)); err != nil {
			return err
		}
	}
	return w.Delete(undo.key)
}

// pendingLeaves counts a client out that is pending still: an undo may have done so.
func pendingLeaves(w Writer, c *Client) error {
	now, err := loadClient(w, c.Workspace, c.ID)
	if errors.Is(err, ErrNotFound) || err == nil && now.Status != Pending {
		return nil
	}
	if err != nil {
		return err
	}
	return now.leaves(w)
}

// giveBackAll releases what the registration holds that an entry undoes.
func giveBackAll(w Writer, undo work) error {
	for _, k := range undo.Holds {
		if err := (reservation{key: k, holder: undo.Registration}).giveBack(w); err != nil {
			return err
		}
	}
	return nil
}
