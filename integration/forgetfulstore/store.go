package forgetfulstore

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

// Store is a registry.Store without durability. A view costs nothing and holds
// nobody up, an update what its own keys cost, however many others there are.
type Store struct {
	calls    engine.Calls
	watchers engine.Watchers
	// turn is a lock for updates that a context can stop waiting for.
	turn   chan struct{}
	newest atomic.Pointer[node]
}

// Open returns an empty Store.
func Open() *Store { return &Store{turn: make(chan struct{}, 1)} }

// View is registry.Store's.
func (s *Store) View(ctx context.Context, f func(registry.Reader) error) error {
	if err := s.calls.Begin(); err != nil {
		return err
	}
	defer s.calls.End()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("forgetfulstore: view: %w", err)
	}
	return f(snapshot{s.newest.Load()})
}

// Update is registry.Store's, but for durability.
func (s *Store) Update(ctx context.Context, f func(registry.Writer) error) error {
	if err := s.calls.Begin(); err != nil {
		return err
	}
	defer s.calls.End()
	// Of two ready cases select takes any: an ended ctx must not write now and then.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("forgetfulstore: update: %w", err)
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("forgetfulstore: waiting for another update: %w", ctx.Err())
	}
	defer func() { <-s.turn }() // f may panic
	tree := s.newest.Load()
	var buffer engine.Buffer
	if err := f(&writer{&buffer, snapshot{tree}}); err != nil {
		return err
	}
	if err := buffer.Err(); err != nil {
		return err
	}
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

// Watch is registry.Store's.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	return s.watchers.Watch(ctx, prefix)
}

// Close is registry.Store's.
func (s *Store) Close() error {
	if err := s.calls.Close(); err != nil {
		return err
	}
	s.watchers.Close()
	s.calls.Wait()
	return nil
}

// snapshot is everything at one moment.
type snapshot struct{ tree *node }

func (s snapshot) Get(key string) ([]byte, error) {
	n := s.tree.find(key)
	if n == nil || expired(n.write) {
		return nil, registry.ErrNotFound
	}
	return bytes.Clone(n.write.Value), nil
}

func (s snapshot) Scan(prefix, after string, limit int) ([]registry.Entry, error) {
	var entries []registry.Entry
	if limit <= 0 {
		return nil, nil
	}
	s.tree.ascend(max(prefix, after), func(n *node) bool {
		if len(n.key) < len(prefix) || n.key[:len(prefix)] != prefix {
			return false
		}
		// An empty after means none: a key that is the prefix belongs to the listing.
		if (after == "" || n.key != after) && !expired(n.write) {
			entries = append(entries, registry.Entry{Key: n.key, Value: bytes.Clone(n.write.Value)})
		}
		return len(entries) < limit
	})
	return entries, nil
}

func expired(w engine.Write) bool { return w.Expiring && time.Now().After(w.Expires) }

// writer is what one update sees: its own buffer over the state before it.
type writer struct {
	*engine.Buffer
	before snapshot
}

func (w *writer) Get(key string) ([]byte, error) {
	if value, known, err := w.Buffer.Get(key); known {
		return value, err
	}
	return w.before.Get(key)
}

// Interface guard.
var _ registry.Store = (*Store)(nil)
