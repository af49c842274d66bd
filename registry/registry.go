// Package registry keeps the clients: who is registered, with what, and where
// the bank's authorization server (AS) stands with it.
//
// A client lives in two systems of record with a network between them. The
// registry makes that one change at a time:
//
//	POST    nothing -> pending      one transaction: record, request, token and jti reserved, undo entry
//	        pending -> active       after the AS created it: indexes, token and jti used up, revocation queued
//	        pending -> nothing      the AS refused, or the undo entry came due: everything released
//	PUT     active  -> active       one transaction: a lease on the record, the jti reserved, restore entry
//	        active  -> active       after the AS took them: the new metadata, the jti used up
//	        active  -> active       the AS refused, or the restore entry came due: the old metadata at both
//	DELETE  active  -> deleting     from here on the client can do nothing; the outbox will finish it
//	        deleting -> deleted     after the AS forgot it: record, request and indexes gone, the client_id stays taken
//
// A crash or a lost answer between two steps leaves an outbox entry whose time
// comes: undo for pending, restore for a PUT, delete for deleting. Leases end by
// themselves, and no earlier than the request can have reached the AS.
package registry

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// skew is how long a used token or jti is remembered after its end.
const skew = 2 * time.Minute

// Sealer encrypts secrets before they are stored. context binds a secret to its
// place: what was sealed for one record opens in no other.
type Sealer interface {
	Seal(secret []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Options of a Registry.
type Options struct {
	// Store is the engine. Required; the Registry closes it.
	Store Store
	// Sealer is required.
	Sealer Sealer
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger. Default: none.
	Logger *slog.Logger
}

// Registry is the gateway's system of record. All methods may be called concurrently.
type Registry struct {
	store  Store
	sealer Sealer
	now    func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	loans map[string][]*loan

	wake chan struct{}
	stop context.CancelFunc
	done chan struct{}
}

// Open starts a Registry and its outbox. It does not end with ctx but with Close.
func Open(ctx context.Context, o Options) (*Registry, error) {
	r := &Registry{
		store: o.Store, sealer: o.Sealer, now: o.Now, log: o.Logger,
		loans: map[string][]*loan{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	changed, err := r.store.Watch(ctx, outboxPrefix)
	if err != nil {
		r.stop()
		return nil, err
	}
	go r.runOutbox(ctx, changed)
	return r, nil
}

// Close stops the outbox and closes the store. What the outbox had not finished
// goes on after the next Open.
func (r *Registry) Close() error {
	r.stop()
	<-r.done
	return r.store.Close()
}

// loan is a workspace of one configuration.
type loan struct{ ws Workspace }

// Lend gives the outbox the connector of a workspace until the returned function
// is called. Of several loans the latest counts, so that a reload can lend
// before the old configuration takes back.
func (r *Registry) Lend(ws Workspace) (takeBack func()) {
	l := &loan{ws}
	r.mu.Lock()
	r.loans[ws.Name] = append(r.loans[ws.Name], l)
	r.mu.Unlock()
	r.nudge()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		rest := r.loans[ws.Name][:0:0]
		for _, other := range r.loans[ws.Name] {
			if other != l {
				rest = append(rest, other)
			}
		}
		if len(rest) == 0 {
			delete(r.loans, ws.Name)
			return
		}
		r.loans[ws.Name] = rest
	}
}

func (r *Registry) lent(name string) (Workspace, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.loans[name]
	if len(list) == 0 {
		return Workspace{}, false
	}
	return list[len(list)-1].ws, true
}

// lentNames are the workspaces that are configured now.
func (r *Registry) lentNames() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.loans))
}

func (r *Registry) nudge() {
	select {
	case r.wake <- struct{}{}:
	default: // a signal is waiting already
	}
}

// Documents is the place of one workspace's last good discovery document.
func (r *Registry) Documents(workspace string) Documents {
	return Documents{r, key("discovery", workspace)}
}

// Documents keeps one document in the store.
type Documents struct {
	registry *Registry
	key      string
}

// Load returns the document, or ErrNotFound.
func (d Documents) Load(ctx context.Context) (document []byte, err error) {
	err = d.registry.store.View(ctx, func(v Reader) (err error) {
		document, err = v.Get(d.key)
		return err
	})
	return document, err
}

// Save replaces the document.
func (d Documents) Save(ctx context.Context, document []byte) error {
	return d.registry.store.Update(ctx, func(w Writer) error { return w.Put(d.key, document) })
}

// conclude writes what follows from a call of the AS, also when the time for the
// AS is over or the outbox is about to end.
func (r *Registry) conclude(ctx context.Context, f func(Writer) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeWithin)
	defer cancel()
	return r.store.Update(ctx, f)
}

// get reads a key that may be absent.
func get(r interface{ Get(string) ([]byte, error) }, key string) ([]byte, error) {
	v, err := r.Get(key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return v, err
}
