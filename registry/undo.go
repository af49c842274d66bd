package registry

import (
	"context"
	"errors"
	"log/slog"
)

var errCutOff = errors.New("registry: cut off before the answer was kept")

// undo ends what a crash or a lost answer cut off while it was pending. The AS may
// have created the client. With a client_id chosen here, asking once more gives
// the credentials to delete it with.
func (r *Registry) undo(ctx context.Context, ws Workspace, k work) error {
	// First out of the hands of a holder that is still at work, however late.
	var c *Client
	err := r.transact(ctx, func(w Writer) (err error) {
		if c, err = loadClient(w, k.Workspace, k.Registration); err != nil || c.Status != Pending {
			return err
		}
		if err := c.leaves(w); err != nil {
			return err
		}
		c.Status = Deleting
		return putClient(w, c)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	crashpoint("undo: begun")
	var lost *Discrepancy
	switch {
	case err != nil || c.Status != Deleting:
	case c.ClientID != "" && ws.Provisioner.ChoosesClientID():
		err := r.registerToDelete(ctx, ws, c, func() { crashpoint("undo: reattached") })
		switch {
		case errors.Is(err, ErrDetached):
			lost, err = r.notDeleted(c, err), nil
		case errors.Is(err, ErrNoRegistration) && k.Unnamed+1 >= maxUnnamed:
			lost, err = r.answerLost(c, err), nil
		}
		if err != nil {
			return err
		}
		crashpoint("undo: deleted")
	default:
		lost = r.answerLost(c, errCutOff)
	}
	return r.forgetPending(ctx, k, lost)
}

// maxUnnamed is how often a registration is repeated for its credentials at an AS that
// answers each time, and never says which client it has made: it may make one each time.
const maxUnnamed = 3

// registerToDelete deletes a client whose client_id was chosen here, with the credentials
// that a repeated POST gives. between is called between the two.
func (r *Registry) registerToDelete(ctx context.Context, ws Workspace, c *Client, between func()) error {
	err := r.reattach(ctx, ws, c)
	if err == nil {
		between()
		err = ws.Provisioner.Delete(ctx, c)
	}
	if errors.Is(err, ErrTakenBack) {
		return nil
	}
	return err
}

// notDeleted lists a client of which the AS takes, or has given, no registration access
// token: asking again without end would end nothing. RFC 7592 2.3: 401 is also the answer
// for a client that is gone.
func (r *Registry) notDeleted(c *Client, cause error) *Discrepancy {
	r.log.Error("cannot delete a client at the authorization server, which may still hold it", slog.String("client_id", c.ClientID), slog.Any("error", cause))
	return r.discrepancy(NotDeleted, c, cause)
}
