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

	"github.com/caddy-dcr/caddy-dcr/verify"
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

// The kinds of work that is left for the AS.
const (
	workRevoke  = "revoke"  // end an access token
	workUndo    = "undo"    // end a registration that was cut off while pending
	workDelete  = "delete"  // end a client that the registry has ended
	workRestore = "restore" // tell the AS what a client is registered with
)

// work is one entry of the outbox. It is retried with growing pauses until it is
// done or finally refused.
type work struct {
	key string

	Schema       int    `json:"v"`
	Kind         string `json:"kind"`
	Workspace    string `json:"workspace"`
	Registration string `json:"registration,omitempty"`
	// Holds are the reservations of an undo.
	Holds []string `json:"holds,omitempty"`
	// ID is the entry's own, and the change that a restoration follows.
	ID string `json:"id,omitempty"`
	// Token (sealed) is to be revoked, before anything else that the entry asks for.
	// The next three are those of Revocation. Until is when the token ends, seconds
	// since 1970, 0 for never.
	Token          []byte `json:"token,omitempty"`
	IsRegistration bool   `json:"is_registration,omitempty"`
	ClientID       string `json:"client_id,omitempty"`
	Certificate    []byte `json:"certificate,omitempty"`
	Until          int64  `json:"until,omitempty"`

	// Since is when the entry was made, Tried the last attempt, seconds since 1970.
	Since     int64  `json:"since,omitempty"`
	Tried     int64  `json:"tried,omitempty"`
	Attempts  int    `json:"attempts,omitempty"`
	LastError string `json:"last_error,omitempty"`
}

// put is for a nil entry too.
func (k *work) put(w Writer) error {
	if k == nil {
		return nil
	}
	k.Schema = schema
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return w.Put(k.key, data)
}

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
		return
	}
	log := r.log.With(slog.String("kind", k.Kind), slog.String("workspace", k.Workspace), slog.Int("attempt", k.Attempts+1), slog.Any("error", err))
	if k.final(err, r.now()) {
		log.Warn("outbox: given up")
		err = r.drop(ctx, k)
	} else {
		log.Info("outbox: will be tried again")
		err = r.reschedule(ctx, k, err)
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

var errCutOff = errors.New("registry: cut off before the answer was kept")

// undo ends what a crash or a lost answer cut off while it was pending. The AS may
// have created the client. With a client_id chosen here, asking once more gives
// the credentials to delete it with.
func (r *Registry) undo(ctx context.Context, ws Workspace, k work) error {
	// First out of the hands of a holder that is still at work, however late.
	var c *Client
	err := r.store.Update(ctx, func(w Writer) (err error) {
		if c, err = loadClient(w, k.Workspace, k.Registration); err != nil || c.Status != Pending {
			return err
		}
		c.Status = Deleting
		return putClient(w, c)
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	crashpoint("undo: begun")
	var lost *Divergence
	switch {
	case err != nil || c.Status != Deleting:
	case c.ClientID != "" && ws.Provisioner.ChoosesClientID():
		if err := r.reattach(ctx, ws, c); err != nil {
			return err
		}
		crashpoint("undo: reattached")
		if err := ws.Provisioner.Delete(ctx, c); err != nil {
			return err
		}
		crashpoint("undo: deleted")
	default:
		lost = r.answerLost(c, errCutOff)
	}
	return r.forgetPending(ctx, k.Registration, k, lost)
}

func (r *Registry) byID(ctx context.Context, workspace, id string) (c *Client, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		c, err = loadClient(v, workspace, id)
		return err
	})
	return c, err
}

// final tells whether trying again is of no use: the AS refuses a revocation (RFC
// 7009 2.1 lets it refuse foreign tokens) or its own client's metadata for good,
// has no such client, or the token has ended by itself.
func (k *work) final(err error, now time.Time) bool {
	if k.Kind != workRevoke && k.Kind != workRestore {
		return false
	}
	return k.refused(err) || errors.Is(err, ErrDetached) || k.ended(now)
}

// refused tells whether the AS has said no for good.
func (*work) refused(err error) bool {
	var refused *verify.Error
	return errors.As(err, &refused) && refused.Kind != verify.Unavailable
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

// errorText is an error for the log and for operators.
func errorText(err error) string { return verify.AsError(err).Error() }
