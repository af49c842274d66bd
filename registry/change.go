package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

var errNotManaged = errors.New("unknown or deleted client")

func errChanging() *verify.Error {
	e := verify.Refuse(verify.Unavailable, "change", "another change of this client is under way; try again")
	e.RetryAfter = time.Second
	return e
}

// Update replaces the metadata of a client, in place: client_id and tokens stay.
// The old metadata count until the AS has taken the new ones.
//
// Errors: those of Register, and of verify.NotYours for a client that is gone.
func (r *Registry) Update(ctx context.Context, ws Workspace, clientID string, in Registration) (*Client, error) {
	change := uuid.NewString()
	hold := requestReservation(ws.Name, change, in.Request)
	c, err := r.beginUpdate(ctx, ws, clientID, hold)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	before := *c
	c.describe(in)
	p, err := r.update(ctx, ws, c)
	if p != nil {
		c.Credentials = p.Credentials
	}
	if err != nil {
		if releaseErr := r.releaseUpdate(ctx, &before, hold, c.Credentials); releaseErr != nil {
			r.log.Error("a refused update could not be released; its lease ends by itself", slog.String("client_id", clientID), slog.Any("error", releaseErr))
		}
		return nil, err
	}
	c.Metadata, c.UpdatedAt, c.Document = p.Metadata, r.now().Unix(), change
	c.Change, c.ChangeUntil = "", 0
	if err := r.seal(c, c.Credentials); err != nil {
		return nil, err
	}
	return c, r.finishUpdate(ctx, &before, c, hold, in.Request.Raw)
}

// beginUpdate takes the lease of the client and the jti of the request.
func (r *Registry) beginUpdate(ctx context.Context, ws Workspace, clientID string, hold reservation) (c *Client, err error) {
	now := r.now()
	err = r.store.Update(ctx, func(w Writer) error {
		if c, err = findClient(w, ws.Name, clientID); err != nil {
			return err
		}
		switch {
		case c.Status != Active:
			return verify.NotYours(errNotManaged)
		case c.changing(now):
			return errChanging()
		}
		if err := hold.take(w, now); err != nil {
			return err
		}
		c.Change, c.ChangeUntil = hold.holder, leaseEnd(now)
		return putClient(w, c)
	})
	if errors.Is(err, ErrNotFound) {
		return nil, verify.NotYours(errNotManaged)
	}
	if err != nil {
		return nil, err
	}
	return c, r.unseal(c)
}

// update asks the AS. Where the gateway chose the client_id, a registration
// access token that was lost with an answer is had again by repeating the POST.
func (r *Registry) update(ctx context.Context, ws Workspace, c *Client) (*Provisioned, error) {
	p, err := ws.Provisioner.Update(ctx, c)
	if !errors.Is(err, ErrLost) && !errors.Is(err, ErrDetached) || !ws.Provisioner.ChoosesClientID() {
		return p, err
	}
	r.log.Warn("repeating an update whose answer was lost", slog.String("client_id", c.ClientID), slog.Any("error", err))
	if err := r.reattach(ctx, ws, c); err != nil {
		return nil, err
	}
	return ws.Provisioner.Update(ctx, c)
}

// reattach gets new credentials for a client whose client_id was chosen here.
func (r *Registry) reattach(ctx context.Context, ws Workspace, c *Client) error {
	p, err := ws.Provisioner.Create(ctx, c)
	if err != nil {
		return err
	}
	c.Credentials = p.Credentials
	return nil
}

// releaseUpdate leaves the client as it was, but for credentials that the AS
// rotated before it failed.
func (r *Registry) releaseUpdate(ctx context.Context, before *Client, hold reservation, newest Credentials) error {
	rotated := *before
	if newest != before.Credentials {
		if err := r.seal(&rotated, newest); err != nil {
			return err
		}
	}
	return r.store.Update(ctx, func(w Writer) error {
		c, err := loadClient(w, before.Workspace, before.ID)
		if err != nil {
			return err
		}
		if c.Change == hold.holder {
			c.Change, c.ChangeUntil, c.Sealed = "", 0, rotated.Sealed
			if err := putClient(w, c); err != nil {
				return err
			}
		}
		return hold.giveBack(w)
	})
}

