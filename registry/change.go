package registry

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

var errNotManaged = errors.New("unknown or deleted client")

// errHeld is in the chain of errChanging.
var errHeld = errors.New("registry: another request holds it")

func errChanging() *verify.Error {
	e := verify.Refuse(verify.Unavailable, "change", "another change of this client is under way; try again").Because(errHeld)
	e.RetryAfter = time.Second
	return e
}

// afterLease is an error whose request may still be on its way to the AS, or whose
// end could not be written: what it holds stays held until the lease ends. Sent again
// before, it would be refused as one that was sent twice.
func afterLease(err error) *verify.Error {
	e := verify.AsError(err)
	e.RetryAfter = max(e.RetryAfter, lease)
	return e
}

// heldBy is the client as it is now, where the change that began with before
// still holds it.
func heldBy(w Writer, before *Client, holder string) (*Client, error) {
	c, err := loadClient(w, before.Workspace, before.ID)
	if err != nil {
		return nil, err
	}
	if c.Change != holder || c.Status != Active {
		return nil, fmt.Errorf("registry: the change of client_id %s was overtaken", before.ClientID)
	}
	return c, nil
}

// changeable is a client that a change may begin with.
func changeable(w Writer, workspace, clientID string, now time.Time) (*Client, error) {
	c, err := findClient(w, workspace, clientID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, verify.NotYours(errNotManaged)
	case err != nil:
		return nil, err
	case c.Status != Active:
		return nil, verify.NotYours(errNotManaged)
	case c.changing(now):
		return nil, errChanging()
	}
	return c, nil
}
