package registry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

// current is a Lookup whose Reading counts.
func (x *fixture) current(clientID string) registry.Reading {
	x.t.Helper()
	_, v, err := x.Lookup(x.t.Context(), x.ws.Name, clientID)
	if err != nil || !x.Unchanged(v) {
		x.t.Fatalf("%v, unchanged %t", err, x.Unchanged(v))
	}
	return v
}

// TestUnchanged: once a call has returned that changes what the guard decides, what
// was read before counts no more.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ctx := x.t.Context()
		from := time.Now()
		c := x.registered("jti1", certificate(x.t, "tpp", from))
		of := func(kind, value string) registry.Suspension {
			return registry.Suspension{Workspace: x.ws.Name, Kind: kind, Value: value}
		}
		changes := func(what string, f func() error) {
			x.t.Helper()
			v := x.current(c.ClientID)
			if err := f(); err != nil || x.Unchanged(v) {
				x.t.Errorf("%s: %v, unchanged %t", what, err, x.Unchanged(v))
			}
		}
		for _, s := range []registry.Suspension{
			of(registry.SuspendClient, c.ClientID), of(registry.SuspendSoftware, c.SoftwareID), of(registry.SuspendOrganisation, c.OrgID), of(registry.SuspendDirectory, c.Directory),
		} {
			changes("suspended by "+s.Kind, func() error { return x.Suspend(ctx, s) })
			changes("resumed by "+s.Kind, func() error { return x.Resume(ctx, s) })
		}
		changes("updated", func() error {
			_, err := x.Update(ctx, x.ws, c.ClientID, narrower("jti2"))
			return err
		})
		changes("renewed", func() error {
			_, err := x.Renew(ctx, x.ws, c.ClientID, certificate(x.t, "new", from.Add(time.Hour)))
			return err
		})
		changes("deleted", func() error { return x.Delete(ctx, x.ws, c.ClientID, registry.Presented{}) })
		if c, v, err := x.Lookup(ctx, x.ws.Name, c.ClientID); err != nil || c.Status != registry.Deleted || x.Unchanged(v) {
			x.t.Errorf("a deleted client: %v, unchanged %t", err, x.Unchanged(v))
		}
		if _, v, err := x.Lookup(ctx, x.ws.Name, "nobody"); !errors.Is(err, registry.ErrNotFound) || x.Unchanged(v) {
			x.t.Errorf("no client: %v, unchanged %t", err, x.Unchanged(v))
		}
	})
}

// TestUnchangedByOthers: another client's changes are no reason to read again, but for
// the few that share a counter.
func TestUnchangedByOthers(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		var all []registry.Reading
		for _, jti := range []string{"1", "2", "3", "4", "5", "6"} {
			all = append(all, x.current(x.register(request(jti, "")).ClientID))
		}
		x.register(request("7", ""))
		unchanged := 0
		for _, v := range all {
			if x.Unchanged(v) {
				unchanged++
			}
		}
		if unchanged < 3 {
			x.t.Errorf("%d of %d are unchanged", unchanged, len(all))
		}
	})
}

