package registry

import (
	"context"
	"errors"
	"log/slog"
)

// abandon ends a registration that the AS did not carry out. Where it may have
// been carried out, the undo entry does it: at once when the client_id was
// chosen here, otherwise there is no way to find the client, and the log says so.
// It returns what the TPP is told.
func (r *Registry) abandon(ctx context.Context, ws Workspace, c *Client, undo work, cause error) error {
	if errors.Is(cause, ErrLost) && ws.Provisioner.ChoosesClientID() {
		r.log.Error("answer lost: the client will be deleted at the authorization server", slog.String("client_id", c.ClientID), slog.Any("error", cause))
		return afterLease(cause) // until then token and jti are taken
	}
	if errors.Is(cause, ErrLost) {
		r.log.Error("answer lost: the authorization server may hold a client that the registry does not know",
			slog.String("workspace", ws.Name), slog.String("software_id", c.SoftwareID), slog.Any("error", cause))
	}
	if err := r.forgetPending(ctx, c.ID, undo); err != nil {
		r.log.Error("a refused registration could not be removed now; it will be later", slog.String("registration", c.ID), slog.Any("error", err))
	}
	return cause
}

// forgetPending removes what Register's first transaction wrote.
func (r *Registry) forgetPending(ctx context.Context, id string, undo work) error {
	return r.conclude(ctx, func(w Writer) error {
		c, err := loadClient(w, undo.Workspace, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if c != nil && c.Status != Active {
			for _, k := range undo.Holds {
				if err := (reservation{key: k, holder: id}).giveBack(w); err != nil {
					return err
				}
			}
			if err := errors.Join(w.Delete(clientKey(c)), w.Delete(key("document", c.Document))); err != nil {
				return err
			}
		}
		return w.Delete(undo.key)
	})
}

// disown ends a client that the AS made and the registry could not take. One with
// a client_id chosen here is left to the undo entry. Of another, only the answer
// at hand says how to delete it.
func (r *Registry) disown(ctx context.Context, ws Workspace, c *Client, p *Provisioned, undo work, cause error) {
	if ws.Provisioner.ChoosesClientID() || errors.Is(cause, errTwice) {
		return
	}
	// The time for the AS may be what ended the activation. Twice that is still
	// within the lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	made := *c
	made.ClientID, made.Credentials = p.ClientID, p.Credentials
	if err := ws.Provisioner.Delete(ctx, &made); err != nil {
		r.log.Error("the authorization server holds a client that the registry could not take", slog.String("client_id", p.ClientID), slog.Any("error", errors.Join(cause, err)))
		return // the undo entry tells so once more
	}
	if err := r.forgetPending(ctx, c.ID, undo); err != nil {
		r.log.Error("a failed registration could not be removed now; it will be later", slog.String("registration", c.ID), slog.Any("error", err))
	}
}

// errTwice is an AS that gives a new client the id of one that is there: it must
// not be deleted.
var errTwice = errors.New("registry: the authorization server gave out a client_id twice")
