package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Update replaces the metadata of a client, in place: client_id and tokens stay.
// The old metadata count until the AS has taken the new ones.
//
// Errors: those of Register, and of verify.NotYours for a client that is gone;
// Unavailable for one that another change has overtaken.
func (r *Registry) Update(ctx context.Context, ws Workspace, clientID string, in Registration) (*Client, error) {
	leave, err := r.admission.admit(ctx, ws, in.organisation())
	if err != nil {
		return nil, err
	}
	defer leave()
	ch := r.newChange(ws, clientID, in, AuditUpdated)
	ch.holds = reservations{requestReservation(ws.Name, ch.id, in.Request)}
	return ch.replaceMetadata(ctx)
}

// replaceMetadata carries out a change that comes with a request.
func (ch *change) replaceMetadata(ctx context.Context) (*Client, error) {
	err := run(ctx, ch)
	if errors.Is(err, ErrDetached) && !ch.ws.Provisioner.ChoosesClientID() {
		err = refusal.New(refusal.InvalidClientMetadata, "authorization_server", "the authorization server does not let this registration be changed any more, or has lost it; delete it and register a new client, or ask the bank").Because(err)
	}
	if err != nil {
		return nil, err
	}
	return ch.client, nil
}

// standing is what is known of the AS's copy of a client after a failed update.
type standing int

const (
	unchanged standing = iota
	changed
	// perhapsChanged: an answer was lost, and the request may even be on its way still.
	perhapsChanged
)

func standingAfter(p *Provisioned, err error) standing {
	switch {
	case errors.Is(err, ErrLost):
		return perhapsChanged
	case p != nil:
		return changed
	}
	return unchanged
}

// update asks the AS. Where the gateway chose the client_id, a registration
// access token that was lost with an answer is had again by repeating the POST.
func (r *Registry) update(ctx context.Context, ws Workspace, c *Client) (*Provisioned, standing, error) {
	p, err := ws.Provisioner.Update(ctx, c)
	if !errors.Is(err, ErrLost) && !errors.Is(err, ErrDetached) || !ws.Provisioner.ChoosesClientID() {
		return p, standingAfter(p, err), err
	}
	r.log.Warn("registers a client at the authorization server again, because its registration access token was lost", slog.String("client_id", c.ClientID), slog.Any("error", err))
	theirs := max(changed, standingAfter(p, err)) // the POST replaces what the AS has
	if err := r.reattach(ctx, ws, c); err != nil {
		return nil, max(theirs, standingAfter(nil, err)), err
	}
	crashpoint("update: reattached")
	p, err = ws.Provisioner.Update(ctx, c)
	return p, max(theirs, standingAfter(p, err)), err
}

// reattach gets new credentials for a client whose client_id was chosen here.
func (r *Registry) reattach(ctx context.Context, ws Workspace, c *Client) error {
	p, err := ws.Provisioner.Create(ctx, c)
	switch {
	case err != nil && p == nil:
		return err
	case err != nil && p.ClientID != c.ClientID: // the AS does not honour the choice any more
		made := *c
		made.ClientID, made.ID = p.ClientID, strayID(c.ID, p.ClientID)
		lost := r.answerLost(&made, err)
		// Of c nothing is known any more: no POST gives a token for it, and so no other will.
		return errors.Join(fmt.Errorf("%w: registered again it got another client_id, %s", ErrDetached, refusal.Quote(p.ClientID)), r.transactDetached(ctx, lost.put))
	case err != nil && (p.Credentials.RegistrationAccessToken == "" || p.Credentials.RegistrationPath == ""):
		return fmt.Errorf("%w: registered again it got none that can be read: %w", ErrDetached, err)
	case err != nil: // the rest of the answer is not known: what the client has beside these stays
		r.log.Warn("cannot read the whole answer to a client's repeated registration; uses its registration access token", slog.String("client_id", c.ClientID), slog.Any("error", err))
		c.Credentials.RegistrationAccessToken, c.Credentials.RegistrationPath = p.Credentials.RegistrationAccessToken, p.Credentials.RegistrationPath
		return nil
	}
	c.Credentials = p.Credentials
	return nil
}

// abandon ends a change that the AS has not made, or not as it was to be.
func (ch *change) abandon(ctx context.Context, cause error) error {
	crashpoint("update: refused")
	var lost *Discrepancy
	if errors.Is(cause, ErrDetached) {
		lost = ch.r.discrepancy(Detached, ch.before, cause)
	}
	err := ch.release(ctx, lost)
	if err != nil {
		ch.r.log.Error("cannot release the lease of a failed update; it ends by itself", slog.String("client_id", ch.client.ClientID), slog.Any("error", err))
	}
	crashpoint("update: released")
	if err != nil || ch.standing == perhapsChanged {
		return afterLease(cause)
	}
	return cause
}

// undo ends a change that its last transaction has refused, or that never came to
// it, after the AS has taken it: that is told the old metadata again, at once.
func (ch *change) undo(ctx context.Context, refused error) error {
	ch.standing = changed
	if err := ch.release(ctx, nil); err != nil {
		ch.r.log.Error("cannot release the lease of a refused update; it ends by itself", slog.String("client_id", ch.client.ClientID), slog.Any("error", err))
		return afterLease(refused)
	}
	return refused
}

// release leaves the client as it was, but for credentials that the AS rotated before it
// failed. Where the AS has, or may have, the new metadata, the entry that restores the old
// ones stays: due at once, or when the lease ends.
func (ch *change) release(ctx context.Context, lost *Discrepancy) error {
	rotated, newest := *ch.before, ch.client.Credentials
	if newest != ch.before.Credentials {
		if err := ch.r.seal(&rotated, newest); err != nil {
			return err
		}
	}
	return ch.r.transactDetached(ctx, func(w Writer) error {
		c, err := heldBy(w, ch.before, ch.id)
		if err != nil {
			return err
		}
		c.Bridge, c.Sealed = rotated.Bridge, rotated.Sealed
		if ch.standing == unchanged {
			c.Unconfirmed = ch.before.Unconfirmed
			if err := c.takeBackApproval(w, ch.before); err != nil {
				return err
			}
		}
		if err := lost.put(w); err != nil {
			return err
		}
		if ch.standing == perhapsChanged {
			return putClient(w, c)
		}
		c.Change, c.ChangeUntil = "", 0
		err = errors.Join(putClient(w, c), w.Delete(ch.entry.key), ch.holds.giveBack(w))
		if ch.standing == changed {
			now := ch.entry
			now.key = outboxKey(ch.r.now(), ch.id)
			err = errors.Join(err, now.put(w))
		}
		return err
	})
}
