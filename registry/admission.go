package registry

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

const (
	// maxAtWork is how many registrations and updates of one workspace are at work at
	// once, from their first transaction to their last one: fewer than wait for one AS
	// at once (authserver), so that none is turned away there after it has begun.
	maxAtWork = 128
	// maxOfOne is how many of them are one organisation's, where the shares are fair: an
	// AS may be slow for that one alone (it fetches what the metadata name).
	maxOfOne = maxAtWork / 8
	// admitWithin is how long another one waits to begin.
	admitWithin = 5 * time.Second
)

// admission lets requests of a workspace begin. What has begun must end: its last
// transaction is not to wait behind the first ones of a crowd, until the client that the
// AS has made is given up for want of time.
type admission struct {
	mu         sync.Mutex
	workspaces map[string]*places
}

// places are those of one workspace.
type places struct {
	all chan struct{}
	// of are those of each organisation that is at work or waits.
	of map[string]*share
}

// share is what one organisation has of the places.
type share struct {
	places chan struct{}
	users  int
}

var (
	errCrowd = errors.New("registry: too many registrations are at work")
	errShare = errors.New("registry: too many registrations of one organisation are at work")
)

// admit waits for a place, of those of an organisation (Client.Organisation) before that:
// who waits for more than its share stands in nobody's way. An organisation that nobody
// knows has no share. Nothing has begun where it fails.
//
// Errors: Unavailable.
func (a *admission) admit(ctx context.Context, ws Workspace, organisation string) (leave func(), err error) {
	if ws.FairShareOff {
		organisation = ""
	}
	p, own := a.enter(ws.Name, organisation)
	ctx, cancel := context.WithTimeoutCause(ctx, admitWithin, errCrowd)
	defer cancel()
	if own != nil && !take(ctx, own.places) {
		a.exit(p, organisation)
		cause := context.Cause(ctx)
		if errors.Is(cause, errCrowd) {
			cause = errShare
		}
		return nil, refusal.New(refusal.Unavailable, "registry", "too many registrations of this organisation are under way; send fewer at once").Because(cause)
	}
	back := func() {
		if own != nil {
			<-own.places
		}
		a.exit(p, organisation)
	}
	if !take(ctx, p.all) {
		back()
		return nil, refusal.New(refusal.Unavailable, "registry", "too many registrations are under way; try again later").Because(context.Cause(ctx))
	}
	return func() { <-p.all; back() }, nil
}

// take gets a place, at once where there is one, also for a caller who has left.
func take(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// enter finds the places of a workspace and the share of an organisation, nil for none,
// until exit.
func (a *admission) enter(workspace, organisation string) (*places, *share) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.workspaces[workspace]
	if p == nil {
		p = &places{all: make(chan struct{}, maxAtWork), of: map[string]*share{}}
		a.workspaces[workspace] = p
	}
	if organisation == "" {
		return p, nil
	}
	own := p.of[organisation]
	if own == nil {
		own = &share{places: make(chan struct{}, maxOfOne)}
		p.of[organisation] = own
	}
	own.users++
	return p, own
}

// exit forgets an organisation of which nothing is at work or waits.
func (a *admission) exit(p *places, organisation string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if own := p.of[organisation]; own != nil {
		if own.users--; own.users == 0 {
			delete(p.of, organisation)
		}
	}
}
