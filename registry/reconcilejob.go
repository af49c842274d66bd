package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

const (
	// reconcilePage is how many clients are checked between two notes of the position.
	reconcilePage = 100
	// reconcileWorkers is how many clients are checked at once: a fourth of what one
	// organisation may have at the AS.
	reconcileWorkers = 8
	// reconcileTries is how often a client is tried of which an AS that is there says nothing.
	reconcileTries = 3
	// The pauses between two tries, and of one that waits for the AS.
	reconcilePause    = 2 * time.Second
	maxReconcilePause = time.Minute
)

// An AS that seems to have lost its clients is more likely one with another database, or
// something in its place: when all of the first allLost are not as they should be to be read,
// or after someLost more than a tenth, a reconciliation stops.
const (
	allLost  = 20
	someLost = 200
)

var (
	errAllLost = errors.New("the authorization server gives none of the first clients that were asked for; look whether it is the right one, with its database, and start again with force if it is")
	errTooLost = errors.New("the authorization server does not give more than a tenth of the clients; look whether it is the right one, with its database, and go on with force if it is")
)

// stoppedByOperator ends a reconciliation that an operator has stopped.
type stoppedByOperator struct{ act Act }

func (*stoppedByOperator) Error() string { return "stopped by an operator" }

// reconcileJob is a reconciliation that runs.
type reconcileJob struct {
	r         *Registry
	workspace string
	ctx       context.Context
	cancel    context.CancelCauseFunc
	limiter   *rate.Limiter

	mu    sync.Mutex
	state Reconciliation
	// page are the results of the clients that are checked now, nil for those that are not yet,
	// and keys theirs; folded is how many of them are in state.
	page   []*clientResult
	keys   []string
	folded int
	// ended is closed when the job has come to an end and that is written.
	ended chan struct{}
}

// clientResult is what came of one client.
type clientResult struct {
	clientID string
	// outcome is one of Outcomes, empty for a client that is not registered any more.
	outcome           string
	repaired, rotated bool
	text              string
}

func (j *reconcileJob) now() Reconciliation {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state.copied()
}

func (j *reconcileJob) run() {
	defer j.cancel(nil)
	defer close(j.ended)
	defer j.r.reconciling.leave(j.workspace)
	log := j.r.log.With(slog.String("workspace", j.workspace))
	begun := j.now()
	j.limiter = rate.NewLimiter(rate.Limit(begun.Rate), 1)
	log.Info("begins to reconcile the clients with the authorization server", slog.Bool("repair", begun.Repair), slog.String("operator", begun.Operator.Name), slog.String("reason", begun.Reason))
	err := j.checkAll()
	j.mu.Lock()
	s := &j.state
	s.Waiting, s.Ended = "", j.r.now().Unix()
	act := s.Act
	var stopped *stoppedByOperator
	switch cause := context.Cause(j.ctx); {
	case err == nil:
		s.State = ReconcileDone
	case errors.As(cause, &stopped):
		s.State, act = ReconcileStopped, stopped.act
	case cause != nil:
		s.State = ReconcileInterrupted
	default:
		s.State, s.Error = ReconcileFailed, err.Error()
	}
	j.mu.Unlock()
	if saveErr := j.saveWith(func(w Writer, n *Reconciliation) error {
		return j.r.auditReconciliation(w, AuditReconcileEnded, n, act)
	}); saveErr != nil {
		log.Error("cannot write the end of a reconciliation to the store; it counts as interrupted", slog.Any("error", saveErr))
	}
	n := j.now()
	if log = log.With(slog.Int("checked", n.Checked), slog.Any("counts", n.Counts), slog.Int("repaired", n.Repaired)); n.State == ReconcileFailed {
		log.Error("stops reconciling the clients with the authorization server", slog.Any("error", err))
	} else {
		log.Info("has reconciled the clients with the authorization server", slog.String("state", n.State))
	}
}

// checkAll checks page after page.
func (j *reconcileJob) checkAll() error {
	prefix := key("client", j.workspace) + "/"
	for {
		after := ""
		if position := j.now().Position; position != "" {
			after = prefix + position
		}
		var clients []*Client
		var keys []string
		err := j.r.store.View(j.ctx, func(v Reader) error {
			clients, keys = nil, nil
			entries, err := v.Scan(prefix, after, reconcilePage)
			for _, e := range entries {
				c, readErr := readClient(e.Value)
				if readErr != nil {
					return fmt.Errorf("%s: %w", e.Key, readErr)
				}
				clients, keys = append(clients, c), append(keys, e.Key[len(prefix):])
			}
			return err
		})
		if err != nil {
			return err
		}
		err = j.checkPage(clients, keys)
		if err = cmp.Or(err, context.Cause(j.ctx)); err != nil {
			return err
		}
		if len(clients) < reconcilePage {
			return nil
		}
		if err := j.save(); err != nil {
			return err
		}
	}
}

// checkPage checks the clients of a page side by side. What has come out counts in their order,
// up to the first that has not: so the position never passes one that was not checked.
func (j *reconcileJob) checkPage(clients []*Client, keys []string) error {
	j.mu.Lock()
	j.page, j.keys, j.folded = make([]*clientResult, len(clients)), keys, 0
	j.mu.Unlock()
	workers, ctx := errgroup.WithContext(j.ctx)
	workers.SetLimit(reconcileWorkers)
	for i, c := range clients {
		if ctx.Err() != nil {
			break
		}
		workers.Go(func() error {
			result, err := j.check(ctx, c)
			if err == nil {
				err = j.fold(i, result)
			}
			return err
		})
	}
	return workers.Wait()
}

// fold counts a result, and those after it that have waited for it.
func (j *reconcileJob) fold(i int, result *clientResult) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.page[i] = result
	s := &j.state
	for ; j.folded < len(j.page) && j.page[j.folded] != nil; j.folded++ {
		s.Position = j.keys[j.folded]
		one := j.page[j.folded]
		if one.outcome == "" {
			continue
		}
		s.Checked++
		s.Counts[one.outcome]++
		if one.repaired {
			s.Repaired++
		}
		if one.rotated {
			s.Rotated++
		}
		if one.outcome == NotChecked && len(s.Unchecked) < maxUnchecked {
			s.Unchecked = append(s.Unchecked, Unchecked{ClientID: one.clientID, Error: one.text})
		}
		lost := s.Checked - s.Counts[Same] - s.Counts[Different]
		switch {
		case s.Force:
		case s.Checked >= allLost && lost == s.Checked:
			j.folded++
			return errAllLost
		case s.Checked >= someLost && lost*10 > s.Checked:
			j.folded++
			return errTooLost
		}
	}
	return nil
}

// save writes the state down.
func (j *reconcileJob) save() error {
	return j.saveWith(func(Writer, *Reconciliation) error { return nil })
}

// saveWith writes the state down, and more with it. Not with the job's ctx, which may have ended.
func (j *reconcileJob) saveWith(more func(Writer, *Reconciliation) error) error {
	state := j.now()
	state.Waiting = ""
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), concludeWithin)
	defer cancel()
	return j.r.store.Update(ctx, func(w Writer) error {
		return errors.Join(putRecord(w, reconcileKey(j.workspace), &state), more(w, &state))
	})
}

// waits says why the job waits; empty for one that goes on.
func (j *reconcileJob) waits(why string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state.Waiting = why[:min(len(why), maxDiscrepancyError)]
	j.state.Waiting = strings.ToValidUTF8(j.state.Waiting, "")
}
