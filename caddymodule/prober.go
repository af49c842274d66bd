package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a bank has configured may be wrong for good: a secret, a path, a CA. To a TPP that
// looks like a short outage, and to an operator like nothing at all until one complains.
// So the gateway tries its authorization server, directories and credentials itself.

// Times of the probes.
const (
	probeEvery = 5 * time.Minute
	// probeServerAgain is the pause after a server that could not be used has been tried for
	// the first time: it may only start later than the gateway.
	probeServerAgain = 15 * time.Second
	// probeMaxPause is the longest pause while something is wrong: it doubles each time.
	probeMaxPause = time.Hour
	// probeTimeout is what one may take.
	probeTimeout = 15 * time.Second
	// probesEndWithin is how long a configuration waits for its probes at its end: longer
	// than a fetch of the discovery document takes, which others may share.
	probesEndWithin = 6 * time.Second
)

// probe is one thing that is tried.
type probe struct {
	// name is that of the metric: authorization_server, directory, client.
	name string
	url  string
	// problem is the log message while it is wrong, and begins with "cannot use".
	problem string
	// subject are attributes of that message, for what may be there several times.
	subject []any
	// run tries it. errUndecided says neither that it is right nor that it is wrong.
	run func(context.Context) error
	// cure says what to do about an error.
	cure func(error) string
	// first is the pause after it has become wrong. Default: probeEvery, as for credentials,
	// which a server may lock where wrong ones come too often.
	first time.Duration

	next  time.Time
	pause time.Duration // while it is wrong, else 0
	cured string        // the cure that was logged while it is wrong
	wrong atomic.Bool
	// last is the last outcome that says something; nil before.
	last atomic.Pointer[probed]
}

// probed is what an attempt has said, and when.
type probed struct {
	at  time.Time
	err error
}

var errUndecided = errors.New("the outcome says nothing")

// prober tries the probes of one workspace, one after the other.
type prober struct {
	probes []*probe
	// more are those that are known only once the others were tried: all of them each time,
	// nil while they are not known. Default: there are none.
	more  func(context.Context) []*probe
	mu    sync.Mutex
	found []*probe // what more has said last

	log *slog.Logger
	now func() time.Time
	// after is time.After.
	after func(time.Duration) <-chan time.Time
}

// run goes on until ctx ends. A round is what tries the probes that are due, for instance
// with the store held open.
func (p *prober) run(ctx context.Context, round func(func())) {
	for {
		pause := probeEvery
		round(func() { pause = p.round(ctx) })
		select {
		case <-ctx.Done():
			return
		case <-p.after(pause):
		}
	}
}

// round tries what is due, and returns how long it is until something is.
func (p *prober) round(ctx context.Context) time.Duration {
	for _, one := range p.probes {
		p.try(ctx, one)
	}
	if p.more != nil {
		if found := p.more(ctx); found != nil {
			p.mu.Lock()
			p.found = found
			p.mu.Unlock()
		}
	}
	for _, one := range p.found {
		p.try(ctx, one)
	}
	pause := probeMaxPause
	for _, one := range p.all() {
		pause = min(pause, one.next.Sub(p.now()))
	}
	return max(pause, time.Second)
}

// all are the probes that are known now.
func (p *prober) all() []*probe {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Concat(p.probes, p.found)
}

func (p *prober) try(ctx context.Context, one *probe) {
	if ctx.Err() != nil || p.now().Before(one.next) {
		return
	}
	err := one.safely(ctx)
	switch {
	case ctx.Err() != nil: // the configuration ends: that says nothing
		return
	case errors.Is(err, errUndecided):
		one.next = p.now().Add(max(one.pause, probeEvery))
		return
	}
	one.last.Store(&probed{p.now(), err})
	p.tell(one, err)
	pause := probeEvery
	if err == nil {
		one.pause = 0
	} else {
		one.pause = min(max(2*one.pause, cmp.Or(one.first, probeEvery)), probeMaxPause)
		pause = one.pause
	}
	one.next = p.now().Add(pause)
}

// safely is run in bounded time. A panic about what a server has said would end the process.
func (one *probe) safely(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return one.run(ctx)
}

// tell logs a probe that has become wrong, or is wrong in another way, and one that has
// become right.
func (p *prober) tell(one *probe, err error) {
	if err == nil {
		if one.wrong.Swap(false) {
			p.log.With(one.subject...).Info("can use"+strings.TrimPrefix(one.problem, "cannot use")+" again", slog.String("check", one.name), slog.String("url", one.url))
		}
		one.cured = ""
		return
	}
	one.wrong.Store(true)
	if cure := one.cure(err); cure != one.cured {
		one.cured = cure
		p.log.With(one.subject...).Error(one.problem, slog.String("check", one.name), slog.String("url", one.url), slog.Any("error", err), slog.String("cure", cure))
	}
}
