package memory

import (
	"bytes"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

// snapshot is everything at one moment, under a clock.
type snapshot struct {
	tree *node
	now  func() time.Time
}

func (s snapshot) Get(key string) ([]byte, error) {
	n := s.tree.find(key)
	if n == nil || s.expired(n.write) {
		return nil, registry.ErrNotFound
	}
	return bytes.Clone(n.write.Value), nil
}

func (s snapshot) Scan(prefix, after string, limit int) ([]registry.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	var entries []registry.Entry
	s.list(prefix, after, func(n *node) bool {
		entries = append(entries, registry.Entry{Key: n.key, Value: bytes.Clone(n.write.Value), Expires: n.write.Expires})
		return len(entries) < limit
	})
	return entries, nil
}

func (s snapshot) Keys(prefix, after string, limit int) ([]string, error) {
	if limit <= 0 {
		return nil, nil
	}
	var keys []string
	s.list(prefix, after, func(n *node) bool {
		keys = append(keys, n.key)
		return len(keys) < limit
	})
	return keys, nil
}

// list calls f with what a listing has, in order, until it returns false.
func (s snapshot) list(prefix, after string, f func(*node) bool) {
	s.tree.ascend(max(prefix, after), func(n *node) bool {
		if !strings.HasPrefix(n.key, prefix) {
			return false
		}
		// An empty after means none, so an entry whose key is the prefix belongs to
		// the listing, unless it is the one to go on after.
		if after != "" && n.key == after || s.expired(n.write) {
			return true
		}
		return f(n)
	})
}

func (s snapshot) expired(w engine.Write) bool { return w.Expiring && s.now().After(w.Expires) }

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
