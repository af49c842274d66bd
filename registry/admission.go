package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

const (
	// maxAtWork is how many registrations and updates of one workspace are at work at
	// once, from their first transaction to their last one: fewer than wait for one AS
	// at once (authserver), so that none is turned away there after it has begun.
	maxAtWork = 128
	// admitWithin is how long another one waits to begin.
	admitWithin = 5 * time.Second
)

// admission lets requests of a workspace begin. What has begun must end: its last
// transaction is not to wait behind the first ones of a crowd, until the client that the
// AS has made is given up for want of time.
type admission struct {
	mu         sync.Mutex
	workspaces map[string]chan struct{}
}

var errCrowd = errors.New("registry: too many registrations are at work")

// admit waits for a place. Nothing has begun where it fails.
//
// Errors: Unavailable.
func (a *admission) admit(ctx context.Context, workspace string) (leave func(), err error) {
	a.mu.Lock()
	places := a.workspaces[workspace]
	if places == nil {
		places = make(chan struct{}, maxAtWork)
		a.workspaces[workspace] = places
	}
	a.mu.Unlock()
	leave = func() { <-places }
	select {
	case places <- struct{}{}:
		return leave, nil
	default:
	}
	ctx, cancel := context.WithTimeoutCause(ctx, admitWithin, errCrowd)
	defer cancel()
	select {
	case places <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, verify.Refuse(verify.Unavailable, "registry", "too many registrations are under way; try again later").Because(context.Cause(ctx))
	}
}
