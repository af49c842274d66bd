package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify"
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
	whole, err := documentOf(in)
	if err != nil {
		return nil, err
	}
	ch := &change{id: uuid.NewString(), made: AuditUpdated, origin: in.Origin, document: whole, decided: in.Client}
	ch.holds = []reservation{requestReservation(ws.Name, ch.id, in.Request)}
	return r.change(ctx, ws, clientID, in, ch)
}

// change replaces the metadata of a client with those of an accepted request.
func (r *Registry) change(ctx context.Context, ws Workspace, clientID string, in Registration, ch *change) (*Client, error) {
	crashpoint("update: accepted")
	metadata, err := json.Marshal(&in.Checked.Metadata)
	if err != nil {
		return nil, err
	}
	asked, err := in.asked()
	if err != nil {
		return nil, err
	}
	ch.statement, ch.payer, ch.cost = in.Request.Statement, payer(in), ch.document.cost(len(metadata)+maxRecord)
	c, err := r.beginUpdate(ctx, ws, clientID, ch)
	if err != nil {
		return nil, err
	}
	c.describe(in, asked)
	c.Document = ch.id
	if ws.AccessTokens.due(c, r.now()) {
		ch.tokens, ch.token = ws.AccessTokens, newAccessToken()
	}
	c, err = r.apply(ctx, ws, c, ch)
	if errors.Is(err, ErrDetached) && !ws.Provisioner.ChoosesClientID() {
		err = verify.Refuse(verify.InvalidClientMetadata, "authorization_server", "the authorization server does not let this registration be changed any more, or has lost it; delete it and register a new client, or ask the bank").Because(err)
	}
	return c, err
}

// apply brings a change of the record to the AS, and then into the registry, or
// leaves both as they were.
func (r *Registry) apply(ctx context.Context, ws Workspace, c *Client, ch *change) (*Client, error) {
	crashpoint("update: begun")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	p, theirs, err := r.tell(ctx, ws, c, ch)
	if err == nil && ch.secret {
		if p, err = r.newSecret(ctx, ws, c, p); err != nil {
			theirs = after(err, nil) // the metadata are those that it had
		}
	}
	if p != nil {
		c.Credentials = p.Credentials
	}
	if err != nil {
		crashpoint("update: refused")
		var lost *Divergence
		if errors.Is(err, ErrDetached) {
			lost = r.divergence(Detached, ch.before, err)
		}
		releaseErr := r.releaseUpdate(ctx, ch, c.Credentials, theirs, lost)
		if releaseErr != nil {
			r.log.Error("a failed update could not be released; its lease ends by itself", slog.String("client_id", c.ClientID), slog.Any("error", releaseErr))
		}
		crashpoint("update: released")
		if releaseErr != nil || theirs == perhapsChanged {
			return nil, afterLease(err)
		}
		return nil, err
	}
	crashpoint("update: answered")
	c.Metadata, c.Keys = p.Metadata, p.Keys
	if !ch.asks {
		c.UpdatedAt = r.now().Unix()
	}
	c.Change, c.ChangeUntil = "", 0
	err = ch.complete(r, c)
	if err == nil {
		if err = r.finishUpdate(ctx, ws, ch, c); err != nil && !isRefusal(err) {
			return nil, afterLease(err) // it may be written
		}
	}
	if err != nil {
		return nil, r.undoUpdate(ctx, ch, c.Credentials, err)
	}
	crashpoint("update: finished")
	return c, nil
}

// undoUpdate ends an update that its last transaction has refused, or that never came to
// it, after the AS has taken it: that is told the old metadata again, at once.
func (r *Registry) undoUpdate(ctx context.Context, ch *change, newest Credentials, refusal error) error {
	if err := r.releaseUpdate(ctx, ch, newest, changed, nil); err != nil {
		r.log.Error("a refused update could not be released; its lease ends by itself", slog.String("client_id", ch.before.ClientID), slog.Any("error", err))
		return afterLease(refusal)
	}
	return refusal
}

