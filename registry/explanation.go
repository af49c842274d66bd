package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// Explanation is what was checked of one request, and what came of it.
type Explanation struct {
	Workspace string `json:"workspace"`
	// Operation is register, read, update or delete; authenticate, revoke, introspect or
	// use at the endpoints of the authorization server.
	Operation string `json:"operation"`
	// SupportCode is the request's x-fapi-interaction-id. Its sender chooses it, so
	// that several requests may have the same. Empty for a request that was never sent.
	SupportCode string `json:"support_code,omitempty"`
	// At is when the request was decided.
	At time.Time `json:"at"`
	// Outcome is one of the Outcomes.
	Outcome string `json:"outcome"`
	// Status, Error, Rule and ErrorDescription are the answer to a request that was refused: the
	// HTTP status, the error code, the broken rule and error_description.
	Status           int    `json:"status,omitempty"`
	Error            string `json:"error,omitempty"`
	Rule             string `json:"rule,omitempty"`
	ErrorDescription string `json:"error_description,omitempty"`
	// Steps are what was checked, in that order.
	Steps []trace.Step `json:"steps"`
}

// UnmarshalJSON reads explanations too that versions before have kept, which called the
// error_description "told".
func (e *Explanation) UnmarshalJSON(data []byte) error {
	type explanation Explanation
	old := struct {
		*explanation
		Told string `json:"told"`
	}{explanation: (*explanation)(e)}
	if err := json.Unmarshal(data, &old); err != nil {
		return err
	}
	e.ErrorDescription = cmp.Or(e.ErrorDescription, old.Told)
	return nil
}

// The outcomes of an Explanation.
const (
	Accepted   = "accepted"
	Refused    = "refused"
	Passed     = "passed"     // every check before the registry's; the request was not served
	Incomplete = "incomplete" // nothing was refused, but not everything could be checked
)

// Explain tells what came of a request that ended with err, nil when it was accepted.
func Explain(workspace, operation string, at time.Time, checks *trace.Trace, err error) *Explanation {
	e := &Explanation{Workspace: workspace, Operation: operation, At: at.UTC(), Outcome: Accepted, Steps: checks.End(err)}
	if err != nil {
		refused := refusal.From(err)
		e.Outcome, e.Status, e.Error, e.Rule, e.ErrorDescription = Refused, refused.Status(), refused.Code(), refused.RuleName(), refused.Description
	}
	return e
}

// Explanations are kept in a fixed number of slots, for a time, and written at a fixed
// pace. Who sends many bad requests takes the slots and the turns of those who share its
// group, and of nobody else; strangers have a group of their own.
const (
	explanationPrefix = "explanation/"
	explanationGroups = 64
	explanationSlots  = 16 // of each group
	keepExplanations  = 7 * 24 * time.Hour
	// MaxExplanation is the size of one in bytes, at most: it is lost otherwise.
	MaxExplanation = 56 << 10
	// waitingOfGroup explanations of each group may wait to be written.
	waitingOfGroup = 4
	// explanationsAtOnce are written in one transaction, far below MaxUpdateBytes, and
	// then none for explanationsEvery: a flood costs four of the store's writes a second.
	explanationsAtOnce = 8
	explanationsEvery  = 250 * time.Millisecond
)

const _ = uint(MaxUpdateBytes - explanationsAtOnce*(MaxExplanation+1<<10)) // otherwise this does not compile

// explanations is the way from requests to the store.
type explanations struct {
	waiting chan kept
	lost    atomic.Int64
	seed    maphash.Seed
	done    chan struct{}
	next    [explanationGroups + 1]int // the slot that is written next, of the writer alone

	mu sync.Mutex
	of [explanationGroups + 1]int // how many wait
}

// kept is an explanation as it is stored: its support code, a line end, its JSON.
type kept struct {
	group int
	value []byte
}

func newExplanations() *explanations {
	return &explanations{
		waiting: make(chan kept, (explanationGroups+1)*waitingOfGroup), seed: maphash.MakeSeed(), done: make(chan struct{}),
	}
}

// group is that of a sender; the last one is that of strangers.
func (x *explanations) group(sender string) int {
	if sender == "" {
		return explanationGroups
	}
	return int(maphash.String(x.seed, sender) % explanationGroups)
}

// take gets a place to wait in, until give.
func (x *explanations) take(group int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.of[group] == waitingOfGroup {
		return false
	}
	x.of[group]++
	return true
}

