package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// counted fails unless what is counted in memory is what a scan of the store finds.
func (x *fixture) counted() {
	x.t.Helper()
	counts, err := x.BacklogCounts(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	list, err := x.Backlogs(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	var want []registry.BacklogCount
	for _, b := range list {
		want = append(want, registry.BacklogCount{Workspace: b.Workspace, Waiting: b.Waiting, Oldest: b.Oldest, Discrepancies: b.Discrepancies})
	}
	if !reflect.DeepEqual(counts, want) {
		x.t.Fatalf("counted %+v, there are %+v", counts, want)
	}
	synctest.Wait() // clients are counted in the background
	found := map[string]map[registry.Status]int{}
	for key := range x.values("client/") {
		c := x.record(key)
		if found[c.Workspace] == nil {
			found[c.Workspace] = map[registry.Status]int{}
		}
		found[c.Workspace][c.Status]++
	}
	for _, name := range []string{"default/obuk", "gone/é"} {
		clients, complete := x.ClientCounts([]string{name})
		if n := clients[0].ByStatus; !complete || clients[0].Workspace != name || !maps.Equal(n, found[name]) {
			x.t.Fatalf("clients of %s: counted %v, complete %t; there are %v", name, n, complete, found[name])
		}
	}
}

// record is the client under a key.
func (x *fixture) record(key string) (c registry.Client) {
	x.t.Helper()
	if err := json.Unmarshal([]byte(x.get(key)), &c); err != nil {
		x.t.Fatal(err)
	}
	return c
}

// TestBacklogCountsAsAScan: whatever happens, also to a registry that ends in the middle
// of it, the counters say what is in the store.
func TestBacklogCountsAsAScan(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			x := &fixture{t: t, store: staying{memory.Open(memory.Options{Rerun: true})}, as: newAS(seed%2 == 0)}
			x.ws = registry.Workspace{Name: "default/obuk", Provisioner: x.as}
			other := registry.Workspace{Name: "gone/é", Provisioner: newAS(false)} // nobody attaches it
			var end func()
			open := func() {
				r, err := registry.Open(t.Context(), registry.Options{Store: x.store, Sealer: plain{}})
				if err != nil {
					t.Fatal(err)
				}
				x.Registry = r
				takeBack := r.Attach(x.ws)
				end = func() { takeBack(); _ = r.Close() }
			}
			open()
			defer func() { end() }()
			var ids []string
			for i := range 60 {
				down := refusal.New(refusal.Unavailable, "", "down")
				failures := [][]error{nil, {registry.ErrLost, registry.ErrLost}, {down, down, down}, {registry.ErrDetached, registry.ErrDetached}}
				for _, call := range []string{"create", "update", "delete", "revoke"} {
					x.as.set(func() { x.as.fail[call] = failures[random.IntN(len(failures))] })
				}
				ws, in := x.ws, request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
				if random.IntN(5) == 0 {
					ws = other
				}
				switch id := pick(random, ids); {
				case random.IntN(3) == 0 || id == "":
					if c, err := x.Register(t.Context(), ws, in); err == nil && ws.Name == x.ws.Name {
						ids = append(ids, c.ClientID)
					}
				case random.IntN(2) == 0:
					_, _ = x.Update(t.Context(), x.ws, id, narrower(fmt.Sprint("jti", i)))
				default:
					_ = x.Delete(t.Context(), x.ws, id, presented(fmt.Sprint("management", i)))
				}
				time.Sleep(time.Duration(random.IntN(40)) * time.Second)
				if list, _, err := x.Discrepancies(t.Context(), "", "", 1); err == nil && len(list) > 0 && random.IntN(4) == 0 {
					_ = x.Dismiss(t.Context(), list[0], registry.Act{})
				}
				synctest.Wait()
				x.counted()
				if random.IntN(15) == 0 {
					end()
					open()
					x.counted()
				}
			}
		})
	}
}

func pick(random *rand.Rand, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[random.IntN(len(list))]
}

// walked counts what is read of a store under a prefix, and lets nobody scan it while
// closed.
type walked struct {
	*memory.Store
	prefix string
	scans  atomic.Int32
	closed atomic.Bool
}

func (s *walked) View(ctx context.Context, f func(registry.Reader) error) error {
	return s.Store.View(ctx, func(v registry.Reader) error { return f(walkedReader{v, s}) })
}

type walkedReader struct {
	registry.Reader
	of *walked
}

func (v walkedReader) Scan(prefix, after string, limit int) ([]registry.Entry, error) {
	if v.of.closed.Load() {
		return nil, errors.New("nobody may scan now")
	}
	if strings.HasPrefix(prefix, v.of.prefix) {
		v.of.scans.Add(1)
	}
	return v.Reader.Scan(prefix, after, limit)
}

// TestBacklogCountsReadNothing: however much waits, what is counted is there at once.
func TestBacklogCountsReadNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &walked{Store: memory.Open(memory.Options{})}
		put(t, store, "outbox", 2500, 40*time.Second)
		r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		synctest.Wait()
		store.closed.Store(true)
		defer store.closed.Store(false)
		counts, err := r.BacklogCounts(t.Context())
		if err != nil || len(counts) != 1 || counts[0].Waiting != 2500 || counts[0].Oldest != 7 {
			t.Errorf("%+v, %v; want one workspace with 2500 waiting, the oldest of 7", counts, err)
		}
	})
}

// put leaves entries that are due later.
func put(t *testing.T, store registry.Store, prefix string, n int, later time.Duration) {
	t.Helper()
	for i := range n {
		err := store.Update(t.Context(), func(w registry.Writer) error {
			return w.Put(fmt.Sprintf("%s/%016x/%d", prefix, time.Now().Add(later).UnixNano(), i), []byte(`{"workspace":"default/obuk","kind":"revoke","since":7}`))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestOutboxLooksAtTheFirst: of entries that are due later, however much later, a look
// reads the first page and no more.
func TestOutboxLooksAtTheFirst(t *testing.T) {
	t.Parallel()
	for _, later := range []time.Duration{time.Second, 30 * time.Second, 40 * time.Second, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			store := &walked{Store: memory.Open(memory.Options{}), prefix: "outbox/"}
			put(t, store, "outbox", 65, later)
			r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			synctest.Wait()
			if n := store.scans.Load(); n > 2 {
				t.Errorf("due in %v: %d scans to open the store and to look once, want 2", later, n)
			}
		})
	}
}

// TestOldestEntryBesideOneWithoutTime: an entry of a version that did not say since when it waits hides
// no other.
func TestOldestEntryBesideOneWithoutTime(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		for i, since := range []int64{9, 0, 12, 7, 0} {
			err := x.store.Update(x.t.Context(), func(w registry.Writer) error {
				return w.Put(fmt.Sprintf("outbox/%016x/%d", time.Now().Add(time.Hour).UnixNano(), i), fmt.Appendf(nil, `{"workspace":"default/obuk","kind":"revoke","since":%d}`, since))
			})
			if err != nil {
				x.t.Fatal(err)
			}
		}
		if b := x.backlog(); b.Waiting != 5 || b.Oldest != 7 {
			x.t.Errorf("%+v, want five waiting, the oldest of 7", b)
		}
	})
}
