package registry

import "sync"

const (
	// outboxWorkers is how many entries are carried out at the same time.
	outboxWorkers = 8
	// mostQueued is how many entries of one group are queued, mostKnown how many of all
	// are queued or at work: what is more waits in the store.
	mostQueued = 64
	mostKnown  = 4096
)

// outboxQueue hands entries to the workers, one of a group at a time and the groups in
// turn: 64 entries of one organisation for which the AS hangs once kept all workers from
// everybody else's.
type outboxQueue struct {
	carryOut func(key string)
	// again asks for another look at the store, where more waits than was taken.
	again func()

	mu      sync.Mutex
	stopped bool
	// known are the keys that are queued or at work, groups those with any of them.
	known  map[string]bool
	groups map[string]*outboxGroup
	// ready are the groups with something queued and nothing at work.
	ready   []*outboxGroup
	workers int
	missed  bool
	running sync.WaitGroup
}

type outboxGroup struct {
	name string
	keys []string
}

func newOutboxQueue(carryOut func(key string), again func()) *outboxQueue {
	return &outboxQueue{carryOut: carryOut, again: again, known: map[string]bool{}, groups: map[string]*outboxGroup{}}
}

// offer queues an entry, unless it is known or there is no room. Only the one who stops
// the queue may call it.
func (q *outboxQueue) offer(group, key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped || q.known[key] {
		return
	}
	g := q.groups[group]
	if len(q.known) >= mostKnown || g != nil && len(g.keys) >= mostQueued {
		q.missed = true
		return
	}
	q.known[key] = true
	if g == nil {
		g = &outboxGroup{name: group}
		q.groups[group] = g
		q.ready = append(q.ready, g)
	}
	g.keys = append(g.keys, key)
	if q.workers < outboxWorkers && len(q.ready) > 0 {
		q.workers++
		q.running.Go(q.work)
	}
}

// work carries out entries until no group is ready.
func (q *outboxQueue) work() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) > 0 && !q.stopped {
		g := q.ready[0]
		q.ready = q.ready[1:]
		key := g.keys[0]
		g.keys = g.keys[1:]
		q.mu.Unlock()
		q.carryOut(key)
		q.mu.Lock()
		delete(q.known, key)
		if len(g.keys) > 0 {
			q.ready = append(q.ready, g)
			continue
		}
		delete(q.groups, g.name)
		if q.missed {
			q.missed = false
			q.again()
		}
	}
	q.workers--
}

// stop begins nothing more, and waits for what has begun.
func (q *outboxQueue) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.running.Wait()
}
