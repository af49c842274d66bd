package registry

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Marks of used clients are kept in memory and written in the background, spread over
// useRound by a hash of the client: at midnight all clients are used for the first time of
// the day at once, and their marks must not be written at once. What a crash loses is marks
// that are not older than that.
const (
	useSets = 1 << 13
	useWays = 16
	// useShards have a lock each, and so many marks at most that wait to be written.
	useShards         = 64
	maxWaitingOfShard = 512
	// useRound is how long writing all of them takes, useStep how many sets are written at
	// once.
	useRound = 15 * time.Minute
	useStep  = 8
	// useFlush is what writing the marks may take at the end.
	useFlush = 10 * time.Second
)

// useMarks are the clients that were used, of a hundred thousand nearly all: 4 MiB from the
// first one on, and some 300 bytes for each mark that waits.
type useMarks struct {
	once   sync.Once
	seeds  [2]maphash.Seed
	shards [useShards]useShard
	sets   [][useWays]useMark // each under the lock of the shard of its number
	wake   chan struct{}
	lost   atomic.Uint64
}

type useShard struct {
	sync.Mutex
	waiting int
}

// useMark is a client, by 128 bits of a keyed hash, and the day of its mark. waits is nil
// once that is written.
type useMark struct {
	name  [2]uint64
	day   int64
	waits *waitingUse
}

// waitingUse is a mark that is to be written, as the store gets it: of thousands that wait
// the garbage collector looks at little. It does not change.
type waitingUse struct {
	workspace, clientID string
	day                 int64
	record              []byte
}

// newWaitingUse keeps nothing of the request alive.
func newWaitingUse(workspace, clientID string, cert *verify.Certificate, day int64) *waitingUse {
	record, _ := json.Marshal(Use{Schema: schema, Day: day, Certificate: seenCertificate(cert)}) // of strings and numbers: it cannot fail
	return &waitingUse{workspace, strings.Clone(clientID), day, record}
}

type useName struct{ workspace, clientID string }

func newUseMarks() *useMarks { return &useMarks{wake: make(chan struct{}, 1)} }

func (m *useMarks) find(workspace, clientID string) (name [2]uint64, set *[useWays]useMark, shard *useShard) {
	m.once.Do(func() {
		m.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
		m.sets = make([][useWays]useMark, useSets)
	})
	for i, seed := range m.seeds {
		name[i] = maphash.Comparable(seed, useName{workspace, clientID})
	}
	n := name[0] % useSets
	return name, &m.sets[n], &m.shards[n%useShards]
}

// MarkUsed notes that a client was used on a day, see DayOf. The caller has authenticated it.
// It reads nothing, does not wait for a write, and costs next to nothing where the client was
// marked on that day: one day has one mark. Where too many marks wait to be written, or too
// many clients share a place in memory, the mark is left out, and the next use tries again.
func (r *Registry) MarkUsed(workspace, clientID string, cert *verify.Certificate, day int64) {
	if r.uses.mark(workspace, clientID, cert, day) {
		select {
		case r.uses.wake <- struct{}{}:
		default: // a signal is waiting already
		}
	}
}

// LostUses is how many marks were left out since the store was opened.
func (r *Registry) LostUses() uint64 { return r.uses.lost.Load() }

// mark tells whether there is one more to be written.
func (m *useMarks) mark(workspace, clientID string, cert *verify.Certificate, day int64) bool {
	name, set, shard := m.find(workspace, clientID)
	shard.Lock()
	defer shard.Unlock()
	at := place(set, name, day)
	if at >= 0 && set[at].name == name && set[at].day == day {
		return false
	}
	if at < 0 || set[at].waits == nil && shard.waiting >= maxWaitingOfShard {
		m.lost.Add(1)
		return false
	}
	if set[at].waits == nil {
		shard.waiting++
	}
	set[at] = useMark{name, day, newWaitingUse(workspace, clientID, cert, day)}
	return true
}

// place is that of a client, or one for it: free, of another day, or any that is written;
// -1 for none.
func place(set *[useWays]useMark, name [2]uint64, day int64) int {
	old, written := -1, -1
	for i := range set {
		switch one := &set[i]; {
		case one.name == name:
			return i
		case one.waits != nil:
		case one.day != day:
			old = i
		default:
			written = i
		}
	}
	if old >= 0 {
		return old
	}
	return written
}

