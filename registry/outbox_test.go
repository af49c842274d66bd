package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// staying is a store that outlives its registry, as a disk does.
type staying struct{ *memory.Store }

func (staying) Close() error { return nil }

// An orderly end waits for the AS's answer: cut off, it would be a lost one, and
// the credentials in it lost with it.
func TestCloseInARestore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := &fixture{t: t, store: staying{memory.Open(memory.Options{})}, as: newAS(false)}
		x.ws = registry.Workspace{Name: "default/obuk", Provisioner: x.as}
		open := func() (end func()) {
			r, err := registry.Open(t.Context(), registry.Options{Store: x.store, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			x.Registry = r
			takeBack := r.Attach(x.ws)
			return func() {
				takeBack()
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		end := open()
		c := x.register(request("jti1", ""))
		x.as.fail["update"] = []error{registry.ErrLost}
		if _, err := x.Update(t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
			t.Fatal("taken")
		}
		x.as.answersAfter(2 * time.Second)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait() // the restoration has been carried out and is not answered yet
		end()

		end = open()
		x.as.answersAfter(0)
		if _, err := x.Update(t.Context(), x.ws, c.ClientID, narrower("jti3")); err != nil {
			t.Errorf("with the credentials that the AS rotated at the end: %v", err)
		}
		x.settle()
		x.together(c.ClientID, "openid")
		end()
	})
}

// However much another workspace's AS leaves undone, this one's work has its turn.
func TestOutboxOfAHangingServer(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		down := refusal.New(refusal.Unavailable, "", "down")
		hanging := newAS(true)
		hanging.hangs = true
		other := registry.Workspace{Name: "default/other", Provisioner: hanging}
		takeBack := x.Attach(other)
		var group sync.WaitGroup
		for i := range 500 {
			group.Go(func() {
				if _, err := x.Register(x.t.Context(), other, request(fmt.Sprint("other", i), "")); err == nil {
					t.Error("registered")
				}
			})
		}
		wait.ForGroup(t, &group, "calls at the same time")
		c := x.register(request("jti1", ""))
		time.Sleep(2 * time.Hour)
		x.as.mu.Lock()
		x.as.fail["delete"] = []error{down}
		x.as.mu.Unlock()
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if x.as.count() != 0 {
			t.Error("a deleted client is alive at its AS")
		}
		takeBack()
	})
}

// hangingFor is an AS that hangs for the clients and tokens of some organisations.
type hangingFor struct {
	*as
	mu sync.Mutex
	// for whom, and how many calls of each are at work now and were at most.
	of         map[string]bool
	now, most  int
	mostOfEach map[string]int
	each       map[string]int
}

func (h *hangingFor) Revoke(ctx context.Context, v registry.Revocation) error {
	h.mu.Lock()
	h.now++
	h.each[v.Organisation]++
	h.most, h.mostOfEach[v.Organisation] = max(h.most, h.now), max(h.mostOfEach[v.Organisation], h.each[v.Organisation])
	hangs := h.of[v.Organisation]
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.now--
		h.each[v.Organisation]--
	}()
	if hangs {
		<-ctx.Done()
		return registry.ErrLost
	}
	return h.as.Revoke(ctx, v)
}

func newHangingFor(a *as, organisations ...string) *hangingFor {
	h := &hangingFor{as: a, of: map[string]bool{}, mostOfEach: map[string]int{}, each: map[string]int{}}
	for _, o := range organisations {
		h.of[o] = true
	}
	return h
}

// leave leaves revocations of an organisation to the outbox.
func (x *fixture) leave(ws registry.Workspace, organisation string, n int) {
	x.t.Helper()
	for i := range n {
		p := presented(fmt.Sprint(organisation, " token ", i))
		p.Organisation = organisation
		if err := x.EndToken(x.t.Context(), ws, p); err != nil {
			x.t.Fatal(err)
		}
	}
}

