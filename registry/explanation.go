package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Explanation is what was checked of one request, and what came of it.
type Explanation struct {
	Workspace string `json:"workspace"`
	// Operation is register, read, update or delete.
	Operation string `json:"operation"`
	// SupportCode is the request's x-fapi-interaction-id. Its sender chooses it, so
	// that several requests may have the same. Empty for a request that was never sent.
	SupportCode string `json:"support_code,omitempty"`
	// At is when the request was decided.
	At time.Time `json:"at"`
	// Outcome is one of the Outcomes.
	Outcome string `json:"outcome"`
	// Status, Error, Rule and Told are the answer to a request that was refused: the
	// HTTP status, the error code, the broken rule and error_description.
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`
	Rule   string `json:"rule,omitempty"`
	Told   string `json:"told,omitempty"`
	// Steps are what was checked, in that order.
	Steps []verify.Step `json:"steps"`
}

// The outcomes of an Explanation.
const (
	Accepted   = "accepted"
	Refused    = "refused"
	Passed     = "passed"     // every check before the registry's; the request was not served
	Incomplete = "incomplete" // nothing was refused, but not everything could be checked
)

// Explain tells what came of a request that ended with err, nil when it was accepted.
func Explain(workspace, operation string, at time.Time, trace *verify.Trace, err error) *Explanation {
	e := &Explanation{Workspace: workspace, Operation: operation, At: at.UTC(), Outcome: Accepted, Steps: trace.End(err)}
	if err != nil {
		refusal := verify.AsError(err)
		e.Outcome, e.Status, e.Error, e.Rule, e.Told = Refused, refusal.Status(), refusal.Code(), refusal.RuleName(), refusal.Description
	}
	return e
}

// Explanations are kept in a fixed number of slots, for a time. Who sends many bad
// requests writes over the explanations of those who share its group, and of nobody else.
const (
	explanationPrefix = "explanation/"
	explanationGroups = 64
	explanationSlots  = 16 // of each group
	keepExplanations  = 7 * 24 * time.Hour
	// waitingExplanations may wait to be written, explanationsAtOnce are written in one
	// transaction, which is far below MaxUpdateBytes.
	waitingExplanations = 64
	explanationsAtOnce  = 8
)

// explanations is the way from requests to the store.
type explanations struct {
	waiting chan kept
	lost    atomic.Int64
	seed    maphash.Seed
	next    [explanationGroups]int // the slot that is written next, of the writer alone
	done    chan struct{}
}

// kept is an explanation as it is stored: its support code, a line end, its JSON.
type kept struct {
	group int
	value []byte
}

func newExplanations() *explanations {
	return &explanations{waiting: make(chan kept, waitingExplanations), seed: maphash.MakeSeed(), done: make(chan struct{})}
}

// KeepExplanation keeps what operators may ask for by its support code, for a week at
// most. It does not wait: where more comes than can be written, it is lost and counted.
// sender tells those apart who send requests.
func (r *Registry) KeepExplanation(sender string, e *Explanation) {
	text, err := json.Marshal(e)
	if err != nil {
		r.explanations.lost.Add(1)
		return
	}
	value := append([]byte(e.SupportCode+"\n"), text...)
	group := int(maphash.String(r.explanations.seed, sender) % explanationGroups)
	select {
	case r.explanations.waiting <- kept{group, value}:
	default:
		r.explanations.lost.Add(1)
	}
}

// LostExplanations counts, since Open, those that could not be kept.
func (r *Registry) LostExplanations() int64 { return r.explanations.lost.Load() }

// runExplanations writes what waits until ctx ends, and then what is still waiting.
func (r *Registry) runExplanations(ctx context.Context) {
	defer close(r.explanations.done)
	for {
		select {
		case <-ctx.Done():
			for len(r.explanations.waiting) > 0 {
				r.writeExplanations(ctx, <-r.explanations.waiting)
			}
			return
		case first := <-r.explanations.waiting:
			r.writeExplanations(ctx, first)
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
	}
	add(first)
	for range explanationsAtOnce - 1 {
		select {
		case k := <-x.waiting:
			add(k)
			continue
		default:
		}
		break
	}
	expires := r.now().Add(keepExplanations)
	err := r.conclude(ctx, func(w Writer) error {
		for k, value := range batch {
			if err := w.PutExpiring(k, value, expires); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.lost.Add(int64(len(batch)))
		r.log.Warn("explanations of refused requests were not kept", slog.Int("lost", len(batch)), slog.Any("error", err))
	}
}

// Explanations are those with a support code, in no order.
//
// Errors: ErrNotFound where there is none.
func (r *Registry) Explanations(ctx context.Context, supportCode string) (list []Explanation, err error) {
	oldest := r.now().Add(-keepExplanations)
	for cursor := ""; ; {
		page, next, err := page(ctx, r, explanationPrefix, cursor, explanationGroups, func(_ Reader, entry Entry) (e Explanation, err error) {
			code, text, _ := bytes.Cut(entry.Value, []byte("\n"))
			if string(code) == supportCode {
				err = json.Unmarshal(text, &e)
			}
			return e, err
		})
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Outcome != "" && e.At.After(oldest) {
				list = append(list, e)
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: no explanation has the support code %s", ErrNotFound, verify.Quote(supportCode))
	}
	return list, nil
}
