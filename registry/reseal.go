package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"
)

// What older keys of the keyset have sealed is sealed anew with the primary one, in the
// background: 20 records a second at most, so that nobody feels it. It may end at any time
// and begins again at the next Open, from what the records themselves say.
const (
	resealPage  = 256
	resealPause = 50 * time.Millisecond
	// resealTold is after how many records the log tells of it.
	resealTold = 1000
	// resealAgain is how long it waits after a failure, and before it looks for the last time:
	// longer than a change is under way that has sealed with the older key.
	resealAgain = 2 * lease
)

// reseal wakes the background work.
func (r *Registry) reseal() {
	select {
	case r.resealing <- struct{}{}:
	default: // a signal is waiting already
	}
}

func (r *Registry) runReseal(ctx context.Context) {
	defer close(r.resealEnded)
	for {
		select {
		case <-r.resealing:
		case <-ctx.Done():
			return
		}
		for first, again := true, true; again; first = false {
			again = r.resealAll(ctx, first)
			if again && !pause(ctx, resealAgain) {
				return
			}
		}
	}
}

// pause is false when ctx has ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// resealCount is what one pass has found.
type resealCount struct{ resealed, unreadable int }

// resealAll passes once over the store. again: something was to be done, or failed, and it
// must look once more. A pass that finds nothing takes the older keys off the binding, but
// for the first one: a change that has sealed with an older key may not be written yet.
func (r *Registry) resealAll(ctx context.Context, first bool) (again bool) {
	prefix := keyPrefix(r.sealer)
	if prefix == nil {
		return false
	}
	var n resealCount
	var err error
	for _, kind := range []string{clientPrefix, outboxPrefix, laterPrefix} {
		for e, walkErr := range walk(ctx, r.store, kind, resealPage) {
			if err = walkErr; err == nil {
				err = r.resealRecord(ctx, e, prefix, &n)
			}
			if err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		r.log.Warn("cannot encrypt the credentials in the store with the primary key of the keyset yet; tries again in two minutes", slog.Any("error", err))
		return true
	case n.resealed > 0:
		r.log.Info("has encrypted credentials in the store with the primary key of the keyset", slog.Int("records", n.resealed))
		return true
	case n.unreadable > 0:
		r.log.Warn("cannot encrypt some credentials in the store with the primary key, because the keyset lacks the key that they were encrypted with", slog.Int("records", n.unreadable))
		return false
	case first:
		return true
	}
	return r.endReseal(ctx, prefix)
}

// endReseal forgets the older keys. It is true where it could not.
func (r *Registry) endReseal(ctx context.Context, prefix []byte) bool {
	trimmed := false
	err := r.store.Update(ctx, func(w Writer) error {
		trimmed = false
		b, err := readBinding(w)
		if err != nil || len(b.Seals) < 2 || !bytes.HasPrefix(b.Seals[0].Sealed, prefix) {
			return err
		}
		b.Seals, trimmed = b.Seals[:1], true
		return putRecord(w, bindingKey, &b)
	})
	if err == nil && trimmed {
		r.log.Info("needs the older keys of the keyset no more, but for backups that were made before", slog.Any("key_ids", r.sealer.KeyIDs()[:1]))
	}
	return err != nil && ctx.Err() == nil
}

// resealRecord looks at one record, and writes it where an older key has sealed it.
func (r *Registry) resealRecord(ctx context.Context, e Entry, prefix []byte, n *resealCount) error {
	if again, err := r.withPrimary(e.Key, e.Value, prefix); err != nil || again == nil {
		return n.count(err)
	}
	written := false
	err := r.store.Update(ctx, func(w Writer) error {
		written = false
		value, err := get(w, e.Key)
		if err != nil || value == nil {
			return err
		}
		value, err = r.withPrimary(e.Key, value, prefix)
		if err != nil || value == nil {
			return err
		}
		written = true
		return w.Put(e.Key, value)
	})
	if err != nil {
		return n.count(err)
	}
	if written {
		if n.resealed++; n.resealed%resealTold == 0 {
			r.log.Info("encrypts credentials in the store with the primary key of the keyset", slog.Int("records", n.resealed))
		}
		pause(ctx, resealPause)
	}
	return ctx.Err()
}

var errUnreadable = errors.New("registry: no key of the keyset opens it")

func (n *resealCount) count(err error) error {
	if errors.Is(err, errUnreadable) {
		n.unreadable++
		return nil
	}
	return err
}

// withPrimary is a record with everything in it sealed by the primary key; nil where that
// is so already.
//
// Errors: errUnreadable.
func (r *Registry) withPrimary(k string, value, prefix []byte) ([]byte, error) {
	if !bytes.HasPrefix([]byte(k), []byte(clientPrefix)) {
		var w work
		if err := json.Unmarshal(value, &w); err != nil {
			return nil, err
		}
		changed, err := r.sealAnew(&w.Token, key("revoke", w.ID), prefix)
		if err != nil || !changed {
			return nil, err
		}
		return json.Marshal(&w)
	}
	c, err := readClient(value)
	if err != nil {
		return nil, err
	}
	changed, err := r.sealAnew(&c.Sealed, clientKey(c), prefix)
	if err == nil && c.Secret != nil {
		var secret bool
		secret, err = r.sealAnew(&c.Secret.Sealed, secretContext(c), prefix)
		changed = changed || secret
	}
	if err != nil || !changed {
		return nil, err
	}
	return json.Marshal(c)
}

func (r *Registry) sealAnew(sealed *[]byte, context string, prefix []byte) (changed bool, err error) {
	if len(*sealed) == 0 || bytes.HasPrefix(*sealed, prefix) {
		return false, nil
	}
	secret, err := r.sealer.Open(*sealed, context)
	if err != nil {
		return false, errUnreadable
	}
	*sealed, err = r.sealer.Seal(secret, context)
	return err == nil, err
}
