package authserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// After tripAfter exchanges that failed one after the other none begins for openFor.
// Of those that the authorization server (AS) has perhaps read, one organisation counts
// for mostOfOne: what a TPP sends may make the AS slow for that TPP alone (the AS fetches
// what the metadata name). Then exchanges are tried, trialsAtOnce at once, each for
// another organisation.
const (
	tripAfter    = 5
	mostOfOne    = 3
	openFor      = 2 * time.Second
	trialsAtOnce = 3
)

// breaker is a circuit breaker that knows for whom an exchange is. sony/gobreaker does
// not: one failure opens its half-open state again, and as many trials as it lets begin
// must succeed to close it, so that the exchanges of one organisation keep it open.
type breaker struct {
	name string
	now  func() time.Time
	log  *slog.Logger

	mu    sync.Mutex
	state string
	// round is another one in each state, so that late outcomes do not count.
	round int
	// until is when the open state ends.
	until time.Time
	// failures counts those that count in this round, failed by organisation.
	failures int
	failed   map[string]int
	// trying are the organisations whose trial is at work, again is when one may try
	// again whose trial failed.
	trying map[string]bool
	again  map[string]time.Time
}

// The states of a breaker.
const (
	breakerClosed   = "closed"
	breakerOpen     = "open"
	breakerHalfOpen = "half-open"
)

var (
	errOpen   = errors.New("circuit breaker is open")
	errTrials = errors.New("circuit breaker is half-open and enough exchanges are on trial")
)

func newBreaker(name string, now func() time.Time, log *slog.Logger) *breaker {
	b := &breaker{name: name, now: now, log: log}
	b.enter(breakerClosed)
	return b
}

// current is its state now. The end of an open one is noticed by the next exchange.
func (b *breaker) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// enter begins a new round.
func (b *breaker) enter(state string) {
	if b.state != "" {
		b.log.Warn("changes the state of the circuit breaker of the authorization server", slog.String("requests", b.name), slog.String("from", b.state), slog.String("to", state))
	}
	b.state, b.round, b.failures = state, b.round+1, 0
	b.failed, b.trying, b.again = map[string]int{}, map[string]bool{}, map[string]time.Time{}
	if state == breakerOpen {
		b.until = b.now().Add(openFor)
	}
}

// begin lets an exchange for an organisation begin, empty for an unknown one. The
// outcome of the exchange belongs to the round.
func (b *breaker) begin(of string) (round int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.state == breakerOpen && !now.Before(b.until) {
		b.enter(breakerHalfOpen)
	}
	switch {
	case b.state == breakerOpen:
		return 0, errOpen
	case b.state == breakerHalfOpen:
		if b.trying[of] || now.Before(b.again[of]) || len(b.trying) >= trialsAtOnce {
			return 0, errTrials
		}
		b.trying[of] = true
	}
	return b.round, nil
}

// rests tells whether no exchange may begin now.
func (b *breaker) rests() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state == breakerOpen && b.now().Before(b.until)
}

// outcome is what an exchange says of the AS.
type outcome int

const (
	// nothing: the caller went away.
	nothing outcome = iota
	// answered: with whatever it had to say.
	answered
	// failed: no answer, or one of something that stands before the AS.
	failed
	// unreached: no connection was had, so that no TPP has anything to do with it.
	unreached
)

// outcomeOf reads what exchange returned.
func outcomeOf(res *reply, err error) outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return nothing
	case errors.Is(err, registry.ErrLost), err == nil && isDown(res.Status):
		return failed
	case err != nil:
		return unreached
	}
	return answered
}

// isDown tells whether a status says that the AS is not there: what stands before it
// answers, or it is in maintenance. A 500 may be about one request alone.
func isDown(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// end takes the outcome of an exchange that begin has let begin.
func (b *breaker) end(round int, of string, o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if round != b.round {
		return
	}
	delete(b.trying, of)
	switch o {
	case answered:
		if b.state == breakerHalfOpen {
			b.enter(breakerClosed)
			return
		}
		b.failures = 0
		clear(b.failed)
	case failed, unreached:
		b.fail(of, o)
	}
}

// fail counts a failure, and opens the breaker where it is one too many.
func (b *breaker) fail(of string, o outcome) {
	ofOne := o == failed && of != ""
	switch {
	case ofOne && b.failed[of] >= mostOfOne && b.state == breakerClosed:
		return
	case ofOne:
		b.failed[of]++
	}
	b.failures++
	switch {
	case b.state == breakerClosed && b.failures >= tripAfter,
		// A trial that says nothing of the other organisations is theirs to repeat.
		b.state == breakerHalfOpen && (!ofOne || len(b.failed) > 1):
		b.enter(breakerOpen)
	case b.state == breakerHalfOpen:
		b.again[of] = b.now().Add(openFor)
	}
}
