package registry

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// BacklogCount is a Backlog as far as it is counted in memory.
type BacklogCount struct {
	Workspace string
	// Waiting and Oldest are those of Backlog, Discrepancies counts them by kind.
	Waiting       int
	Oldest        int64
	Discrepancies map[string]int
}

// BacklogCounts is Backlogs without what the attempts said. It reads nothing of a store
// that is Exclusive, so that it has an answer at once however much waits, also in an
// outage of the AS that lasts; of another store it reads all that Backlogs reads.
func (r *Registry) BacklogCounts(ctx context.Context) ([]BacklogCount, error) {
	if r.backlog == nil {
		return r.scanCounts(ctx)
	}
	found := r.backlog.byWorkspace(r.now())
	for _, name := range r.attachedNames() {
		if found[name] == nil {
			found[name] = &BacklogCount{Workspace: name}
		}
	}
	counts := make([]BacklogCount, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		counts = append(counts, *found[name])
	}
	return counts, nil
}

func (r *Registry) scanCounts(ctx context.Context) ([]BacklogCount, error) {
	list, err := r.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	counts := make([]BacklogCount, len(list))
	for i, b := range list {
		counts[i] = BacklogCount{Workspace: b.Workspace, Waiting: b.Waiting, Oldest: b.Oldest, Discrepancies: b.Discrepancies}
	}
	return counts, nil
}

// backlogCounts counts the entries of the outbox and the discrepancies. It is made from the
// store when that is opened, and changed with each commit after it. A transaction counts
// what it found under a key against what it puts there: such differences add up to the
// same in whatever order they come.
type backlogCounts struct {
	mu sync.Mutex
	n  map[backlogPlace]int
}

// backlogPlace is what entries have in common that are counted together. Those of the
// outbox differ by the second in which they were made, and leases by their end too:
// there are only as many as requests at work.
type backlogPlace struct {
	workspace string
	// discrepancy is the kind of one; empty for the outbox.
	discrepancy string
	since       int64
	leased      bool
	due         time.Time
}

// backlogPrefixes are where the store has what is counted.
var backlogPrefixes = []string{outboxPrefix, laterPrefix, discrepancyPrefix}

// newBacklogCounts reads the store; nil for one that others can change meanwhile.
func newBacklogCounts(ctx context.Context, s Store) (*backlogCounts, error) {
	if _, ok := s.(Exclusive); !ok {
		return nil, nil
	}
	c := &backlogCounts{n: map[backlogPlace]int{}}
	for _, prefix := range backlogPrefixes {
		for e, err := range walk(ctx, s, prefix, backlogPage) {
			if err != nil {
				return nil, err
			}
			c.n[placeOf(e.Key, e.Value)]++
		}
	}
	return c, nil
}

// placeOf is where an entry counts. What cannot be read counts for the workspace "".
func placeOf(key string, value []byte) (p backlogPlace) {
	if rest, ok := strings.CutPrefix(key, discrepancyPrefix); ok {
		workspace, rest, _ := strings.Cut(rest, "/")
		kind, _, _ := strings.Cut(rest, "/")
		p.workspace, _ = url.PathUnescape(workspace)
		p.discrepancy, _ = url.PathUnescape(kind)
		return p
	}
	var k struct {
		Workspace string `json:"workspace"`
		Since     int64  `json:"since"`
	}
	if err := json.Unmarshal(value, &k); err == nil {
		p.workspace, p.since = k.Workspace, k.Since
	}
	if strings.HasPrefix(key, laterPrefix) {
		p.leased, p.due = true, outboxDue(key)
	}
	return p
}

// byWorkspace adds up what is there now: of leases those that have ended.
func (c *backlogCounts) byWorkspace(now time.Time) map[string]*BacklogCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string]*BacklogCount{}
	for p, n := range c.n {
		if p.leased && p.due.After(now) {
			continue
		}
		b := found[p.workspace]
		if b == nil {
			b = &BacklogCount{Workspace: p.workspace}
			found[p.workspace] = b
		}
		if p.discrepancy != "" {
			if b.Discrepancies == nil {
				b.Discrepancies = map[string]int{}
			}
			b.Discrepancies[p.discrepancy] += n
			continue
		}
		b.Waiting += n
		b.Oldest = older(b.Oldest, p.since)
	}
	return found
}

// older is the earlier of two times of which 0 is not known: entries of the first
// versions do not say when they were made.
func older(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// add counts what a transaction has changed.
func (c *backlogCounts) add(changes map[backlogPlace]int) {
	if c == nil || len(changes) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, n := range changes {
		if c.n[p] += n; c.n[p] == 0 {
			delete(c.n, p)
		}
	}
}

// counts tells whether a key is one of those that are counted.
func (c *backlogCounts) counts(key string) bool {
	return c != nil && slices.ContainsFunc(backlogPrefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}
