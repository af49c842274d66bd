package registry

import (
	"errors"
	"fmt"
)

// giveUp ends an entry without the AS, and lists what the AS may have otherwise. c is the client
// that it was about, as it was; nil where it is not there.
func (r *Registry) giveUp(w Writer, k work) (c *Client, err error) {
	if k.Registration != "" {
		if c, err = loadClient(w, k.Workspace, k.Registration); errors.Is(err, ErrNotFound) {
			c, err = nil, nil
		}
	}
	switch {
	case err != nil:
		return nil, err
	case k.Kind == workRevoke:
		return c, errors.Join(r.notRevoked(k, c).put(w), w.Delete(k.key))
	case c == nil: // it is gone, and the entry ends so
		return nil, w.Delete(k.key)
	case k.Kind == workUndo && !c.Registered():
		return c, forget(w, k, r.givenUp(undone(c), k, c))
	case k.Kind == workDelete && !c.Registered():
		return c, endClient(w, c, k, r.givenUp(NotDeleted, k, c))
	case k.Kind == workRestore && c.Registered():
		return c, errors.Join(r.givenUp(OtherMetadata, k, c).put(w), w.Delete(k.key))
	case k.Kind == workUndo, k.Kind == workDelete, k.Kind == workRestore:
		return c, w.Delete(k.key) // the client is not any more what the entry is about
	}
	return nil, fmt.Errorf("unknown kind %q", k.Kind)
}

// undone is what a registration leaves that is not undone: with a client_id that was chosen here
// the AS has a client that can be found.
func undone(c *Client) string {
	if c.ClientID != "" {
		return NotDeleted
	}
	return AnswerLost
}

// givenUp is what an entry leaves that an operator has given up.
func (r *Registry) givenUp(kind string, k work, c *Client) *Discrepancy {
	d := &Discrepancy{
		Schema: schema, Workspace: k.Workspace, Kind: kind, Registration: c.ID, ClientID: c.ClientID,
		SoftwareID: c.SoftwareID, OrgID: c.OrgID, ClientName: c.ClientName, Since: r.now().Unix(),
	}
	d.Error = "given up by an operator"
	if k.LastError != "" {
		d.Error += "; the last attempt: " + k.LastError
	}
	d.Error = d.Error[:min(len(d.Error), maxDiscrepancyError)]
	return d
}

// notRevoked is a token that the AS was not told to revoke. No client has to be known.
func (r *Registry) notRevoked(k work, c *Client) *Discrepancy {
	of := Client{}
	if c != nil {
		of = *c
	}
	of.ID = k.name()
	if of.ClientID == "" {
		of.ClientID = k.ClientID
	}
	d := r.givenUp(NotRevoked, k, &of)
	if k.Until != 0 {
		d.Error = "the token ends at " + stamp(k.Until) + "; " + d.Error
	}
	d.Error = d.Error[:min(len(d.Error), maxDiscrepancyError)]
	return d
}