func (x *explanations) give(group int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.of[group]--
}

// KeepExplanation keeps what operators may ask for by its support code, for a week at
// most. It does not wait: where more comes than can be written, it is lost and counted.
// sender tells those apart who send requests; empty for all strangers together. explain
// is asked only where there is a place.
func (r *Registry) KeepExplanation(sender string, explain func() *Explanation) {
	x := r.explanations
	group := x.group(sender)
	if !x.take(group) {
		x.lost.Add(1)
		return
	}
	e := explain()
	text, err := json.Marshal(e)
	value := append([]byte(e.SupportCode+"\n"), text...)
	if err != nil || len(value) > MaxExplanation {
		x.give(group)
		x.lost.Add(1)
		return
	}
	x.waiting <- kept{group, value} // has room for all that take gives
}

// LostExplanations counts, since Open, those that could not be kept.
func (r *Registry) LostExplanations() int64 { return r.explanations.lost.Load() }

// runExplanations writes what waits until ctx ends, and then what is still waiting.
func (r *Registry) runExplanations(ctx context.Context) {
	x := r.explanations
	defer close(x.done)
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
			defer cancel()
			for len(x.waiting) > 0 {
				r.writeExplanations(last, <-x.waiting)
			}
			return
		case first := <-x.waiting:
			one, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
			r.writeExplanations(one, first)
			cancel()
		}
		select {
		case <-ctx.Done():
		case <-time.After(explanationsEvery):
		}
	}
}

// writeExplanations writes one, and others that wait already.
func (r *Registry) writeExplanations(ctx context.Context, first kept) {
	x := r.explanations
	batch := map[string][]byte{}
	add := func(k kept) {
		batch[fmt.Sprintf("%s%02x/%02x", explanationPrefix, k.group, x.next[k.group])] = k.value
		x.next[k.group] = (x.next[k.group] + 1) % explanationSlots
		x.give(k.group)
	}
	add(first)
	for len(x.waiting) > 0 && len(batch) < explanationsAtOnce {
		add(<-x.waiting)
	}
	expires := r.now().Add(keepExplanations)
	err := r.store.Update(ctx, func(w Writer) error {
		for k, value := range batch {
			if err := w.PutExpiring(k, value, expires); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.lost.Add(int64(len(batch)))
		r.log.Warn("cannot store explanations of refused requests", slog.Int("explanations", len(batch)), slog.Any("error", err))
	}
}

// Explanations are those with a support code, in no order.
//
// Errors: ErrNotFound where there is none.
func (r *Registry) Explanations(ctx context.Context, supportCode string) (list []Explanation, err error) {
	for cursor := ""; ; {
		found, next, err := r.explanationPage(ctx, cursor, explanationGroups, func(code string, _ *Explanation) bool { return code == supportCode })
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
		if cursor = next; next == "" {
			break
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no explanation has the support code %s; they are kept for a week, where explain is on", ErrNotFound, refusal.Quote(supportCode))
	}
	return list, nil
}

// KeptExplanations lists at most limit of a workspace's, of all where it is empty, and the
// cursor to go on with, empty at the end. They are in no order.
func (r *Registry) KeptExplanations(ctx context.Context, workspace, cursor string, limit int) ([]Explanation, string, error) {
	return r.explanationPage(ctx, cursor, limit, func(_ string, e *Explanation) bool { return e == nil || workspace == "" || e.Workspace == workspace })
}

// explanationPage is a page of those that are wanted, which is asked twice: by the
// support code alone, without an explanation, and then with it.
func (r *Registry) explanationPage(ctx context.Context, cursor string, limit int, wanted func(code string, e *Explanation) bool) (list []Explanation, next string, err error) {
	oldest := r.now().Add(-keepExplanations)
	all, next, err := page(ctx, r, explanationPrefix, cursor, limit, func(_ Reader, entry Entry) (e *Explanation, err error) {
		code, text, _ := bytes.Cut(entry.Value, []byte("\n"))
		if !wanted(string(code), nil) {
			return nil, nil
		}
		err = json.Unmarshal(text, &e)
		return e, err
	})
	for _, e := range all {
		if e != nil && e.At.After(oldest) && wanted(e.SupportCode, e) {
			list = append(list, *e)
		}
	}
	return list, next, err
}