// standing is what is known of the AS's copy of a client after a failed update.
type standing int

const (
	unchanged standing = iota
	changed
	// perhapsChanged: an answer was lost, and the request may even be on its way still.
	perhapsChanged
)

func after(err error, p *Provisioned) standing {
	switch {
	case errors.Is(err, ErrLost):
		return perhapsChanged
	case p != nil:
		return changed
	}
	return unchanged
}

// tell is update, but for a change that only asks.
func (r *Registry) tell(ctx context.Context, ws Workspace, c *Client, ch *change) (*Provisioned, standing, error) {
	if !ch.asks {
		return r.update(ctx, ws, c)
	}
	p, err := ws.Provisioner.Update(ctx, c)
	return p, after(err, p), err
}

// update asks the AS. Where the gateway chose the client_id, a registration
// access token that was lost with an answer is had again by repeating the POST.
func (r *Registry) update(ctx context.Context, ws Workspace, c *Client) (*Provisioned, standing, error) {
	p, err := ws.Provisioner.Update(ctx, c)
	if !errors.Is(err, ErrLost) && !errors.Is(err, ErrDetached) || !ws.Provisioner.ChoosesClientID() {
		return p, after(err, p), err
	}
	r.log.Warn("registering a client at the authorization server again, for a registration access token that was lost", slog.String("client_id", c.ClientID), slog.Any("error", err))
	theirs := max(changed, after(err, p)) // the POST replaces what the AS has
	if err := r.reattach(ctx, ws, c); err != nil {
		return nil, max(theirs, after(err, nil)), err
	}
	crashpoint("update: reattached")
	p, err = ws.Provisioner.Update(ctx, c)
	return p, max(theirs, after(err, p)), err
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
		return errors.Join(fmt.Errorf("%w: registered again it got another client_id, %s", ErrDetached, verify.Quote(p.ClientID)), r.transactDetached(ctx, lost.put))
	case err != nil && (p.Credentials.RegistrationAccessToken == "" || p.Credentials.RegistrationPath == ""):
		return fmt.Errorf("%w: registered again it got none that can be read: %w", ErrDetached, err)
	case err != nil: // the rest of the answer is not known: what the client has beside these stays
		r.log.Warn("the answer to a client's repeated registration is not as it should be; goes on with its registration access token", slog.String("client_id", c.ClientID), slog.Any("error", err))
		c.Credentials.RegistrationAccessToken, c.Credentials.RegistrationPath = p.Credentials.RegistrationAccessToken, p.Credentials.RegistrationPath
		return nil
	}
	c.Credentials = p.Credentials
	return nil
}

// releaseUpdate leaves the client as it was, but for credentials that the AS
// rotated before it failed. Where the AS has, or may have, the new metadata, the
// entry that restores the old ones stays: due at once, or when the lease ends.
func (r *Registry) releaseUpdate(ctx context.Context, ch *change, newest Credentials, theirs standing, lost *Divergence) error {
	rotated := *ch.before
	if newest != ch.before.Credentials {
		if err := r.seal(&rotated, newest); err != nil {
			return err
		}
	}
	return r.transactDetached(ctx, func(w Writer) error {
		c, err := heldBy(w, ch.before, ch.id)
		if err != nil {
			return err
		}
		c.Bridge, c.Sealed = rotated.Bridge, rotated.Sealed
		if err := lost.put(w); err != nil {
			return err
		}
		if theirs == perhapsChanged {
			return putClient(w, c)
		}
		c.Change, c.ChangeUntil = "", 0
		errs := []error{putClient(w, c), w.Delete(ch.restore.key)}
		for _, h := range ch.holds {
			errs = append(errs, h.giveBack(w))
		}
		if theirs == changed {
			now := ch.restore
			now.key = outboxKey(r.now(), ch.id)
			errs = append(errs, now.put(w))
		}
		return errors.Join(errs...)
	})
}
