package directory

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one that the directory was asked.
type Request struct {
	Method, Path string
}

// A Fault befalls requests before they are served: it holds, then drops or
// answers or lets pass.
type Fault struct {
	// Path that matches, or the whole URL of it. Default: every one.
	Path string
	// Times that it happens. Default: 1. Negative: until ResetFaults.
	Times int
	// Hold keeps the request until Release: see WaitHeld.
	Hold bool
	// Drop closes the connection without an answer.
	Drop bool
	// Status answers in the directory's place, with Header and Body.
	Status int
	Header http.Header
	Body   []byte
}

// edge records requests and lets faults happen.
type edge struct {
	mu       sync.Mutex
	requests []Request
	faults   []*Fault
	held     int
	changed  chan struct{} // closed and replaced when held grows
	gate     chan struct{} // closed and replaced by release
}

func newEdge() *edge {
	return &edge{changed: make(chan struct{}), gate: make(chan struct{})}
}

// Requests returns what the directory was asked since its start or
// ResetRequests, in order of arrival.
func (d *Directory) Requests() []Request {
	d.edge.mu.Lock()
	defer d.edge.mu.Unlock()
	return slices.Clone(d.edge.requests)
}

// Count is how many of Requests were for this path, or for the URL of it.
func (d *Directory) Count(path string) int {
	path = strings.TrimPrefix(path, d.URL)
	count := 0
	for _, r := range d.Requests() {
		if r.Path == path {
			count++
		}
	}
	return count
}

// ResetRequests forgets the requests recorded so far.
func (d *Directory) ResetRequests() {
	d.edge.mu.Lock()
	defer d.edge.mu.Unlock()
	d.edge.requests = nil
}

// AddFault adds a fault. Of several that match a request the oldest happens.
func (d *Directory) AddFault(fault Fault) {
	fault.Path = strings.TrimPrefix(fault.Path, d.URL)
	fault.Times = cmp.Or(fault.Times, 1)
	d.edge.mu.Lock()
	defer d.edge.mu.Unlock()
	d.edge.faults = append(d.edge.faults, &fault)
}

// heldWithin bounds WaitHeld.
const heldWithin = 2 * time.Minute

// WaitHeld returns when at least count requests are held at this moment. It waits two
// minutes, or until ctx ends.
func (d *Directory) WaitHeld(ctx context.Context, count int) error {
	ctx, cancel := context.WithTimeout(ctx, heldWithin)
	defer cancel()
	for {
		d.edge.mu.Lock()
		held, changed := d.edge.held, d.edge.changed
		d.edge.mu.Unlock()
		if held >= count {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d requests are held, waiting for %d: %w", held, count, context.Cause(ctx))
		}
	}
}

// Release lets all held requests go on.
func (d *Directory) Release() {
	d.edge.mu.Lock()
	defer d.edge.mu.Unlock()
	d.edge.open()
}

// ResetFaults removes all faults and lets held requests go on.
func (d *Directory) ResetFaults() { d.edge.reset() }

func (e *edge) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = nil
	e.open()
}

// open is called under the lock.
func (e *edge) open() {
	close(e.gate)
	e.gate = make(chan struct{})
}

func (e *edge) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, gate := e.arrive(r)
		if fault.Hold && !e.hold(r.Context(), gate) {
			return
		}
		switch {
		case fault.Drop:
			panic(http.ErrAbortHandler) // net/http's way to close without an answer
		case fault.Status != 0:
			for name, values := range fault.Header {
				w.Header()[http.CanonicalHeaderKey(name)] = values
			}
			w.WriteHeader(fault.Status)
			_, _ = w.Write(fault.Body) // the client went away
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// arrive records a request, uses up its fault, and returns the gate that a
// Release from now on opens.
func (e *edge) arrive(r *http.Request) (Fault, <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, Request{r.Method, r.URL.Path})
	i := slices.IndexFunc(e.faults, func(f *Fault) bool { return f.Path == "" || f.Path == r.URL.Path })
	if i < 0 {
		return Fault{}, nil
	}
	fault := e.faults[i]
	if fault.Times--; fault.Times == 0 {
		e.faults = slices.Delete(e.faults, i, i+1)
	}
	if fault.Hold {
		e.held++
		close(e.changed)
		e.changed = make(chan struct{})
	}
	return *fault, e.gate
}

// hold waits, and reports whether the client still does.
func (e *edge) hold(ctx context.Context, gate <-chan struct{}) bool {
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.held--
	}()
	select {
	case <-gate:
		return true
	case <-ctx.Done():
		return false
	}
}
