package registry

import (
	"context"
	"errors"
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
	var lost *Divergence
	switch {
	case err != nil || c.Status != Deleting:
	case c.ClientID != "" && ws.Provisioner.ChoosesClientID():
		if err := r.reattach(ctx, ws, c); err != nil {
			return err
		}
		crashpoint("undo: reattached")
		if err := ws.Provisioner.Delete(ctx, c); err != nil {
			return err
		}
		crashpoint("undo: deleted")
	default:
		lost = r.answerLost(c, errCutOff)
	}
	return r.forgetPending(ctx, k.Registration, k, lost)
}
