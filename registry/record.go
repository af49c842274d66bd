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
		return fmt.Errorf("registry: the credentials of registration %s do not open with this keyset: %w", c.ID, err)
	}
	return json.Unmarshal(secret, &c.Credentials)
}

func clientKey(c *Client) string { return key("client", c.Workspace, c.ID) }
func idKey(c *Client) string     { return key("id", c.Workspace, c.ClientID) }

func putClient(w Writer, c *Client) error { return putRecord(w, clientKey(c), c) }

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

func deleteAll(w Writer, keys []string) error {
	for _, k := range keys {
		if err := w.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// readOwn reads a record of the store about itself, which may be absent.
func readOwn(r getter, key string, to any, version *int) error {
	data, err := get(r, key)
	if err != nil || data == nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("registry: unreadable %s: %w", key, err)
	}
	if *version > schema {
		return fmt.Errorf("registry: %s of schema %d, this version knows %d: run the newer version", key, *version, schema)
	}
	return nil
}

func putRecord(w Writer, key string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return w.Put(key, data)
}

func putExpiringRecord(w Writer, key string, record any, expires time.Time) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return w.PutExpiring(key, data, expires)
}
