package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// outboxPage is how many entries are read at once.
	outboxPage = 64
	// outboxPause is the least time between two looks. A look walks over everything
	// that was deleted since the engine last tidied up, and over all that is queued: so
	// it is also outboxRest times as long as the last look took.
	outboxPause = 50 * time.Millisecond
	outboxRest  = 4
)

// runOutbox carries out what is due, until ctx ends.
func (r *Registry) runOutbox(ctx context.Context, changed <-chan struct{}) {
	defer close(r.done)
	queue := newOutboxQueue(func(key string) { r.carryOut(ctx, key) }, r.nudge)
	defer queue.stop()
	for {
		began := time.Now()
		pause, err := r.passOutbox(ctx, queue)
		if err != nil && ctx.Err() == nil {
			r.log.Error("cannot read the outbox", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(outboxPause, outboxRest*time.Since(began))):
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

// passOutbox queues the entries that are due now and returns the time until the next
// one. It waits for none of them.
func (r *Registry) passOutbox(ctx context.Context, queue *outboxQueue) (time.Duration, error) {
	next, now := outboxIdle, r.now()
	for _, prefix := range []string{outboxPrefix, laterPrefix} {
		pause, err := r.passEntries(ctx, queue, prefix, now)
		if err != nil {
			return outboxIdle, err
		}
		next = min(next, pause)
	}
	return next, nil
}

func (r *Registry) passEntries(ctx context.Context, queue *outboxQueue, prefix string, now time.Time) (time.Duration, error) {
	for e, err := range walk(ctx, r.store, prefix, outboxPage) {
		if err != nil {
			return outboxIdle, err
		}
		if due := outboxDue(e.Key); due.After(now) {
			return min(max(due.Sub(r.now()), 0), outboxIdle), nil
		}
		r.offer(queue, e)
	}
	return outboxIdle, ctx.Err()
}

// offer queues an entry with those of its organisation. It waits in the store for a
// configuration, or for the version, that knows it.
func (r *Registry) offer(queue *outboxQueue, e Entry) {
	var k work
	if err := json.Unmarshal(e.Value, &k); err != nil {
		r.log.Error("cannot parse an outbox entry", slog.String("key", e.Key), slog.Any("error", err))
		return
	}
	ws, ok := r.attached(k.Workspace)
	switch {
	case !ok || k.Schema > schema:
	case ws.FairShareOff:
		queue.offer(e.Key, e.Key)
	default: // those of earlier versions, which name no organisation, have one group
		queue.offer(key(k.Workspace, k.Org), e.Key)
	}
}

// carryOut does one entry, and removes or reschedules it. It may be done already: a look
// at the store is older than what the workers do meanwhile. An operator may be changing it.
func (r *Registry) carryOut(ctx context.Context, entry string) {
	if !r.atWork.take(entry) {
		return
	}
	defer r.atWork.leave(entry)
	var value []byte
	err := r.store.View(ctx, func(v Reader) (err error) {
		value, err = get(v, entry)
		return err
	})
	switch {
	case err != nil && ctx.Err() == nil:
		r.log.Error("cannot read the outbox", slog.Any("error", err))
		return
	case err != nil, value == nil, ctx.Err() != nil:
		return
	}
	k := work{key: entry}
	if err := json.Unmarshal(value, &k); err != nil {
		r.log.Error("cannot parse an outbox entry", slog.String("key", entry), slog.Any("error", err))
		return
	}
	ws, ok := r.attached(k.Workspace)
	if !ok {
		return
	}
	// Close waits for what has begun: cut off, it would be one more lost answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	if err = r.do(ctx, ws, k); err == nil {
		crashpoint("outbox: done")
		return
	}
	log := r.log.With(slog.String("kind", k.Kind), slog.String("workspace", k.Workspace), slog.Int("attempt", k.Attempts+1), slog.Any("error", err))
	if k.final(err, r.now()) {
		log.Warn("gives up an outbox entry")
		err = r.drop(ctx, k)
		crashpoint("outbox: given up")
	} else {
		log.Info("will retry an outbox entry")
		err = r.reschedule(ctx, k, err)
		crashpoint("outbox: put off")
	}
	if err != nil {
		r.log.Error("cannot update an outbox entry in the store", slog.Any("error", err))
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
		d := &deletion{operation: operation{r: r, ws: ws, client: c, entry: k}}
		if err := d.call(ctx); err != nil {
			return err
		}
		return d.finish(ctx)
	case workRestore:
		return r.restore(ctx, ws, k)
	}
	return fmt.Errorf("unknown kind %q", k.Kind)
}

// drop removes an entry.
func (r *Registry) drop(ctx context.Context, k work) error {
	return r.transactDetached(ctx, func(w Writer) error { return w.Delete(k.key) })
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
	if errors.Is(cause, ErrNoRegistration) {
		k.Unnamed++
	}
	k.Tried, k.LastError = r.now().Unix(), errorText(cause)
	return r.transactDetached(ctx, func(w Writer) error {
		if found, err := get(w, before); err != nil || found == nil {
			return err // somebody has ended it meanwhile
		}
		return errors.Join(w.Delete(before), k.put(w))
	})
}