// TestOutboxOfOneOrganisation: however much of one organisation hangs, it has one
// worker, and what the others have left to do is done meanwhile.
func TestOutboxOfOneOrganisation(t *testing.T) {
	t.Parallel()
	for name, hostile := range map[string]string{"of one organisation": "hostile", "of nobody": ""} {
		t.Run(name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				h := newHangingFor(x.as, hostile)
				ws := x.ws
				ws.Provisioner = h
				defer x.Attach(ws)()
				x.leave(ws, hostile, 300)
				x.settle()
				for i := range 20 {
					x.leave(ws, fmt.Sprint("org", i), 10)
				}
				x.settle()
				if got := x.as.ended(); got != 200 {
					t.Errorf("%d of the others' 200 tokens are revoked", got)
				}
				if h.mostOfEach[hostile] != 1 || h.most > 8 {
					t.Errorf("%d workers for one organisation, %d in all", h.mostOfEach[hostile], h.most)
				}
				h.mu.Lock()
				clear(h.of)
				h.mu.Unlock()
				time.Sleep(time.Hour)
				if got, left := x.as.ended(), len(x.keys("outbox/")); got != 500 || left != 0 {
					t.Errorf("in the end %d tokens are revoked, %d entries left", got, left)
				}
			})
		})
	}
}

// TestOutboxWithoutFairShare: with fair_share off one organisation has all workers.
func TestOutboxWithoutFairShare(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		h := newHangingFor(x.as, "one")
		ws := x.ws
		ws.Provisioner, ws.FairShareOff = h, true
		defer x.Attach(ws)()
		x.leave(ws, "one", 100)
		x.settle()
		if h.most != 8 {
			t.Errorf("%d workers for one organisation, want 8", h.most)
		}
	})
}

// TestOutboxCarriesOutOnce: with more entries than are queued at once, and new ones
// coming all the time, each is carried out exactly once.
func TestOutboxCarriesOutOnce(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		h := newHangingFor(x.as)
		ws := x.ws
		ws.Provisioner = h
		defer x.Attach(ws)()
		const organisations, each = 30, 100 // 64 of each are queued
		for i := range organisations {
			x.leave(ws, fmt.Sprint("org", i), each)
		}
		time.Sleep(time.Minute)
		x.as.mu.Lock()
		defer x.as.mu.Unlock()
		seen := map[string]bool{}
		for _, token := range x.as.revoked {
			if seen[token] {
				t.Errorf("%s was revoked twice", token)
			}
			seen[token] = true
		}
		if len(seen) != organisations*each {
			t.Errorf("%d tokens are revoked, want %d", len(seen), organisations*each)
		}
	})
}

// TestOutboxNamesTheOrganisation: each kind of entry says whose it is.
func TestOutboxNamesTheOrganisation(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"undo", "delete", "restore", "revoke"} {
		run(t, true, func(x *fixture) {
			down := refusal.New(refusal.Unavailable, "", "down")
			c := x.register(request("jti1", ""))
			switch kind {
			case "undo":
				x.as.set(func() { x.as.fail["create"] = []error{registry.ErrLost, registry.ErrLost} })
				if _, err := x.Register(x.t.Context(), x.ws, request("jti2", "")); err == nil {
					t.Fatal("registered")
				}
			case "delete":
				x.as.set(func() { x.as.fail["delete"] = []error{down} })
				if err := x.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
					t.Fatal(err)
				}
			case "restore":
				x.as.set(func() { x.as.fail["update"] = []error{registry.ErrLost, registry.ErrLost} })
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err == nil {
					t.Fatal("updated")
				}
			case "revoke":
				x.as.set(func() { x.as.fail["revoke"] = []error{down, down} })
				if _, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2")); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			keys := append(x.keys("outbox/"), x.keys("later/")...)
			if len(keys) != 1 {
				t.Fatalf("%s: entries %q", kind, keys)
			}
			entry := x.get(keys[0])
			if !strings.Contains(entry, `"kind":"`+kind+`"`) || !strings.Contains(entry, `"org":"organisation/OpenBanking%20Ltd/org1"`) {
				t.Errorf("%s: %s, want this kind, and the organisation's name", kind, entry)
			}
		})
	}
}
