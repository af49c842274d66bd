package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A client that the AS has lost gets no token there, and so cannot delete itself, while
// it counts among those of its software. Only an operator can take it away.

// ErrCannotCheck is StillThere's for a client of which there is no registration access token:
// the AS gave none, or it does not open with this keyset.
var ErrCannotCheck = errors.New("there is no registration access token for this client, so that the authorization server cannot be asked; look whether it still has the client")

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
