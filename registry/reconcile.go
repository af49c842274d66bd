package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// The states of a Reconciliation.
const (
	ReconcileNever       = "never"
	ReconcileRunning     = "running"
	ReconcileDone        = "done"
	ReconcileStopped     = "stopped"     // by an operator
	ReconcileFailed      = "failed"      // by itself: Error says why
	ReconcileInterrupted = "interrupted" // the gateway has ended meanwhile
)

// What a Reconciliation counts, beside the kinds of Discrepancy that it finds.
const (
	Same       = "same"
	NotChecked = "not_checked"
)

// Outcomes are all that a Reconciliation counts.
var Outcomes = []string{Same, Missing, Different, Detached, Unreadable, NotChecked}

// Bounds of a Reconciliation, in clients a second.
const (
	DefaultReconcileRate = 20
	MaxReconcileRate     = 200
)

// Errors of Reconcile and StopReconciling.
var (
	ErrReconciling     = errors.New("a reconciliation of this workspace is running; wait for it, or stop it")
	ErrNotReconciling  = errors.New("no reconciliation of this workspace is running")
	ErrNothingToResume = errors.New("there is nothing to resume: the last reconciliation of this workspace has come to its end, or there was none; start one")
)

// ReconcileOptions are those of one Reconciliation.
type ReconcileOptions struct {
	// Act is the operator's. The reason is required.
	Act
	// Repair tells the AS again what it has lost or has otherwise. Default: false, it is only read.
	Repair bool
	// Force goes on although the AS seems to have lost everything. Default: false.
	Force bool
	// Rate is how many times a second the AS is asked, at most MaxReconcileRate. Default:
	// DefaultReconcileRate, or with Resume that of before.
	Rate int
	// Resume goes on where the last one has ended before its end, and repairs if that did.
	// Default: false.
	Resume bool
}

// Check tells what is wrong.
func (o *ReconcileOptions) Check() error {
	switch {
	case o.Rate < 0 || o.Rate > MaxReconcileRate:
		return fmt.Errorf("rate: a number from 1 to %d", MaxReconcileRate)
	case o.Resume && o.Repair:
		return errors.New("resume: goes on as it was begun; leave repair out")
	}
	return o.Act.Check()
}

// Reconciliation compares every client of a workspace with what the AS has of it.
// What it finds are discrepancies; one that is no more ends with the next Reconciliation.
type Reconciliation struct {
	Schema    int    `json:"v"`
	Workspace string `json:"workspace"`
	State     string `json:"state"`
	// Act is the operator's who has started or resumed it.
	Act
	Repair bool `json:"repair"`
	Force  bool `json:"force"`
	Rate   int  `json:"rate"`
	// Started, Resumed and Ended are seconds since 1970; 0 for what was not.
	Started int64 `json:"started,omitempty"`
	Resumed int64 `json:"resumed,omitempty"`
	Ended   int64 `json:"ended,omitempty"`
	// Position is the registration up to which all are checked.
	Position string `json:"position,omitempty"`
	// Checked is how many clients are, Counts how many of them came out how: Outcomes.
	// Repaired are those that are as they should be since; Rotated those whose credentials the
	// AS has replaced when it was asked.
	Checked  int            `json:"checked"`
	Counts   map[string]int `json:"counts"`
	Repaired int            `json:"repaired"`
	Rotated  int            `json:"rotated"`
	// Unchecked are the first of those that are NotChecked, and why.
	Unchecked []Unchecked `json:"unchecked,omitempty"`
	// Error is why it failed. Waiting is why it waits now; never stored.
	Error   string `json:"error,omitempty"`
	Waiting string `json:"waiting,omitempty"`
}

// Unchecked is a client that could not be checked.
type Unchecked struct {
	ClientID string `json:"client_id"`
	Error    string `json:"error"`
}

// maxUnchecked bounds Reconciliation.Unchecked.
const maxUnchecked = 20

func reconcileKey(workspace string) string { return key("reconcile", workspace) }

// copied is one that nobody changes meanwhile.
func (n Reconciliation) copied() Reconciliation {
	n.Counts, n.Unchecked = maps.Clone(n.Counts), slices.Clone(n.Unchecked)
	return n
}

// reconciling are the reconciliations that run, by workspace.
type reconciling struct {
	mu      sync.Mutex
	jobs    map[string]*reconcileJob
	running sync.WaitGroup
}

func (g *reconciling) of(workspace string) *reconcileJob {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.jobs[workspace]
}

// enter makes a job the one of its workspace, and leave ends that.
func (g *reconciling) enter(workspace string, j *reconcileJob) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.jobs[workspace] != nil {
		return false
	}
	if g.jobs == nil {
		g.jobs = map[string]*reconcileJob{}
	}
	g.jobs[workspace] = j
	g.running.Add(1)
	return true
}

