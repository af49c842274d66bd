package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// lossPage is how many losses one transaction takes.
const lossPage = 32

// takeLosses makes an epoch of the losses that an operator has accepted.
func (r *Registry) takeLosses(ctx context.Context, engine Store, now time.Time) error {
	for {
		entries, err := lossesAfter(ctx, engine, "")
		if err != nil || len(entries) == 0 {
			return err
		}
		began, err := r.beginEpoch(ctx, engine, now, func(w Writer, e *Epoch) error {
			for _, entry := range entries {
				if err := w.Delete(entry.Key); err != nil {
					return err
				}
			}
			return e.take(entries)
		})
		if err != nil {
			return fmt.Errorf("registry: an accepted loss cannot be recorded: %w", err)
		}
		r.logLoss(began)
	}
}

// holdLosses is takeLosses where nothing can be written: the epoch is in force, and counts
// as long as the process lives, or until it is written. The losses stay in the store, so
// that the next start finds them too.
func (r *Registry) holdLosses(ctx context.Context, engine Store, now time.Time) error {
	e, after := r.Epoch(), ""
	for {
		entries, err := lossesAfter(ctx, engine, after)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		after = entries[len(entries)-1].Key
		next := e.next(now)
		if err := next.take(entries); err != nil {
			return err
		}
		e = *next
	}
	if after != "" {
		r.epoch.Store(&e)
		r.logLoss(&e)
	}
	return nil
}

func lossesAfter(ctx context.Context, engine Store, after string) (entries []Entry, err error) {
	err = engine.View(ctx, func(v Reader) (err error) {
		entries, err = v.Scan(lossPrefix, after, lossPage)
		return err
	})
	return entries, err
}

// take adds what was lost.
func (e *Epoch) take(entries []Entry) error {
	e.Cause = EpochLoss
	for _, entry := range entries {
		var l Loss
		if err := json.Unmarshal(entry.Value, &l); err != nil {
			return fmt.Errorf("registry: unreadable %s: %w", entry.Key, err)
		}
		e.Losses = append(e.Losses, l)
	}
	e.Losses = e.Losses[max(0, len(e.Losses)-maxLosses):]
	return nil
}

func (r *Registry) logLoss(e *Epoch) {
	last := e.Losses[len(e.Losses)-1]
	r.log.Warn("records a loss of data in the store, as accept_loss accepts; refuses tokens, requests and assertions issued up to the epoch, and unknown client_ids until an operator confirms",
		slog.Uint64("found", last.Found), slog.Uint64("committed", last.Committed), slog.Time("epoch", e.Time()))
}
