package registry

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// ClientCounts is how many clients a workspace has, by status. Clients that were deleted
// are not counted: of them only the client_id is left.
type ClientCounts struct {
	Workspace string         `json:"workspace"`
	ByStatus  map[Status]int `json:"by_status"`
}

// ClientCounts counts the clients of every configured workspace, in the order of names. It
// reads nothing. complete is false while the clients are still being counted, in the seconds
// after the store was opened, and for a store that is not Exclusive, which has no counts.
func (r *Registry) ClientCounts(workspaces []string) (counts []ClientCounts, complete bool) {
	for _, name := range workspaces {
		counts = append(counts, ClientCounts{Workspace: name, ByStatus: map[Status]int{}})
	}
	if r.clients == nil {
		return counts, false
	}
	found, complete := r.clients.all()
	for place, n := range found {
		for _, c := range counts {
			if c.Workspace == place.workspace && n != 0 {
				c.ByStatus[place.status] += n
			}
		}
	}
	return counts, complete
}

// clientCounts counts the client records. They are counted in the background, page by page,
// because reading all of them takes seconds; an update changes the count of what is counted
// already.
type clientCounts struct {
	// pages is held for reading by each update, and for writing while a page is counted: so an
	// update comes before or after a page, as a whole.
	pages sync.RWMutex
	// upTo is the key up to which clients are counted.
	upTo string
	// complete: all are.
	complete atomic.Bool

	mu sync.Mutex
	n  map[clientPlace]int
}

// clientPlace is what clients have in common that are counted together.
type clientPlace struct {
	workspace string
	status    Status
}

// newClientCounts is nil for a store that others can change meanwhile.
func newClientCounts(s Store) *clientCounts {
	if _, ok := s.(Exclusive); !ok {
		return nil
	}
	return &clientCounts{n: map[clientPlace]int{}}
}

// countedPage is how many records are read while updates wait, in about 10 ms.
const countedPage = 1000

// runClientCounts counts the clients until all are counted, or ctx ends.
func (r *Registry) runClientCounts(ctx context.Context) {
	defer close(r.counted)
	if r.clients == nil {
		return
	}
	for ctx.Err() == nil {
		done, err := r.clients.countPage(ctx, r.store)
		if err != nil && ctx.Err() == nil {
			r.log.Error("cannot count the clients; the status shows no counts until the next start", slog.Any("error", err))
		}
		if done || err != nil {
			return
		}
	}
}

// countPage counts the next page.
func (c *clientCounts) countPage(ctx context.Context, s Store) (done bool, err error) {
	c.pages.Lock()
	defer c.pages.Unlock()
	var entries []Entry
	err = s.View(ctx, func(v Reader) (err error) {
		entries, err = v.Scan(clientPrefix, c.upTo, countedPage)
		return err
	})
	if err != nil {
		return false, err
	}
	page := map[clientPlace]int{}
	for _, e := range entries {
		page[clientPlaceOf(e.Key, e.Value)]++
		c.upTo = e.Key
	}
	c.add(page)
	c.complete.Store(len(entries) < countedPage)
	return c.complete.Load(), nil
}

// counts tells whether an update of this key changes a count. The caller holds pages.
func (c *clientCounts) counts(key string) bool {
	return c != nil && strings.HasPrefix(key, clientPrefix) && (c.complete.Load() || key <= c.upTo)
}

func (c *clientCounts) add(changes map[clientPlace]int) {
	if c == nil || len(changes) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, n := range changes {
		c.n[p] += n
	}
}

func (c *clientCounts) all() (n map[clientPlace]int, complete bool) {
	complete = c.complete.Load() // before the rest: what it says is then in n
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n), complete
}

// clientPlaceOf is where a record counts. It looks for the status alone: decoding the whole
// record would cost each registration more than all the rest of counting. The text it looks
// for is in no value before the status, where a quote is escaped.
func clientPlaceOf(key string, record []byte) (p clientPlace) {
	workspace, _, _ := strings.Cut(key[len(clientPrefix):], "/")
	p.workspace, _ = url.PathUnescape(workspace)
	if _, rest, ok := bytes.Cut(record, []byte(`,"status":"`)); ok {
		status, _, _ := bytes.Cut(rest, []byte(`"`))
		p.status = Status(status)
	}
	return p
}
