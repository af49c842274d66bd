package registry

import (
	"context"
	"log/slog"
	"sync"
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
	engine := r.store
	written, err := r.firstCommit(ctx, engine, b)
	switch {
	case err != nil && written:
		return err
	case err != nil:
		// A disk without room stops changes, and not the gateway.
		r.log.Error("the store takes no writes; it is bound to its keyset, and a loss that was accepted counts, with the first one that it takes", slog.Any("error", err))
		r.store = &settling{Store: engine, first: func(ctx context.Context) error {
			_, err := r.firstCommit(ctx, engine, b)
			return err
		}}
	}
	return r.DeclareRestored(ctx, o.Restored)
}

// firstCommit binds the store to its keyset. With the first commit the engine writes a
// loss that was accepted, and that becomes an epoch.
func (r *Registry) firstCommit(ctx context.Context, engine Store, b *binding) (written bool, err error) {
	if err := engine.Update(ctx, func(w Writer) error { return putOwn(w, bindingKey, b) }); err != nil {
		return false, err
	}
	return true, r.takeLosses(ctx, engine)
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
