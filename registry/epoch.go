package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Epoch is the moment up to which the store may have forgotten what it held: it was
// restored from a copy, or an operator has accepted that a part of it is lost. Whatever
// was issued up to then counts as used, because nobody knows whether it was.
type Epoch struct {
	Schema int `json:"v"`
	// At is the moment, the clock's skew included, seconds since 1970.
	At int64 `json:"at"`
	// Since is when it was set, seconds since 1970.
	Since int64 `json:"since"`
	// Cause is EpochRestored or EpochLoss, and EpochLoss where both came at once.
	Cause string `json:"cause"`
	// Label is that of the restore.
	Label string `json:"label,omitempty"`
	// Losses are those that were accepted, the last maxLosses.
	Losses []Loss `json:"losses,omitempty"`
	// Confirmed is when an operator has said that what was lost is dealt with, seconds
	// since 1970; 0 until then. Operator is who, Reason why.
	Confirmed int64    `json:"confirmed,omitempty"`
	Operator  Operator `json:"operator,omitzero"`
	Reason    string   `json:"reason,omitempty"`
}

// The causes of an Epoch.
const (
	EpochRestored = "restored"
	EpochLoss     = "loss"
)

// Loss is what a store's engine has found missing, and an operator has accepted. The
// engine writes it under lossPrefix before it takes anything else, and at the latest with
// its first commit after that.
type Loss struct {
	// Time is when it was accepted, seconds since 1970.
	Time int64 `json:"time"`
	// Found is the sequence that the store has reached, Committed the one that it had.
	Found     uint64 `json:"found"`
	Committed uint64 `json:"committed"`
}

const (
	lossPrefix  = "loss/"
	epochKey    = "store/epoch"
	restoredKey = "store/restored"
)

// Bounds of what is kept of restores and losses.
const (
	// MaxLabel is the length of a restore's label in bytes, at most.
	MaxLabel  = 200
	maxLabels = 32
	maxLosses = 8
)

// Time is the moment, zero where there is no epoch.
func (e Epoch) Time() time.Time {
	if e.At == 0 {
		return time.Time{}
	}
	return time.Unix(e.At, 0)
}

// Unconfirmed tells whether clients may have been forgotten, and no operator has looked.
func (e Epoch) Unconfirmed() bool { return e.At != 0 && e.Confirmed == 0 }

// Epoch is the store's, the zero value where it has none. It costs no reading: no other
// process can change it.
func (r *Registry) Epoch() Epoch {
	if e := r.epoch.Load(); e != nil {
		return *e
	}
	return Epoch{}
}

// EpochTag is the entity tag of the Epoch, see Act.
func (r *Registry) EpochTag(ctx context.Context) (tag string, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		tag, err = entityTag(v, epochKey)
		return err
	})
	return tag, err
}

// loadEpoch reads the store's, at Open.
func (r *Registry) loadEpoch(ctx context.Context) error {
	return r.store.View(ctx, func(v Reader) error {
		e, err := readEpoch(v)
		if err == nil {
			r.epoch.Store(e)
		}
		return err
	})
}

func readEpoch(r getter) (*Epoch, error) {
	e := &Epoch{}
	return e, readOwn(r, epochKey, e, &e.Schema)
}

// restores are the labels that the store has seen, the newest last. One that it has
// forgotten counts as another restore, which refuses more and not less.
type restores struct {
	Schema int      `json:"v"`
	Labels []string `json:"labels"`
}

// DeclareRestored tells the store that it was restored from a copy, once for each label:
// an epoch begins before it returns. An empty label declares nothing. A store that takes
// no writes is an error: an epoch in memory alone would be gone with the next start without
// the label, and nobody would know.
func (r *Registry) DeclareRestored(ctx context.Context, label string) error {
	if label == "" {
		return nil
	}
	if len(label) > MaxLabel {
		return fmt.Errorf("registry: the label of a restore is longer than %d bytes", MaxLabel)
	}
	var seen restores
	err := r.store.View(ctx, func(v Reader) error {
		seen = restores{}
		return readOwn(v, restoredKey, &seen, &seen.Schema)
	})
	if err != nil || slices.Contains(seen.Labels, label) {
		return err
	}
	began, err := r.beginEpoch(ctx, r.store, r.now(), func(w Writer, e *Epoch) error {
		seen := restores{}
		if err := readOwn(w, restoredKey, &seen, &seen.Schema); err != nil {
			return err
		}
		e.Cause, e.Label = EpochRestored, label
		return putRestores(w, seen.Labels, label)
	})
	if err != nil {
		return fmt.Errorf("registry: the restore %q cannot be recorded: %w", label, err)
	}
	r.log.Warn("records that the store was restored, as restored declares; refuses tokens, requests and assertions issued up to the epoch, and unknown client_ids until an operator confirms",
		slog.String("restored", label), slog.Time("epoch", began.Time()))
	return nil
}

