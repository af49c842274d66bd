package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A client that the AS has lost gets no token there, and so cannot delete itself, while
// it counts among those of its software. Only an operator can take it away.

var (
	// ErrStillThere is Remove's for a client that the AS takes a change of.
	ErrStillThere = errors.New("the authorization server still has this client, and was told again what it is registered with; let its TPP delete it, or suspend it")
	// ErrCannotCheck is that of StillThere and Remove for a client of which there is no
	// registration access token: the AS gave none, or it does not open with this keyset.
	ErrCannotCheck = errors.New("there is no registration access token for this client, so that the authorization server cannot be asked; look whether it still has the client")
)

// Removal is the deletion of a client by an operator.
type Removal struct {
	Workspace, ClientID string
	// Act is the operator's. The reason is required.
	Act
	// WithoutCheck removes a client too about which the AS cannot be asked. Default: false.
	WithoutCheck bool
}

// Check tells what is missing.
func (m *Removal) Check() error {
	switch {
	case m.Workspace == "" || m.ClientID == "" || m.Reason == "":
		return errors.New("workspace, client_id and reason are required")
	case len(m.Reason) > maxReason:
		return fmt.Errorf("reason is longer than %d bytes", maxReason)
	}
	return nil
}

// StillThere asks the AS whether it still has a client, by telling it again what the client
// is registered with. One that it does not know is not made again: it is listed as
// Detached. What it does not take may also be a registration access token that it has
// replaced in an answer that was lost (RFC 7592 2.2 answers both with 401).
//
// Errors: ErrNotFound for a workspace that is not configured, or a client that is not
// there; ErrCannotCheck; Unavailable.
func (r *Registry) StillThere(ctx context.Context, workspace, clientID string) (bool, error) {
	ws, c, err := r.activeClient(ctx, workspace, clientID)
	if err != nil {
		return false, err
	}
	if err := r.unseal(c); err != nil { // with a keyset that was lost
		return false, fmt.Errorf("%w: %w", ErrCannotCheck, err)
	}
	if c.Credentials.RegistrationAccessToken == "" {
		return false, ErrCannotCheck
	}
	if err := ws.Provisioner.Answers(ctx); err != nil {
		return false, err
	}
	ch := r.newChange(ws, clientID, Registration{}, AuditRestored)
	ch.probes = true
	err = run(ctx, ch)
	switch e := (*refusal.Error)(nil); {
	case errors.Is(err, ErrDetached):
		return false, nil
	case errors.As(err, &e) && e.Kind != refusal.Unavailable && e.RuleName() == "authorization_server":
		return true, nil // it refuses the metadata of a client that it has
	}
	return err == nil, err
}

// Remove deletes a client that the AS has lost, as Delete does for a TPP: when it returns
// nil the client can do nothing any more, and counts no more. One that was deleted before
// is no error.
//
// Errors: ErrStillThere; those of StillThere.
func (r *Registry) Remove(ctx context.Context, m Removal) error {
	if err := m.Check(); err != nil {
		return err
	}
	c, err := r.Client(ctx, m.Workspace, m.ClientID)
	if err != nil || c.Status != Active {
		return err
	}
	there, err := r.StillThere(ctx, m.Workspace, m.ClientID)
	unverified := m.WithoutCheck && errors.Is(err, ErrCannotCheck)
	switch {
	case there:
		return ErrStillThere
	case err != nil && !unverified:
		return err
	}
	crashpoint("remove: asked")
	ws, ok := r.attached(m.Workspace)
	if !ok {
		return fmt.Errorf("%w: workspace %q", ErrNotFound, m.Workspace)
	}
	d := &deletion{operation: r.newOperation(ws, Registration{}, AuditDeleted)}
	d.audit.Act = m.Act
	d.find = func(w Writer) (*Client, error) {
		c, err := findClient(w, m.Workspace, m.ClientID)
		switch {
		case err != nil:
			return nil, err
		case c.Status != Active:
			return nil, errNothingToDo // deleted meanwhile
		}
		listed, err := get(w, (&Discrepancy{Workspace: ws.Name, Kind: Detached, Registration: c.ID}).key())
		if err != nil {
			return nil, err
		}
		if listed == nil && !unverified { // a change that the AS has taken meanwhile
			return nil, ErrStillThere
		}
		return changeable(w, m.Workspace, m.ClientID, d.began)
	}
	if err := run(ctx, d); !errors.Is(err, errNothingToDo) {
		return err
	}
	return nil
}
