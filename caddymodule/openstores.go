package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// openStores are the open registries of this process, by Engine.Key. They live as long
// as a configuration or a request holds them. The mutex is held while nothing is opened
// or closed: that takes long (an outbox ends what it has begun), and concerns nobody but
// who wants the same store open again.
type openStores struct {
	mu    sync.Mutex
	slots map[string]*storeSlot
}

// storeSlot is the place of one store, from before it is opened until after it is closed.
type storeSlot struct {
	holds int // 0: it is being closed
	// opened is closed when store or err is there, closed when the store is closed.
	opened, closed chan struct{}
	store          *pooled
	err            error
}

var stores = openStores{slots: map[string]*storeSlot{}}

// closeWithin is how long whoever opens a store waits for its close: longer than what an
// outbox may still do (25 s) and the engine's own end take.
const closeWithin = time.Minute

// acquire opens a store, or shares the one that is open, until giveBack. One that is being
// closed is waited for, and opened again. A restore that is declared by a label which the
// store does not know is in force before hold returns.
func (s *openStores) acquire(ctx context.Context, engine Engine, o opening, log *slog.Logger) (*registry.Registry, error) {
	end := time.NewTimer(closeWithin)
	defer end.Stop()
	key := engine.Key()
	for {
		slot, first, closing := s.enter(key)
		switch {
		case closing:
			select {
			case <-slot.closed:
				continue
			case <-end.C:
				return nil, fmt.Errorf("store: it is still being closed after %v; look for authorization servers that do not answer", closeWithin)
			}
		case first:
			slot.open(ctx, engine, o, log)
		default:
			<-slot.opened
		}
		if slot.err != nil {
			s.leave(key, slot)
			return nil, slot.err
		}
		if !first {
			err := slot.store.useKeyset(ctx, o.keyset, log)
			if err == nil {
				err = slot.store.DeclareRestored(ctx, o.restored)
			}
			if err != nil {
				return nil, errors.Join(err, s.giveBack(key)())
			}
		}
		return slot.store.Registry, nil
	}
}

// enter takes a hold, of a slot that is there or of a new one (first), which whoever
// enters first must open; none where the store is being closed.
func (s *openStores) enter(key string) (slot *storeSlot, first, closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch slot = s.slots[key]; {
	case slot == nil:
		slot = &storeSlot{holds: 1, opened: make(chan struct{}), closed: make(chan struct{})}
		s.slots[key] = slot
		return slot, true, false
	case slot.holds == 0:
		return slot, false, true
	}
	slot.holds++
	return slot, false, false
}

func (s *storeSlot) open(ctx context.Context, engine Engine, o opening, log *slog.Logger) {
	defer close(s.opened)
	s.err = errors.New("store: opening it panicked") // unless it returns
	s.store, s.err = open(ctx, engine, o, log)
}

// leave ends the hold of a slot that could not be opened: the next one tries again.
func (s *openStores) leave(key string, slot *storeSlot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots[key] == slot {
		delete(s.slots, key)
	}
}

// giveBack ends a hold. After the last one the store is to be closed, by finish, which
// takes as long as closing takes; until it has returned nobody opens the store.
func (s *openStores) giveBack(key string) (finish func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.slots[key]
	if slot.holds--; slot.holds > 0 {
		return func() error { return nil }
	}
	return func() error {
		defer close(slot.closed)
		defer s.leave(key, slot)
		return slot.store.Close()
	}
}
