package registry

import (
	"context"
	"errors"

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
	// gets this error. Default: the AS has confirmed Token.
	Spent error
	// RequestedMetadata is what the request asks for, where policies have narrowed Checked.
	// Default: Checked's metadata.
	RequestedMetadata *verify.Metadata
	// Software is what policies have decided by. Default: by nothing of it.
	Software *SoftwareClients
	// Client is the client of an update as policies have decided by it: one that has
	// changed meanwhile is not updated. Default: by nothing of it.
	Client *Client
	// Approval is why policies demand that an operator approves it. Default: none does.
	Approval []ApprovalReason
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
	n := &creation{operation: r.newOperation(ws, in, AuditRegistered)}
	err = run(ctx, n)
	switch {
	case errors.Is(err, errNothingToDo) && n.updatesKnown():
		return n.updateKnown(ctx)
	case errors.Is(err, errNothingToDo):
		n.known.Repeated = true
		return n.known, nil
	case err != nil:
		return nil, err
	}
	return n.client, nil
}
