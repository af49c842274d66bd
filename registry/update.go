package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
)

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
		if c, err = changeable(w, ws.Name, clientID, now); err != nil {
			return err
		}
		if err := hold.take(w, now); err != nil {
			return err
		}
		c.Change, c.ChangeUntil = hold.holder, leaseEnd(now)
		return putClient(w, c)
	})
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
