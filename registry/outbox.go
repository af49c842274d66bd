package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"
)

const (
	// outboxPage is how many entries are read at once, outboxWorkers how many of
	// them are carried out at the same time.
	outboxPage    = 64
	outboxWorkers = 8
	// outboxPause is the least time between two looks. A look walks over everything
	// that was deleted since the engine last tidied up.
	outboxPause = 50 * time.Millisecond
)

// runOutbox carries out what is due, until ctx ends.
func (r *Registry) runOutbox(ctx context.Context, changed <-chan struct{}) {
	defer close(r.done)
	for {
		pause, err := r.passOutbox(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Error("the outbox cannot be read", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(outboxPause):
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-changed:
			if !ok {
				changed = nil // the store is closing; ctx ends next
			}
		case <-r.wake:
		case <-time.After(pause):
		}
	}
}

// passOutbox carries out every entry that is due now once and returns the time
// until the next one. What comes due meanwhile has its turn in the next pass: at an
// AS that hangs, the entries under one prefix could keep a pass from the other for ever.
func (r *Registry) passOutbox(ctx context.Context) (time.Duration, error) {
	next, now := outboxIdle, r.now()
	for _, prefix := range []string{outboxPrefix, laterPrefix} {
		pause, err := r.passEntries(ctx, prefix, now)
		if err != nil {
			return outboxIdle, err
		}
		next = min(next, pause)
	}
	return next, nil
}

func (r *Registry) passEntries(ctx context.Context, prefix string, now time.Time) (time.Duration, error) {
	after := ""
	for {
		var page []Entry
		err := r.store.View(ctx, func(v Reader) (err error) {
			page, err = v.Scan(prefix, after, outboxPage)
			return err
		})
		if err != nil {
			return outboxIdle, err
		}
		var group errgroup.Group
		group.SetLimit(outboxWorkers)
		pause := outboxIdle
		for _, e := range page {
			if due := outboxDue(e.Key); due.After(now) {
				pause = min(max(due.Sub(r.now()), 0), pause)
				break
			}
			group.Go(func() error {
				if ctx.Err() == nil {
					r.carryOut(ctx, e)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return outboxIdle, err
		}
		if pause < outboxIdle || len(page) < outboxPage || ctx.Err() != nil {
			return pause, ctx.Err()
		}
		after = page[len(page)-1].Key
	}
}

// carryOut does one entry, and removes or reschedules it.
func (r *Registry) carryOut(ctx context.Context, e Entry) {
	k := work{key: e.Key}
	if err := json.Unmarshal(e.Value, &k); err != nil {
		r.log.Error("unreadable outbox entry", slog.String("key", e.Key), slog.Any("error", err))
		return
	}
	ws, ok := r.lent(k.Workspace)
	if !ok || k.Schema > schema {
		return // waits for a configuration, or for the version, that knows it
	}
	// Close waits for what has begun: cut off, it would be one more lost answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	err := r.do(ctx, ws, k)
	if err == nil {
		crashpoint("outbox: done")
		return
	}
	log := r.log.With(slog.String("kind", k.Kind), slog.String("workspace", k.Workspace), slog.Int("attempt", k.Attempts+1), slog.Any("error", err))
	if k.final(err, r.now()) {
		log.Warn("outbox: given up")
		err = r.drop(ctx, k)
		crashpoint("outbox: given up")
	} else {
		log.Info("outbox: will be tried again")
		err = r.reschedule(ctx, k, err)
		crashpoint("outbox: put off")
	}
	if err != nil {
		r.log.Error("outbox: entry not written back", slog.Any("error", err))
	}
}

func (r *Registry) do(ctx context.Context, ws Workspace, k work) error {
	switch k.Kind {
	case workRevoke:
		if err := r.revoke(ctx, ws, k); err != nil {
			return err
		}
		crashpoint("revoke: answered")
		return r.drop(ctx, k)
	case workUndo:
		return r.undo(ctx, ws, k)
	case workDelete:
		c, err := r.byID(ctx, k.Workspace, k.Registration)
		if errors.Is(err, ErrNotFound) {
			return r.drop(ctx, k)
		}
		if err != nil {
			return err
		}
		return r.finishDelete(ctx, ws, c, k)
	case workRestore:
		return r.restore(ctx, ws, k)
	}
	return fmt.Errorf("unknown kind %q", k.Kind)
}

// drop removes an entry.
func (r *Registry) drop(ctx context.Context, k work) error {
	return r.conclude(ctx, func(w Writer) error { return w.Delete(k.key) })
}

func (r *Registry) byID(ctx context.Context, workspace, id string) (c *Client, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		c, err = loadClient(v, workspace, id)
		return err
	})
	return c, err
}

func (r *Registry) reschedule(ctx context.Context, k work, cause error) error {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = time.Second, 2, 10*time.Minute
	pause := pauses.NextBackOff()
	for range min(k.Attempts, 16) {
		pause = pauses.NextBackOff()
	}
	before := k.key
	id := k.Registration
	if id == "" {
		id = k.ID
	}
	k.key = outboxKey(r.now().Add(pause), id)
	k.Attempts++
	k.Tried, k.LastError = r.now().Unix(), errorText(cause)
	return r.conclude(ctx, func(w Writer) error {
		return errors.Join(w.Delete(before), k.put(w))
	})
}