// putRestores adds a label to those that were seen.
func putRestores(w Writer, seen []string, label string) error {
	labels := append(seen, label)
	return putRecord(w, restoredKey, &restores{schema, labels[max(0, len(labels)-maxLabels):]})
}

// next is the epoch that begins at a time, after e. An epoch never goes back, also where
// the clock does.
func (e Epoch) next(now time.Time) *Epoch {
	return &Epoch{Schema: schema, At: max(e.At, now.Add(verify.DefaultSkew).Unix()), Since: now.Unix(), Losses: e.Losses}
}

// beginEpoch sets an epoch that begins at now, in one transaction with what f writes.
func (r *Registry) beginEpoch(ctx context.Context, engine Store, now time.Time, f func(Writer, *Epoch) error) (*Epoch, error) {
	var began *Epoch
	err := engine.Update(ctx, func(w Writer) error {
		before, err := readEpoch(w)
		if err != nil {
			return err
		}
		e := before.next(now)
		if err := f(w, e); err != nil {
			return err
		}
		began = e
		return putRecord(w, epochKey, e)
	})
	if err != nil {
		return nil, err
	}
	r.epoch.Store(began)
	return began, nil
}

// ErrNoEpoch is ConfirmEpoch's where there is nothing to confirm.
var ErrNoEpoch = errors.New("nothing waits to be confirmed: no restore was declared and no loss accepted since the last confirmation")

// CheckConfirmation tells what is wrong with a reason.
func CheckConfirmation(reason string) error {
	if reason == "" || len(reason) > maxReason {
		return fmt.Errorf("epoch: a reason of 1 to %d bytes is required", maxReason)
	}
	return nil
}

// ConfirmEpoch ends the refusal of client_ids that the registry does not know, and
// nothing else of the epoch. A reason is required. Every configured
// workspace has it in its audit trail. Of several that confirm at once one does.
//
// Errors: ErrNoEpoch, ErrChanged.
func (r *Registry) ConfirmEpoch(ctx context.Context, act Act) error {
	if err := CheckConfirmation(act.Reason); err != nil {
		return err
	}
	select {
	case r.confirming <- struct{}{}:
		defer func() { <-r.confirming }()
	case <-ctx.Done():
		return ctx.Err()
	}
	names := r.attachedNames()
	slices.Sort(names)
	// All but the last group go first: the confirmation is made with the last of them.
	for ; len(names) > confirmGroup; names = names[confirmGroup:] {
		group := names[:confirmGroup]
		err := r.store.Update(ctx, func(w Writer) error {
			if _, err := readUnconfirmed(w, act); err != nil {
				return err
			}
			return r.auditConfirmation(w, group, act)
		})
		if err != nil {
			return err
		}
	}
	var confirmed *Epoch
	err := r.store.Update(ctx, func(w Writer) error {
		e, err := readUnconfirmed(w, act)
		if err != nil {
			return err
		}
		e.Confirmed, e.Operator, e.Reason = r.now().Unix(), act.Operator, act.Reason
		confirmed = e
		return errors.Join(putRecord(w, epochKey, e), r.auditConfirmation(w, names, act))
	})
	if err == nil {
		r.epoch.Store(confirmed)
	}
	return err
}

// readUnconfirmed is the epoch that an operator has seen, and that waits to be confirmed.
func readUnconfirmed(w Writer, act Act) (*Epoch, error) {
	e, err := readEpoch(w)
	switch {
	case err != nil:
		return nil, err
	case !e.Unconfirmed():
		return nil, ErrNoEpoch
	}
	return e, act.matches(w, epochKey)
}

// confirmGroup is how many workspaces one transaction tells.
const confirmGroup = 32

func (r *Registry) auditConfirmation(w Writer, workspaces []string, act Act) error {
	for _, name := range workspaces {
		ws, _ := r.attached(name)
		if err := putAuditEntry(w, ws, &AuditEntry{At: r.now(), Change: AuditConfirmed, Workspace: name, Act: act}); err != nil {
			return err
		}
	}
	return nil
}
