package registry

import (
	"context"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"
)

// Exclusive is what a Store says whose data nobody else can change while it is open.
type Exclusive interface{ Exclusive() }

// Reading names what the store held when a client was looked up. The zero value is
// of no store.
type Reading struct {
	id, record uint32
	sum        uint64
}

// Lookup is Client, and says what it has read.
func (r *Registry) Lookup(ctx context.Context, workspace, clientID string) (*Client, Reading, error) {
	before := r.generations.total.Load()
	c, err := r.Client(ctx, workspace, clientID)
	if err != nil || c.Status == Deleted {
		return c, Reading{}, err
	}
	return c, r.generations.reading(key("id", workspace, clientID), clientKey(c), before), nil
}

// Unchanged tells whether Lookup would find the same again. It does not from when a
// call has returned that changed, suspended or deleted the client. It is false, too,
// where the store is not Exclusive, and for another Registry's Reading.
func (r *Registry) Unchanged(v Reading) bool {
	return v.sum != 0 && v.sum == r.generations.sum(v.id, v.record)
}

// generations count the writes to what Client reads, key by key, many keys to one
// counter. All of them only grow, so that the sum of some is the same only while
// each of them is.
type generations struct {
	seed maphash.Seed
	// all counts suspensions, and commits whose outcome is not known. It begins where no
	// other Registry of the process gets; 0 where nobody counts.
	all atomic.Uint64
	// total grows before any other.
	total atomic.Uint64
	slots [1 << 14]atomic.Uint64
}

var registries atomic.Uint64

// newGenerations counts for a store that is Exclusive.
func newGenerations(s Store) *generations {
	g := &generations{seed: maphash.MakeSeed()}
	if _, ok := s.(Exclusive); ok {
		g.all.Store(registries.Add(1) << 40)
	}
	return g
}

func (g *generations) slot(key string) uint32 {
	return uint32(maphash.String(g.seed, key) % uint64(len(g.slots)))
}

func (g *generations) sum(id, record uint32) uint64 {
	return g.all.Load() + g.slots[id].Load() + g.slots[record].Load()
}

// reading is of a view that began after total was before. Which counters count is
// known only after it: a write in between is in them already, but not in what was read.
func (g *generations) reading(id, record string, before uint64) Reading {
	v := Reading{id: g.slot(id), record: g.slot(record)}
	v.sum = g.sum(v.id, v.record)
	if g.all.Load() == 0 || g.total.Load() != before {
		return Reading{}
	}
	return v
}

// written counts an update that wrote the keys. failed: the store may hold them or not.
func (g *generations) written(keys []string, failed bool) {
	if g.all.Load() == 0 || len(keys) == 0 && !failed {
		return
	}
	g.total.Add(1)
	if failed {
		g.all.Add(1)
	}
	for _, k := range keys {
		if strings.HasPrefix(k, suspendedPrefix) {
			g.all.Add(1)
		} else {
			g.slots[g.slot(k)].Add(1)
		}
	}
}

// counting is a Store whose updates are counted before they return.
type counting struct {
	Store
	generations *generations
	backlog     *backlogCounts // nil where nobody counts
	clients     *clientCounts  // nil where nobody counts
}

func (s counting) Update(ctx context.Context, f func(Writer) error) error {
	if s.clients != nil {
		s.clients.pages.RLock()
		defer s.clients.pages.RUnlock()
	}
	var made noted
	willing := false // f has run, and wants its writes to be made
	err := s.Store.Update(ctx, func(w Writer) error {
		made.keys, made.backlog, made.clients = made.keys[:0], nil, nil
		err := f(noting{w, s.backlog, s.clients, &made})
		willing = err == nil
		return err
	})
	s.generations.written(made.keys, willing && err != nil)
	if err == nil {
		s.backlog.add(made.backlog)
		s.clients.add(made.clients)
	}
	return err
}

// noted is what a transaction writes, as far as it is counted.
type noted struct {
	// keys are those that Client reads.
	keys []string
	// backlog and clients are how many more, or fewer, of each there are.
	backlog map[backlogPlace]int
	clients map[clientPlace]int
}

// noting notes what is counted.
type noting struct {
	Writer
	backlog *backlogCounts
	clients *clientCounts
	made    *noted
}

// What Client reads, see keys.go.
const (
	clientPrefix    = "client/"
	idPrefix        = "id/"
	suspendedPrefix = "suspended/"
)

func (w noting) note(key string) {
	if strings.HasPrefix(key, clientPrefix) || strings.HasPrefix(key, idPrefix) || strings.HasPrefix(key, suspendedPrefix) {
		w.made.keys = append(w.made.keys, key)
	}
}

// counts tells whether it matters what was under a key.
func (w noting) counts(key string) bool { return w.backlog.counts(key) || w.clients.counts(key) }

// leaves counts off what is under a key until now.
func (w noting) leaves(key string) error {
	if !w.counts(key) {
		return nil
	}
	before, err := get(w.Writer, key)
	if err == nil && before != nil {
		w.count(key, before, -1)
	}
	return err
}

func (w noting) count(key string, value []byte, n int) {
	if strings.HasPrefix(key, clientPrefix) {
		if w.made.clients == nil {
			w.made.clients = map[clientPlace]int{}
		}
		w.made.clients[clientPlaceOf(key, value)] += n
		return
	}
	if w.made.backlog == nil {
		w.made.backlog = map[backlogPlace]int{}
	}
	w.made.backlog[placeOf(key, value)] += n
}

func (w noting) Put(key string, value []byte) error {
	w.note(key)
	if err := w.leaves(key); err != nil {
		return err
	}
	if w.counts(key) {
		w.count(key, value, 1)
	}
	return w.Writer.Put(key, value)
}

// PutExpiring counts nothing: no client and nothing of the backlog ends by itself.
func (w noting) PutExpiring(key string, value []byte, expires time.Time) error {
	w.note(key)
	return w.Writer.PutExpiring(key, value, expires)
}

func (w noting) Delete(key string) error {
	w.note(key)
	if err := w.leaves(key); err != nil {
		return err
	}
	return w.Writer.Delete(key)
}
