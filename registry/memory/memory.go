// Package memory is a registry.Store for tests, and for what must leave nothing behind,
// like an explanation of a request. It keeps the whole contract but
// durability: what it knows ends with the process.
package memory

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

var (
	_ registry.Store     = (*Store)(nil)
	_ registry.Exclusive = (*Store)(nil)
)

// Options of a Store. The zero value is fine.
type Options struct {
	// Now is the clock that expiry is measured by. Default: time.Now
	Now func() time.Time
	// Rerun runs every update function twice and throws the first run away, as an
	// engine may that retries after a conflict: it finds functions that are not
	// pure. Default: false
	Rerun bool
}

// Store is the engine. A view costs nothing and holds nobody up, an update what
// its own keys cost, however many others there are. What has expired is kept, and
// everything ends with the process: right for tests, wrong for a bank.
type Store struct {
	options  Options
	calls    engine.Calls
	watchers engine.Watchers
	// turn is a lock for updates that a context can stop waiting for.
	turn   chan struct{}
	newest atomic.Pointer[node]
}

// Open returns an empty Store.
func Open(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{options: o, turn: make(chan struct{}, 1)}
}

// View runs f over one consistent snapshot. The error is f's, or that of an
// ended ctx, or registry.ErrClosed.
func (s *Store) View(ctx context.Context, f func(registry.Reader) error) error {
	if err := s.calls.Begin(); err != nil {
		return err
	}
	defer s.calls.End()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("registry/memory: view: %w", err)
	}
	return f(s.snapshot())
}

// Update runs f and applies its writes, all or none. The error is f's, or that
// of a ctx that ended before f's turn, or registry.ErrTooLarge or ErrClosed.
func (s *Store) Update(ctx context.Context, f func(registry.Writer) error) error {
	if err := s.calls.Begin(); err != nil {
		return err
	}
	defer s.calls.End()
	// Of two ready cases select takes any: an ended ctx must not write now and then.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("registry/memory: update: %w", err)
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("registry/memory: waiting for another update: %w", ctx.Err())
	}
	// Deferred, because f may panic.
	defer func() { <-s.turn }()

	if s.options.Rerun {
		if err := s.run(f, &engine.Buffer{}); err != nil {
			return err
		}
	}
	var buffer engine.Buffer
	if err := s.run(f, &buffer); err != nil {
		return err
	}
	tree := s.newest.Load()
	for key, write := range buffer.All() {
		if write.Deleted {
			tree = tree.without(key)
		} else {
			tree = tree.with(key, write)
		}
	}
	s.newest.Store(tree)
	s.watchers.Notify(buffer.Keys())
	return nil
}

func (s *Store) run(f func(registry.Writer) error, buffer *engine.Buffer) error {
	if err := f(&writer{Buffer: buffer, before: s.snapshot()}); err != nil {
		return err
	}
	return buffer.Err()
}

func (s *Store) snapshot() snapshot { return snapshot{s.newest.Load(), s.options.Now} }

// Watch is registry.Store's. The error is registry.ErrClosed.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	return s.watchers.Watch(ctx, prefix)
}

// Exclusive is registry.Exclusive's.
func (s *Store) Exclusive() {}

// Close waits for running views and updates and forgets everything. Called
// again it returns registry.ErrClosed.
func (s *Store) Close() error {
	if err := s.calls.Close(); err != nil {
		return err
	}
	s.watchers.Close()
	s.calls.Wait()
	return nil
}
