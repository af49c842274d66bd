package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Client returns the client with the AS's client_id. What it reads of a client that is
// there, Lookup must count the writes of. A client that was deleted
// comes back with Status Deleted and nothing but its ids; one that is pending is
// not there yet. Suspended is filled in.
//
// Errors: ErrNotFound for a client_id that was never registered here; ErrAlike too
// where one was that an AS could take for the same.
func (r *Registry) Client(ctx context.Context, workspace, clientID string) (c *Client, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		if c, err = findClient(v, workspace, clientID); err == nil {
			c.Suspended, err = suspended(v, c)
			return err
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		for _, kind := range []string{"id", "alike"} {
			found, alikeErr := get(v, key(kind, workspace, verify.Fold(clientID)))
			if alikeErr != nil {
				return alikeErr
			}
			if found != nil {
				return ErrAlike
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ErrAlike is an ErrNotFound for a client_id that differs from a registered one only in
// what verify.Fold takes away: case, accents, blanks, what nobody sees. To an AS, or to
// its database, it may be that client.
var ErrAlike = fmt.Errorf("%w: a client_id of which another spelling is registered", ErrNotFound)

func findClient(v getter, workspace, clientID string) (*Client, error) {
	id, err := v.Get(key("id", workspace, clientID))
	if err != nil {
		return nil, err
	}
	if len(id) == 0 {
		return &Client{Workspace: workspace, ClientID: clientID, Status: Deleted}, nil
	}
	c, err := loadClient(v, workspace, string(id))
	if errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("registry: client_id %s names registration %s, which is gone", clientID, id)
	}
	return c, err
}

// Document returns a client as it is now, and the request that it is registered
// with, as received: a compact JWS with the software statement in it. Both are of
// one moment: between Client and Document an update may have replaced them. There is no
// request of a client that was imported without one.
//
// Errors: that of verify.NotYours for a client that is gone meanwhile.
func (r *Registry) Document(ctx context.Context, c *Client) (now *Client, request []byte, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		now, err = loadClient(v, c.Workspace, c.ID)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && !now.Registered():
			return verify.NotYours(errNotManaged)
		case err != nil:
			return err
		}
		request, err = requestOf(v, now)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return now, request, nil
}

// requestOf is the stored request, nil where there is none to store.
func requestOf(v getter, c *Client) ([]byte, error) {
	if c.Document == "" {
		return nil, nil
	}
	request, err := v.Get(documentKey(c))
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("registry: the request of registration %s is gone", c.ID)
	}
	return request, err
}

// carryStatement fills in the SoftwareStatement, for an AS that is to be told of it. A
// stored request that cannot be read is no reason to tell the AS nothing.
func carryStatement(v getter, c *Client) error {
	request, err := requestOf(v, c)
	if err != nil {
		return err
	}
	if raw, _, err := c.Statement(request); err == nil {
		c.SoftwareStatement = raw
	}
	return nil
}
