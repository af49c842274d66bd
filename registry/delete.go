package registry

import (
	"context"
	"errors"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

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
	if err := ws.Provisioner.Revoke(ctx, Revocation{Token: presented.Raw}); err != nil {
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
		if c, err = changeable(w, ws.Name, clientID, now); err != nil {
			return err
		}
		c.Status = Deleting
		todo = work{key: laterKey(now.Add(lease), c.ID), Kind: workDelete, Workspace: ws.Name, Registration: c.ID}
		return errors.Join(putClient(w, c), todo.put(w))
	})
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
	return r.conclude(ctx, func(w Writer) error {
		for _, k := range indexes {
			if err := w.Delete(k); err != nil {
				return err
			}
		}
		return errors.Join(w.Put(idKey(c), []byte{}), w.Delete(clientKey(c)), w.Delete(key("document", c.Document)), w.Delete(todo.key))
	})
}
