// Package edge is the network's side of the authorization servers that are run
// from Go: TLS, the recording of requests, faults, and the control listener.
// integration/oidcprovider has the same on Node.js.
package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

const (
	maxBody     = 1 << 20
	maxRecorded = 16 << 10
)

// edge stands between the network and the server: it records requests and
// provokes faults.
type edge struct {
	next http.Handler

	mu       sync.Mutex
	requests []*authserverprocess.Request
	faults   []*authserverprocess.Fault
	held     int
	gate     chan struct{} // closed to release what is held, and replaced
	changed  chan struct{} // closed when held grows, and replaced
}

func newEdge(next http.Handler) *edge {
	return &edge{next: next, gate: make(chan struct{}), changed: make(chan struct{})}
}

// ServeHTTP buffers request and answer, which are small, so that a fault can
// come between the work and the answer.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	record := e.record(r, body)
	fault := e.match(r, body)

	answer := &buffer{header: make(http.Header), status: http.StatusOK}
	if fault == nil || fault.After {
		e.next.ServeHTTP(answer, r)
		e.setStatus(record, answer.status)
	}
	if fault != nil {
		e.happen(r.Context(), fault, record, answer)
		if !fault.After && fault.Status == 0 {
			e.next.ServeHTTP(answer, r)
			e.setStatus(record, answer.status)
		}
	}
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes())
}

// happen lets the fault befall a request or its answer; it panics to drop the connection.
func (e *edge) happen(ctx context.Context, fault *authserverprocess.Fault, record *authserverprocess.Request, answer *buffer) {
	if fault.Hold {
		e.hold(ctx)
	}
	if fault.DelayMS > 0 {
		select {
		case <-time.After(time.Duration(fault.DelayMS) * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if fault.Drop || ctx.Err() != nil {
		panic(http.ErrAbortHandler)
	}
	if fault.Status == 0 {
		answer.set(fault.Set)
		return
	}
	*answer = buffer{header: http.Header{"Content-Type": {"application/json"}}, status: fault.Status}
	for name, value := range fault.Header {
		answer.header.Set(name, value)
	}
	answer.body.WriteString(fault.Body)
	e.setStatus(record, fault.Status)
}

func (e *edge) hold(ctx context.Context) {
	e.mu.Lock()
	gate := e.gate
	e.held++
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()

	select {
	case <-gate:
	case <-ctx.Done():
	}
	e.mu.Lock()
	e.held--
	e.mu.Unlock()
}

// waitHeld returns when count requests are held.
func (e *edge) waitHeld(ctx context.Context, count int) error {
	for {
		e.mu.Lock()
		held, changed := e.held, e.changed
		e.mu.Unlock()
		if held >= count {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *edge) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.gate)
	e.gate = make(chan struct{})
}

// reset removes all faults and releases what is held.
func (e *edge) reset() {
	e.mu.Lock()
	e.faults = nil
	e.mu.Unlock()
	e.release()
}

// add adds a fault behind those that are there.
func (e *edge) add(fault authserverprocess.Fault) {
	if fault.Times == 0 {
		fault.Times = 1
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, &fault)
}

// match takes one of the times of the oldest fault that fits.
func (e *edge) match(r *http.Request, body []byte) *authserverprocess.Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, fault := range e.faults {
		if fault.Times == 0 || !strings.Contains(r.URL.Path, fault.PathContains) || fault.Method != "" && fault.Method != r.Method || !bytes.Contains(body, []byte(fault.BodyContains)) {
			continue
		}
		if fault.Times > 0 {
			fault.Times--
		}
		return fault
	}
	return nil
}

func (e *edge) record(r *http.Request, body []byte) *authserverprocess.Request {
	record := &authserverprocess.Request{
		Method:     r.Method,
		Target:     r.RequestURI,
		Path:       r.URL.EscapedPath(),
		Query:      r.URL.RawQuery,
		Header:     r.Header.Clone(),
		BodyLength: len(body),
		Body:       string(body[:min(len(body), maxRecorded)]),
	}
	record.Header.Set("Host", r.Host) // net/http takes it out
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = append(e.requests, record)
	return record
}

func (e *edge) setStatus(record *authserverprocess.Request, status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	record.Status = status
}

// recorded returns copies of the requests, in order of arrival.
func (e *edge) recorded() []authserverprocess.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]authserverprocess.Request, 0, len(e.requests))
	for _, record := range e.requests {
		out = append(out, *record)
	}
	return out
}

func (e *edge) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests = nil
}

// buffer is an answer that has not been sent.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
	wrote  bool
}

// set changes members of a JSON answer; one that is no JSON object stays as it is.
func (b *buffer) set(members map[string]any) {
	answer := map[string]any{}
	if len(members) == 0 || json.Unmarshal(b.body.Bytes(), &answer) != nil {
		return
	}
	maps.Copy(answer, members)
	raw, err := json.Marshal(answer)
	if err != nil {
		return
	}
	b.header.Del("Content-Length")
	b.body.Reset()
	b.body.Write(raw)
}

func (b *buffer) Header() http.Header { return b.header }

func (b *buffer) WriteHeader(status int) {
	if !b.wrote {
		b.status, b.wrote = status, true
	}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.wrote = true
	return b.body.Write(p)
}
