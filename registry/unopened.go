package registry

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// unopened is in a store that was restored from a backup, until it is opened for the first
// time. Until then another gateway may have been at work on the store that was lost or left
// behind, and what was used there is not known here: the epoch begins once more.
type unopened struct {
	Schema int    `json:"v"`
	Label  string `json:"label"`
	// Confirm is the operator's reason to confirm the epoch at once; empty for none.
	Confirm string `json:"confirm,omitempty"`
}

const unopenedKey = "store/unopened"

// epoch is the one that begins now, after another.
func (u *unopened) epoch(before *Epoch, now time.Time) *Epoch {
	e := before.next(now)
	u.declare(e, now)
	return e
}

func (u *unopened) declare(e *Epoch, now time.Time) {
	e.Cause, e.Label = EpochRestored, u.Label
	if u.Confirm != "" {
		e.Confirmed, e.Reason = now.Unix(), u.Confirm
	}
}

// takeRestore begins the epoch of a restored store that is opened for the first time.
func (r *Registry) takeRestore(ctx context.Context) error {
	var u unopened
	err := r.store.View(ctx, func(v Reader) error {
		u = unopened{}
		return readOwn(v, unopenedKey, &u, &u.Schema)
	})
	if err != nil || u.Label == "" {
		return err
	}
	now := r.now()
	began, err := r.beginEpoch(ctx, r.store, now, func(w Writer, e *Epoch) error {
		seen := restores{}
		if err := readOwn(w, restoredKey, &seen, &seen.Schema); err != nil {
			return err
		}
		u.declare(e, now)
		return errors.Join(w.Delete(unopenedKey), putRestores(w, seen.Labels, u.Label))
	})
	if err != nil {
		return err
	}
	r.log.Warn("opens a store that was restored from a backup; refuses tokens, requests and assertions issued up to now, and unknown client_ids until an operator confirms",
		slog.String("restored", u.Label), slog.Time("epoch", began.Time()), slog.Bool("confirmed", !began.Unconfirmed()))
	return nil
}