func (r *Registry) finishUpdate(ctx context.Context, before, after *Client, hold reservation, request []byte) error {
	old, err := indexKeys(before)
	if err != nil {
		return err
	}
	indexes, err := indexKeys(after)
	if err != nil {
		return err
	}
	return r.store.Update(ctx, func(w Writer) error {
		c, err := loadClient(w, before.Workspace, before.ID)
		if err != nil {
			return err
		}
		if c.Change != hold.holder || c.Status != Active {
			return fmt.Errorf("registry: the change of client_id %s was overtaken", before.ClientID)
		}
		for _, k := range old {
			if err := w.Delete(k); err != nil {
				return err
			}
		}
		for _, k := range indexes {
			if err := w.Put(k, []byte{}); err != nil {
				return err
			}
		}
		return errors.Join(hold.keep(w), w.Delete(key("document", before.Document)),
			w.Put(key("document", after.Document), request), putClient(w, after))
	})
}

// Delete ends a client. When it returns nil the client can do nothing any more
// through the gateway; the AS knows that too, or will as soon as it can be reached.
//
// Errors: those of verify.NotYours for a client that is gone; Unavailable.
func (r *Registry) Delete(ctx context.Context, ws Workspace, clientID string, presented *verify.AccessToken) error {
	c, todo, err := r.beginDelete(ctx, ws, clientID)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	// Real ASs keep the tokens of a deleted client alive, so the token goes first.
	if err := ws.Provisioner.Revoke(ctx, presented.Raw, false); err != nil {
		r.log.Info("the token of a deleted client was not revoked at the authorization server", slog.String("client_id", clientID), slog.Any("error", err))
	}
	if err := r.finishDelete(ctx, ws, c, todo); err != nil {
		r.log.Warn("the authorization server did not delete a client; the outbox goes on", slog.String("client_id", clientID), slog.Any("error", err))
	}
	return nil
}

func (r *Registry) beginDelete(ctx context.Context, ws Workspace, clientID string) (c *Client, todo work, err error) {
	now := r.now()
	err = r.store.Update(ctx, func(w Writer) error {
		if c, err = findClient(w, ws.Name, clientID); err != nil {
			return err
		}
		switch {
		case c.Status != Active:
			return verify.NotYours(errNotManaged)
		case c.changing(now):
			return errChanging()
		}
		c.Status = Deleting
		todo = work{key: outboxKey(now.Add(lease), c.ID), Kind: workDelete, Workspace: ws.Name, Registration: c.ID}
		return errors.Join(putClient(w, c), todo.put(w))
	})
	if errors.Is(err, ErrNotFound) {
		return nil, todo, verify.NotYours(errNotManaged)
	}
	return c, todo, err
}

// finishDelete deletes the client at the AS and then what the registry has of it.
func (r *Registry) finishDelete(ctx context.Context, ws Workspace, c *Client, todo work) error {
	if err := r.unseal(c); err != nil {
		return err
	}
	err := ws.Provisioner.Delete(ctx, c)
	if (errors.Is(err, ErrDetached) || errors.Is(err, ErrLost)) && ws.Provisioner.ChoosesClientID() {
		if err = r.reattach(ctx, ws, c); err == nil {
			err = ws.Provisioner.Delete(ctx, c)
		}
	}
	if errors.Is(err, ErrDetached) {
		// RFC 7592 2.3: 401 is also the answer for a client that is gone.
		r.log.Error("the authorization server may still hold a deleted client", slog.String("client_id", c.ClientID), slog.Any("error", err))
		err = nil
	}
	if err != nil {
		return err
	}
	indexes, err := indexKeys(c)
	if err != nil {
		return err
	}
	return r.store.Update(ctx, func(w Writer) error {
		for _, k := range indexes {
			if err := w.Delete(k); err != nil {
				return err
			}
		}
		return errors.Join(w.Put(idKey(c), []byte{}), w.Delete(clientKey(c)), w.Delete(key("document", c.Document)), w.Delete(todo.key))
	})
}
