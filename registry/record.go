package registry

import (
	"encoding/json"
	"fmt"
	"time"
)

func (r *Registry) seal(c *Client, credentials Credentials) error {
	secret, err := json.Marshal(credentials)
	if err != nil {
		return err
	}
	c.Bridge = credentials.Bridge
	c.Sealed, err = r.sealer.Seal(secret, clientKey(c))
	return err
}

// unseal fills in the Credentials.
func (r *Registry) unseal(c *Client) error {
	if len(c.Sealed) == 0 {
		return nil
	}
	secret, err := r.sealer.Open(c.Sealed, clientKey(c))
	if err != nil {
		return fmt.Errorf("registry: the credentials of client %s do not open with this keyset: %w", c.ID, err)
	}
	return json.Unmarshal(secret, &c.Credentials)
}

func clientKey(c *Client) string { return key("client", c.Workspace, c.ID) }
func idKey(c *Client) string     { return key("id", c.Workspace, c.ClientID) }

func putClient(w Writer, c *Client) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return w.Put(clientKey(c), data)
}

// loadClient returns the record, or ErrNotFound.
func loadClient(r getter, workspace, id string) (*Client, error) {
	data, err := r.Get(key("client", workspace, id))
	if err != nil {
		return nil, err
	}
	return readClient(data)
}

// leaseEnd is a whole second, as records keep it: what a lease holds is free from the
// very moment at which the work that follows the lease is due.
func leaseEnd(now time.Time) time.Time { return time.Unix(now.Add(lease).Unix(), 0) }
