package engine

import (
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Watchers fans the keys of committed updates out to the channels that
// registry.Store.Watch returns. The zero value is ready. All methods may be
// called concurrently, and none waits for a receiver.
type Watchers struct {
	// mu is held over every send and every close, so that nothing is ever sent
	// on a closed channel.
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
}

type watcher struct {
	prefix  string
	changed chan struct{}
	// forget releases what hangs on the context.
	forget func() bool
}

// Watch returns a channel that receives a value after Notify got a key with the
// prefix. A value that was not yet received stands for the later ones too. The
// channel is closed when ctx ends or at Close. After Close the error is
// registry.ErrClosed.
func (ws *Watchers) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	w := &watcher{prefix: prefix, changed: make(chan struct{}, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed {
		return nil, registry.ErrClosed
	}
	if ws.watchers == nil {
		ws.watchers = make(map[*watcher]struct{})
	}
	ws.watchers[w] = struct{}{}
	// A context that has already ended runs this in a goroutine, which waits for mu.
	w.forget = context.AfterFunc(ctx, func() { ws.remove(w) })
	return w.changed, nil
}

func (ws *Watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	// Close may have been faster; a channel is closed only once.
	if _, ok := ws.watchers[w]; ok {
		delete(ws.watchers, w)
		close(w.changed)
	}
}

// Notify signals every watcher whose prefix one of the keys has. Call it after
// the commit is visible, or a receiver may look too early and never again.
func (ws *Watchers) Notify(keys iter.Seq[string]) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.watchers) == 0 {
		return
	}
	for key := range keys {
		for w := range ws.watchers {
			if !strings.HasPrefix(key, w.prefix) {
				continue
			}
			select {
			case w.changed <- struct{}{}:
			default: // The signal that is waiting stands for this one.
			}
		}
	}
}

// Close closes all channels and refuses new watchers. Calling it again does nothing.
func (ws *Watchers) Close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for w := range ws.watchers {
		w.forget()
		close(w.changed)
	}
	ws.watchers = nil
}