// TestUnchangedAtOnce: whatever a Lookup has read beside a change, it counts for no
// more than the change allows.
func TestUnchangedAtOnce(t *testing.T) {
	t.Parallel()
	r, err := registry.Open(t.Context(), registry.Options{Store: memory.Open(memory.Options{}), Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ws := registry.Workspace{Name: "default/obuk", Provisioner: newAS(true)}
	c, err := r.Register(t.Context(), ws, request("jti", ""))
	if err != nil {
		t.Fatal(err)
	}
	s := registry.Suspension{Workspace: ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}
	for round := range 250 {
		change, suspended := r.Suspend, true
		if round%2 == 1 {
			change, suspended = r.Resume, false
		}
		var looking sync.WaitGroup
		var stale, changed atomic.Int64
		var done atomic.Bool
		for range 4 {
			looking.Go(func() {
				for range 8 {
					before := done.Load()
					c, v, err := r.Lookup(t.Context(), ws.Name, c.ClientID)
					if err != nil {
						t.Error(err)
						return
					}
					looking.Go(func() { // a guard that comes back to it
						for !done.Load() {
							time.Sleep(time.Microsecond)
						}
						if c.Suspended != suspended && r.Unchanged(v) {
							stale.Add(1)
						}
					})
					if before && c.Suspended != suspended {
						changed.Add(1)
					}
				}
			})
		}
		if err := change(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		done.Store(true)
		wait.ForGroup(t, &looking, "calls at the same time")
		if stale.Load() > 0 || changed.Load() > 0 {
			t.Fatalf("round %d: %d readings from before count, %d look-ups found what was before", round, stale.Load(), changed.Load())
		}
	}
}

// TestUnchangedCountsAll: Client reads nothing of a client but what is counted.
func TestUnchangedCountsAll(t *testing.T) {
	t.Parallel()
	store := &reads{Store: memory.Open(memory.Options{})}
	r, err := registry.Open(t.Context(), registry.Options{Store: store, Sealer: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ws := registry.Workspace{Name: "ws", Provisioner: newAS(true)}
	c, err := r.Register(t.Context(), ws, request("jti", ""))
	if err != nil {
		t.Fatal(err)
	}
	store.keys = nil
	if _, err := r.Client(t.Context(), ws.Name, c.ClientID); err != nil {
		t.Fatal(err)
	}
	want := []string{"id/ws/" + c.ClientID, "client/ws/" + c.ID, "suspended/ws/client/" + c.ClientID, "suspended/ws/software/software1", "suspended/ws/organisation/org1", "suspended/ws/directory/OpenBanking%20Ltd"}
	if !slices.Equal(store.keys, want) {
		t.Errorf("Client reads %q; see generations.written before anything else than %q", store.keys, want)
	}
}

// reads is a store that notes what is read in views.
type reads struct {
	registry.Store
	keys []string
}

type noted struct {
	registry.Reader
	of *reads
}

func (s *reads) View(ctx context.Context, f func(registry.Reader) error) error {
	return s.Store.View(ctx, func(v registry.Reader) error { return f(noted{v, s}) })
}

func (n noted) Get(key string) ([]byte, error) {
	n.of.keys = append(n.of.keys, key)
	return n.Reader.Get(key)
}

// shared is a store that others may write to.
type shared struct{ registry.Store }

// failing is a store whose commits fail while it is told so.
type failing struct {
	*memory.Store
	fails bool
}

var errDisk = errors.New("disk")

func (s *failing) Update(ctx context.Context, f func(registry.Writer) error) error {
	err := s.Store.Update(ctx, f)
	if s.fails {
		return errors.Join(err, errDisk)
	}
	return err
}

// TestUnchangedOfStores: a Reading counts only where every write is seen, and where
// the outcome of every commit is known.
func TestUnchangedOfStores(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ctx := x.t.Context()
		c := x.register(request("jti", ""))
		v := x.current(c.ClientID)
		open := func(s registry.Store) *registry.Registry {
			r, err := registry.Open(ctx, registry.Options{Store: s, Sealer: plain{}})
			if err != nil {
				x.t.Fatal(err)
			}
			return r
		}
		store := &failing{Store: memory.Open(memory.Options{})}
		r := open(store)
		defer r.Close()
		if r.Unchanged(v) || r.Unchanged(registry.Reading{}) {
			x.t.Error("a reading of another registry counts")
		}
		c, err := r.Register(ctx, x.ws, request("jti", ""))
		if err != nil {
			x.t.Fatal(err)
		}
		_, v, err = r.Lookup(ctx, x.ws.Name, c.ClientID)
		if err != nil || !r.Unchanged(v) {
			x.t.Fatal(err)
		}
		store.fails = true
		if err := r.Documents("x", "https://as.example").Save(ctx, []byte("y")); !errors.Is(err, errDisk) || r.Unchanged(v) {
			x.t.Errorf("after a commit that failed: %v, unchanged %t", err, r.Unchanged(v))
		}
		store.fails = false
		other := open(shared{memory.Open(memory.Options{})})
		defer other.Close()
		if c, err = other.Register(ctx, x.ws, request("jti", "")); err != nil {
			x.t.Fatal(err)
		}
		if _, v, err := other.Lookup(ctx, x.ws.Name, c.ClientID); err != nil || other.Unchanged(v) {
			x.t.Errorf("of a store that is not exclusive: %v, unchanged %t", err, other.Unchanged(v))
		}
	})
}