// waiting is the mark of a client that is to be written, nil for none.
func (m *useMarks) waiting(workspace, clientID string) *Use {
	name, set, shard := m.find(workspace, clientID)
	shard.Lock()
	defer shard.Unlock()
	for i := range set {
		if one := &set[i]; one.name == name && one.waits != nil {
			if use, err := readUse(one.waits.record); err == nil {
				return use
			}
		}
	}
	return nil
}

// take are the marks of a set that are to be written.
func (m *useMarks) take(set int, to []*waitingUse) []*waitingUse {
	shard := &m.shards[set%useShards]
	shard.Lock()
	defer shard.Unlock()
	for i := range m.sets[set] {
		if waits := m.sets[set][i].waits; waits != nil {
			to = append(to, waits)
		}
	}
	return to
}

// written takes marks that were written off those that wait, unless a later one has come.
func (m *useMarks) written(marks []*waitingUse) {
	for _, one := range marks {
		_, set, shard := m.find(one.workspace, one.clientID)
		shard.Lock()
		for i := range set {
			if set[i].waits == one {
				set[i].waits = nil
				shard.waiting--
			}
		}
		shard.Unlock()
	}
}

// wait tells whether marks wait.
func (m *useMarks) wait() bool {
	for i := range m.shards {
		m.shards[i].Lock()
		n := m.shards[i].waiting
		m.shards[i].Unlock()
		if n > 0 {
			return true
		}
	}
	return false
}

// runUses writes marks until ctx ends, and then those that are left.
func (r *Registry) runUses(ctx context.Context) {
	defer close(r.usesEnded)
	for {
		select {
		case <-r.uses.wake:
		case <-ctx.Done():
			r.flushUses()
			return
		}
		for failing := false; r.uses.wait(); {
			for set := 0; set < useSets && pause(ctx, useRound/(useSets/useStep)); set += useStep {
				failing = r.writeSets(ctx, set, failing)
			}
			if ctx.Err() != nil {
				r.flushUses()
				return
			}
		}
	}
}

// writeSets writes the marks of useStep sets. failing: it did not succeed the last time.
func (r *Registry) writeSets(ctx context.Context, first int, failing bool) bool {
	var marks []*waitingUse
	for set := first; set < first+useStep; set++ {
		marks = r.uses.take(set, marks)
	}
	if len(marks) == 0 {
		return failing
	}
	err := r.writeUses(ctx, marks)
	if err != nil && ctx.Err() == nil && !failing {
		r.log.Warn("cannot store on which day clients were used; tries again in some minutes", slog.Any("error", err))
	}
	return err != nil
}

// flushUses writes all that wait, at the end.
func (r *Registry) flushUses() {
	if !r.uses.wait() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), useFlush)
	defer cancel()
	for set := 0; set < useSets; set += useStep {
		if r.writeSets(ctx, set, false) && ctx.Err() != nil {
			r.log.Warn("stops storing on which day clients were used, because it takes too long; some marks of this day are lost")
			return
		}
	}
}

// writeUses writes marks, in transactions of as many as one may have.
func (r *Registry) writeUses(ctx context.Context, marks []*waitingUse) error {
	for len(marks) > 0 {
		some := marks[:min(len(marks), MaxUpdateKeys)]
		marks = marks[len(some):]
		err := r.store.Update(ctx, func(w Writer) error {
			for _, one := range some {
				if err := one.put(w); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.uses.written(some)
	}
	return nil
}

// put writes the mark, unless its client was deleted meanwhile, or that day is written: after
// a restart memory does not know it. A later day than this one is of a clock that was wrong.
func (u *waitingUse) put(w Writer) error {
	id, err := get(w, key("id", u.workspace, u.clientID))
	if err != nil || len(id) == 0 {
		return err
	}
	k := useKey(u.workspace, u.clientID)
	data, err := get(w, k)
	if err != nil {
		return err
	}
	if data != nil {
		if before, err := readUse(data); err == nil && before.Day == u.day {
			return nil
		}
	}
	return w.Put(k, u.record)
}