func (g *reconciling) leave(workspace string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.jobs, workspace)
	g.running.Done()
}

func (g *reconciling) wait() { g.running.Wait() }

// Reconcile starts a reconciliation, which goes on in the background until it has come to the
// end, is stopped, or the Registry is closed. A change of the configuration does not end it.
//
// Errors: ErrReconciling; ErrNothingToResume; ErrNotFound for a workspace that is not configured.
func (r *Registry) Reconcile(ctx context.Context, workspace string, o ReconcileOptions) (Reconciliation, error) {
	if err := o.Check(); err != nil {
		return Reconciliation{}, err
	}
	if _, ok := r.attached(workspace); !ok {
		return Reconciliation{}, fmt.Errorf("%w: workspace %q", ErrNotFound, workspace)
	}
	j := &reconcileJob{r: r, workspace: workspace, ended: make(chan struct{})}
	j.ctx, j.cancel = context.WithCancelCause(r.running)
	if !r.reconciling.enter(workspace, j) {
		j.cancel(nil)
		return Reconciliation{}, ErrReconciling
	}
	err := r.store.Update(ctx, func(w Writer) error {
		last, err := readReconciliation(w, workspace)
		if err != nil {
			return err
		}
		if j.state, err = last.next(o, r.now()); err != nil {
			return err
		}
		return errors.Join(putRecord(w, reconcileKey(workspace), &j.state), r.auditReconciliation(w, AuditReconcileStarted, &j.state, o.Act))
	})
	if err != nil {
		j.cancel(nil)
		r.reconciling.leave(workspace)
		return Reconciliation{}, err
	}
	begun := j.state.copied()
	go j.run()
	return begun, nil
}

// next is the reconciliation that follows this one.
func (n *Reconciliation) next(o ReconcileOptions, now time.Time) (Reconciliation, error) {
	next := Reconciliation{Schema: schema, Workspace: n.Workspace, Repair: o.Repair, Rate: DefaultReconcileRate, Started: now.Unix(), Counts: map[string]int{}}
	if o.Resume {
		if n.State == ReconcileNever || n.State == ReconcileDone {
			return next, ErrNothingToResume
		}
		next = n.copied()
		next.Resumed, next.Ended, next.Error = now.Unix(), 0, ""
	}
	if o.Rate != 0 {
		next.Rate = o.Rate
	}
	next.State, next.Act, next.Force = ReconcileRunning, o.Act, o.Force
	return next, nil
}

// readReconciliation is the last one; of one that was cut off it says so.
func readReconciliation(r getter, workspace string) (n Reconciliation, err error) {
	if err := readOwn(r, reconcileKey(workspace), &n, &n.Schema); err != nil {
		return n, err
	}
	if n.Workspace = workspace; n.State == "" {
		n.State = ReconcileNever
	}
	if n.State == ReconcileRunning {
		n.State = ReconcileInterrupted
	}
	if n.Counts == nil {
		n.Counts = map[string]int{}
	}
	return n, nil
}

// Reconciliation is the one of a workspace that runs or, when none does, the last one.
func (r *Registry) Reconciliation(ctx context.Context, workspace string) (n Reconciliation, err error) {
	if j := r.reconciling.of(workspace); j != nil {
		return j.now(), nil
	}
	err = r.store.View(ctx, func(v Reader) error {
		n, err = readReconciliation(v, workspace)
		return err
	})
	return n, err
}

// StopReconciling stops the reconciliation of a workspace, and returns when it has ended. The
// audit trail has who has stopped it.
//
// Errors: ErrNotReconciling.
func (r *Registry) StopReconciling(ctx context.Context, workspace string, act Act) (Reconciliation, error) {
	if err := act.Check(); err != nil {
		return Reconciliation{}, err
	}
	j := r.reconciling.of(workspace)
	if j == nil {
		return Reconciliation{}, ErrNotReconciling
	}
	j.cancel(&stoppedByOperator{act})
	select {
	case <-j.ended:
	case <-ctx.Done():
		return Reconciliation{}, ctx.Err()
	}
	return j.now(), nil
}

// ReconcileDiscrepancies lists what reconciliations have found of a workspace: those of at most limit
// discrepancies, and the cursor to go on with, empty at the end.
func (r *Registry) ReconcileDiscrepancies(ctx context.Context, workspace, cursor string, limit int) (list []Discrepancy, next string, err error) {
	all, next, err := r.Discrepancies(ctx, workspace, cursor, limit)
	for _, d := range all {
		if slices.Contains(reconcileKinds, d.Kind) {
			list = append(list, d)
		}
	}
	return list, next, err
}
