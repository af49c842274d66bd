package memory

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

// snapshot is everything at one moment. It is never changed after it was handed out.
type snapshot struct {
	keys   []string // sorted
	values map[string]engine.Write
}

// state is the newest snapshot and whether somebody may still be reading it.
type state struct {
	mu     sync.Mutex
	newest snapshot
	shared bool
}

// snapshot costs nothing now; the next apply pays with a copy.
func (s *state) snapshot() snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shared = true
	return s.newest
}

// peek is a snapshot for whoever holds the turn: nobody else can apply, so that
// no copy is owed for it.
func (s *state) peek() snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

func (s *state) apply(buffer *engine.Buffer) {
	if buffer.Len() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared || s.newest.values == nil {
		s.newest = s.newest.clone()
		s.shared = false
	}
	for key, write := range buffer.All() {
		s.newest.set(key, write)
	}
}

// clone leaves the values shared: nobody changes a value's bytes, they are only replaced.
func (s snapshot) clone() snapshot {
	values := maps.Clone(s.values)
	if values == nil {
		values = make(map[string]engine.Write)
	}
	return snapshot{keys: slices.Clone(s.keys), values: values}
}

func (s *snapshot) set(key string, write engine.Write) {
	at, found := slices.BinarySearch(s.keys, key)
	switch {
	case write.Deleted && found:
		s.keys = slices.Delete(s.keys, at, at+1)
		delete(s.values, key)
	case write.Deleted:
	case found:
		s.values[key] = write
	default:
		s.keys = slices.Insert(s.keys, at, key)
		s.values[key] = write
	}
}

// reader is one snapshot under a clock.
type reader struct {
	snapshot
	now func() time.Time
}

func (r *reader) Get(key string) ([]byte, error) {
	write, ok := r.values[key]
	if !ok || r.expired(write) {
		return nil, registry.ErrNotFound
	}
	return bytes.Clone(write.Value), nil
}

func (r *reader) Scan(prefix, after string, limit int) ([]registry.Entry, error) {
	from, found := slices.BinarySearch(r.keys, max(prefix, after))
	// An empty after means none, so an entry whose key is the prefix belongs to
	// the listing, unless it is the one to go on after.
	if found && after != "" && r.keys[from] == after {
		from++
	}
	var entries []registry.Entry
	for _, key := range r.keys[from:] {
		if len(entries) >= limit || !strings.HasPrefix(key, prefix) {
			break
		}
		if write := r.values[key]; !r.expired(write) {
			entries = append(entries, registry.Entry{Key: key, Value: bytes.Clone(write.Value)})
		}
	}
	return entries, nil
}

func (r *reader) expired(write engine.Write) bool {
	return write.Expiring && r.now().After(write.Expires)
}
