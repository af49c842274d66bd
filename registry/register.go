package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Registration is a request that every check has accepted.
type Registration struct {
	Request *verify.Request
	Checked *verify.Checked
	// Certificate and Token are nil where that protection is off.
	Certificate *verify.Certificate
	Token       *verify.AccessToken
	// Spent is why the AS refuses Token, when it was used up before (TokenSpent): good
	// for a repetition of the registration that used it up, and for nothing else, which
	// gets this error. Default: the AS has vouched for Token.
	Spent error
	// Asked is what the request asks for, where policies have narrowed Checked.
	// Default: Checked's metadata.
	Asked *verify.Metadata
	// Software is what policies have decided by. Default: by nothing of it.
	Software *SoftwareClients
	// Client is the client of an update as policies have decided by it: one that has
	// changed meanwhile is not updated. Default: by nothing of it.
	Client *Client
	// Origin is for the audit trail. Default: nothing.
	Origin Origin
}

// Register makes a new client: in the registry and at the AS, or in neither. It
// finishes what it began even when the caller's ctx ends meanwhile. One that
// repeats an earlier registration is what ws.Reregister says.
//
// Errors: InvalidToken for a token and InvalidClientMetadata for a jti that was
// used, Unavailable for one that another request at work may give back, with the time until
// it ends; AccessDenied for a software or organisation that is suspended; the AS's
// refusal; Unavailable; ErrSoftwareChanged, then it must be decided again.
func (r *Registry) Register(ctx context.Context, ws Workspace, in Registration) (*Client, error) {
	if ws.Reregister.Repeats() {
		return r.awaitFirst(ctx, ws, in)
	}
	return r.register(ctx, ws, in)
}

func (r *Registry) register(ctx context.Context, ws Workspace, in Registration) (*Client, error) {
	leave, err := r.admission.admit(ctx, ws, in.organisation())
	if err != nil {
		return nil, err
	}
	defer leave()
	a, err := r.prepare(ws, in)
	if err != nil {
		return nil, err
	}
	crashpoint("register: accepted")
	known, err := r.begin(ctx, ws, a)
	switch {
	case err != nil:
		return nil, err
	case known != nil && ws.Reregister.Mode == ReregisterUpdate && known.Asked != a.client.Asked:
		return r.reregister(ctx, ws, known, in, a.client.Asked, *a.repeat)
	case known != nil:
		known.Repeated = true
		return known, nil
	}
	crashpoint("register: begun")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	return r.finish(ctx, ws, a)
}

// finish has the AS make the client, and ends the attempt one way or the other.
func (r *Registry) finish(ctx context.Context, ws Workspace, a *attempt) (*Client, error) {
	c := a.client
	p, err := r.create(ctx, ws, c)
	switch {
	case err != nil && p != nil:
		r.disown(ctx, ws, c, p, a.undo, err)
		return nil, err
	case err != nil:
		return nil, r.abandon(ctx, ws, c, a.undo, err)
	}
	crashpoint("register: answered")
	made := *c
	if ws.AccessTokens != nil {
		ws.AccessTokens.give(&made, a.token, a.now)
	}
	made.takeSecret(a.secret)
	if err := r.activate(ctx, ws, &made, p, a); err != nil {
		r.disown(ctx, ws, c, p, a.undo, err)
		if isRefusal(err) {
			return nil, err
		}
		return nil, afterLease(fmt.Errorf("registration %s at client_id %s: %w", c.ID, p.ClientID, err))
	}
	crashpoint("register: active")
	return &made, nil
}

// create asks the AS, and once more when the answer was lost and asking again
// gives the same client.
func (r *Registry) create(ctx context.Context, ws Workspace, c *Client) (*Provisioned, error) {
	p, err := ws.Provisioner.Create(ctx, c)
	other := p != nil && p.ClientID != c.ClientID // whoever made it would make one more
	if errors.Is(err, ErrLost) && ws.Provisioner.ChoosesClientID() && !other {
		r.log.Warn("repeating a registration whose answer was lost", slog.String("client_id", c.ClientID), slog.Any("error", err))
		first := err
		if p, err = ws.Provisioner.Create(ctx, c); err != nil && !errors.Is(err, ErrLost) {
			// Whatever it says now, the first request may have been carried out.
			err = fmt.Errorf("%w, and then: %w", first, err)
		}
	}
	return p, err
}

// activate is the second transaction: from here on the client exists.
func (r *Registry) activate(ctx context.Context, ws Workspace, c *Client, p *Provisioned, a *attempt) error {
	chosen := c.ClientID
	c.Status, c.Counted, c.ClientID, c.Metadata, c.Keys = Active, false, p.ClientID, p.Metadata, p.Keys
	if chosen != "" && chosen != p.ClientID {
		return fmt.Errorf("%w: another client_id than the one chosen", ErrLost)
	}
	if err := r.seal(c, p.Credentials); err != nil {
		return err
	}
	indexes, err := indexKeys(c)
	if err != nil {
		return err
	}
	active, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return r.conclude(ctx, func(w Writer) error {
		before, err := w.Get(clientKey(c))
		if err != nil || !bytes.Equal(before, a.pending) {
			return errors.Join(errors.New("registry: the registration was undone meanwhile"), err)
		}
		s, err := c.software().read(w)
		if err != nil {
			return err
		}
		if err := s.advances(w, ws, a.in.Request.Statement); err != nil {
			return err
		}
		for _, h := range a.holds {
			if err := h.keep(w); err != nil {
				return err
			}
		}
		taken, err := get(w, idKey(c))
		if err != nil {
			return err
		}
		if taken != nil {
			return errTwice
		}
		if alike := alikeKey(c); alike != "" {
			if err := w.Put(alike, []byte{}); err != nil {
				return err
			}
		}
		for _, k := range indexes {
			if err := w.Put(k, []byte{}); err != nil {
				return err
			}
		}
		return errors.Join(a.revoke.put(w), w.Put(idKey(c), []byte(c.ID)), w.Put(clientKey(c), active), w.Delete(a.undo.key), r.putAudit(w, ws, AuditEntry{Change: AuditRegistered, Origin: a.in.Origin}, c))
	})
}
