// Package memory is a registry.Store for tests. It holds the whole contract but
// durability: what it knows ends with the process.
package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

var _ registry.Store = (*Store)(nil)

// Options of a Store. The zero value is fine.
type Options struct {
	// Now is the clock that expiry is measured by. Default: time.Now
	Now func() time.Time
	// Rerun runs every update function twice and throws the first run away, as an
	// engine may that retries after a conflict: it finds functions that are not
	// pure. Default: false
	Rerun bool
}

// Store is the engine. It holds everything in sorted order under one lock, and
// copies it all when an update follows a view that still reads: right for
// tests, wrong for a bank.
type Store struct {
	options  Options
	calls    engine.Calls
	watchers engine.Watchers
	// turn is a lock for updates that a context can stop waiting for.
	turn    chan struct{}
	current state
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
	return f(&reader{snapshot: s.current.snapshot(), now: s.options.Now})
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
	s.current.apply(&buffer)
	s.watchers.Notify(buffer.Keys())
	return nil
}

func (s *Store) run(f func(registry.Writer) error, buffer *engine.Buffer) error {
	before := reader{snapshot: s.current.peek(), now: s.options.Now}
	if err := f(&writer{before: before, Buffer: buffer}); err != nil {
		return err
	}
	return buffer.Err()
}

// Watch is registry.Store's. The error is registry.ErrClosed.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	return s.watchers.Watch(ctx, prefix)
}

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

// writer is what one update sees: its own buffer over the state before it.
type writer struct {
	*engine.Buffer
	before reader
}

func (w *writer) Get(key string) ([]byte, error) {
	if value, known, err := w.Buffer.Get(key); known {
		return value, err
	}
	return w.before.Get(key)
}
