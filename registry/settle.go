package registry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// settle finds out what the store is, before anything is served: whether the keyset is its
// own, what it has lost, whether it was restored.
func (r *Registry) settle(ctx context.Context, o Options) error {
	if err := r.loadEpoch(ctx); err != nil {
		return err
	}
	b, err := r.checkKeyset(ctx, o.KeysetLost)
	if err != nil {
		return err
	}
	if len(b.Seals) > 1 {
		r.reseal()
	}
	engine, now := r.store, r.now()
	if err := r.firstCommit(ctx, engine, b, now); err != nil {
		// A disk without room stops changes, and not the gateway. A loss that was accepted
		// counts all the same: what was lost would pass otherwise until the first write.
		if err := r.holdLosses(ctx, engine, now); err != nil {
			return err
		}
		r.log.Error("cannot write to the store; with the first write that succeeds it binds the store to its keyset, and records the epoch of an accepted loss, which is in force already", slog.Any("error", err))
		r.store = &settling{Store: engine, first: func(ctx context.Context) error { return r.firstCommit(ctx, engine, b, now) }}
	}
	if err := r.takeRestore(ctx); err != nil {
		return err
	}
	return r.DeclareRestored(ctx, o.Restored)
}

// firstCommit binds the store to its keyset. A loss that was accepted, which the engine
// writes with the first commit at the latest, becomes an epoch that begins at now.
func (r *Registry) firstCommit(ctx context.Context, engine Store, b *binding, now time.Time) error {
	if err := engine.Update(ctx, func(w Writer) error { return putRecord(w, bindingKey, b) }); err != nil {
		return err
	}
	return r.takeLosses(ctx, engine, now)
}

// settling is a Store that took no writes when it was opened. Nothing is written into it
// before what Open could not write: what was lost would be used again meanwhile.
type settling struct {
	Store
	first func(context.Context) error

	mu   sync.Mutex
	done bool
}

func (s *settling) Update(ctx context.Context, f func(Writer) error) error {
	if err := s.settled(ctx); err != nil {
		return err
	}
	return s.Store.Update(ctx, f)
}

func (s *settling) settled(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return nil
	}
	err := s.first(ctx)
	s.done = err == nil
	return err
}
