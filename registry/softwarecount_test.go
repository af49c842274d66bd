package registry_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// restart ends the registry and opens another one over the same store.
func (x *fixture) restart() {
	x.t.Helper()
	if err := x.Close(); err != nil {
		x.t.Fatal(err)
	}
	r, err := registry.Open(x.t.Context(), registry.Options{Store: x.store, Sealer: plain{}})
	if err != nil {
		x.t.Fatal(err)
	}
	x.Registry = r
	r.Attach(x.ws)
}

// runLasting is run over a store that lasts.
func runLasting(t *testing.T, chooses bool, f func(*fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &fixture{t: t, store: staying{memory.Open(memory.Options{Rerun: true})}, as: newAS(chooses)}
		x.ws = registry.Workspace{Name: "default/obuk", Provisioner: x.as}
		r, err := registry.Open(t.Context(), registry.Options{Store: x.store, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		x.Registry = r
		r.Attach(x.ws)
		defer func() {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(x)
	})
}

// values are those of the store under a prefix, by key.
func (x *fixture) values(prefix string) map[string]string {
	x.t.Helper()
	found := map[string]string{}
	err := x.store.View(x.t.Context(), func(v registry.Reader) error {
		entries, err := v.Scan(prefix, "", 10_000)
		for _, e := range entries {
			found[e.Key] = string(e.Value)
		}
		return err
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return found
}

// counts are those of the records of software, by directory and software.
func (x *fixture) counts() map[string]int {
	x.t.Helper()
	counts := map[string]int{}
	for k, v := range x.values("software/") {
		var s struct{ Clients int }
		if err := json.Unmarshal([]byte(v), &s); err != nil {
			x.t.Fatal(err)
		}
		parts := strings.SplitN(k, "/", 3)
		counts[strings.ReplaceAll(parts[2], "%20", " ")] = s.Clients
	}
	return counts
}

// countsHold holds the counts against the records of the clients. What an earlier version
// has left is counted when its software comes.
func (x *fixture) countsHold(when string) {
	x.t.Helper()
	got, want := x.counts(), map[string]int{}
	for name := range got {
		want[name] = 0
	}
	for _, v := range x.values("client/") {
		var c registry.Client
		if err := json.Unmarshal([]byte(v), &c); err != nil {
			x.t.Fatal(err)
		}
		if c.Status == registry.Active || c.Status == registry.Pending && c.Counted {
			name := c.Directory + "/" + c.SoftwareID
			if _, known := got[name]; known {
				want[name]++
			}
		}
	}
	if !maps.Equal(got, want) {
		x.t.Errorf("%s: counted %v, there are %v", when, got, want)
	}
}

// of is a request for a software of a directory.
func ofSoftware(in registry.Registration, directory, software string) registry.Registration {
	in.Request.Statement.SoftwareID = software
	in.Request.Statement.Issuer = &verify.Issuer{Name: directory}
	return in
}

// TestCountsEqualAScan registers, changes and deletes at random, while the AS refuses,
// loses answers and is down, and the gateway restarts: whatever happens, the count of
// each software is that of its clients.
func TestCountsEqualAScan(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{true, false} {
		for seed := range uint64(2) {
			runLasting(t, chooses, func(x *fixture) {
				random := rand.New(rand.NewPCG(seed, 1))
				next := 0
				for round := range 12 {
					x.trouble(random)
					var group sync.WaitGroup
					for range 8 {
						next++
						do := x.randomChange(random, next)
						group.Go(do)
					}
					wait.ForGroup(t, &group, "calls at the same time")
					x.countsHold(fmt.Sprintf("seed %d, round %d", seed, round))
					if round%3 == 2 {
						x.restart()
					}
					if round%5 == 4 {
						x.settle()
						x.uncount()
					}
				}
				x.as.set(func() { clear(x.as.fail); x.as.carriedOut = false })
				time.Sleep(time.Hour) // every lease and pause has ended
				x.settle()
				x.countsHold(fmt.Sprintf("seed %d, in the end", seed))
				if len(x.values("client/")) == 0 {
					t.Error("there are no clients, so the test proves nothing")
				}
			})
		}
	}
}

// trouble lets calls of the next round fail.
func (x *fixture) trouble(random *rand.Rand) {
	no := refusal.New(refusal.InvalidClientMetadata, "x", "no")
	down := refusal.New(refusal.Unavailable, "x", "down")
	x.as.set(func() {
		clear(x.as.fail)
		x.as.carriedOut = random.IntN(2) == 0
		for _, call := range []string{"create", "update", "delete", "revoke"} {
			for range random.IntN(6) {
				x.as.fail[call] = append(x.as.fail[call], []error{nil, no, down, registry.ErrLost, registry.ErrDetached}[random.IntN(5)])
			}
		}
	})
}

// randomChange is one request of some client.
func (x *fixture) randomChange(random *rand.Rand, n int) func() {
	directory, software := fmt.Sprint("directory ", random.IntN(2)), fmt.Sprint("software", random.IntN(2))
	in := ofSoftware(request(fmt.Sprint("jti", n), fmt.Sprint("token", n)), directory, software)
	in.Checked.Metadata.Scope = fmt.Sprint("openid accounts", n)
	clients, _, err := x.List(x.t.Context(), x.ws.Name, registry.ByTime, "", "", 1000)
	if err != nil {
		x.t.Fatal(err)
	}
	what := random.IntN(5)
	if len(clients) == 0 || what < 3 {
		return func() { _, _ = x.Register(x.t.Context(), x.ws, in) }
	}
	id := clients[random.IntN(len(clients))].ClientID
	if what == 3 {
		return func() { _ = x.Delete(x.t.Context(), x.ws, id, presented("mine")) }
	}
	return func() { _, _ = x.Update(x.t.Context(), x.ws, id, in) }
}

// uncount makes the store one of a version that did not count. Nobody is at work in it.
func (x *fixture) uncount() {
	x.t.Helper()
	for k, v := range x.values("client/") {
		old := strings.Replace(v, `"counted":true,`, "", 1)
		if err := x.store.Update(x.t.Context(), func(w registry.Writer) error { return w.Put(k, []byte(old)) }); err != nil {
			x.t.Fatal(err)
		}
	}
	for k := range x.values("software/") {
		if err := x.store.Update(x.t.Context(), func(w registry.Writer) error { return w.Delete(k) }); err != nil {
			x.t.Fatal(err)
		}
	}
}

// TestCountsOfAnOldStore: clients of a version that did not count are counted, all of
// them, when their software comes for the first time: whatever it comes for, and how
// many come at once.
func TestCountsOfAnOldStore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fixture, string){
		"register": func(x *fixture, _ string) { x.register(request("new", "new")) },
		"delete": func(x *fixture, id string) {
			if err := x.Delete(x.t.Context(), x.ws, id, presented("mine")); err != nil {
				x.t.Error(err)
			}
		},
		"move to another directory": func(x *fixture, id string) {
			if _, err := x.Update(x.t.Context(), x.ws, id, ofSoftware(request("new", ""), "Sandbox Ltd", "software1")); err != nil {
				x.t.Error(err)
			}
		},
		"refused": func(x *fixture, _ string) {
			x.as.set(func() { x.as.fail["create"] = []error{refusal.New(refusal.InvalidClientMetadata, "x", "no")} })
			if _, err := x.Register(x.t.Context(), x.ws, request("new", "new")); err == nil {
				x.t.Error("it was to be refused")
			}
		},
		"many at once": func(x *fixture, id string) {
			var group sync.WaitGroup
			for i := range 30 {
				group.Go(func() {
					if _, err := x.Register(x.t.Context(), x.ws, request(fmt.Sprint("new", i), fmt.Sprint("new", i))); err != nil {
						x.t.Error(err)
					}
				})
			}
			group.Go(func() {
				if err := x.Delete(x.t.Context(), x.ws, id, presented("mine")); err != nil {
					x.t.Error(err)
				}
			})
			wait.ForGroup(t, &group, "calls at the same time")
		},
	} {
		t.Run(name, func(t *testing.T) {
			runLasting(t, true, func(x *fixture) {
				id := ""
				for i := range 2*registry.MaxCounted + 50 {
					in := request(fmt.Sprint("jti", i), fmt.Sprint("token", i))
					c, err := x.Register(x.t.Context(), x.ws, in)
					if err != nil {
						x.t.Fatal(err)
					}
					id = c.ClientID
				}
				x.settle()
				x.uncount()
				change(x, id)
				x.settle()
				x.countsHold(name)
			})
		})
	}
}

// TestPendingClientOfAnOldStore: a registration that an earlier version was cut off at
// is in no count, and is not counted out when it is undone.
func TestPendingClientOfAnOldStore(t *testing.T) {
	t.Parallel()
	runLasting(t, true, func(x *fixture) {
		x.register(request("jti1", "token1"))
		x.as.set(func() { x.as.fail["create"] = []error{registry.ErrLost, registry.ErrLost} })
		if _, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2")); err == nil {
			x.t.Fatal("its answer was to be lost")
		}
		x.uncount()
		x.register(request("jti3", "token3"))
		if got := x.counts()["OpenBanking Ltd/software1"]; got != 2 {
			x.t.Errorf("beside one of an earlier version that is pending %d are counted, want 2", got)
		}
		time.Sleep(5 * time.Minute)
		x.settle()
		x.countsHold("after it was undone")
	})
}

// TestRefusedCountIsKept: what an old store's software has is counted once, also where
// the first request is refused: counting is dear where there are many clients.
func TestRefusedCountIsKept(t *testing.T) {
	t.Parallel()
	runLasting(t, true, func(x *fixture) {
		x.register(request("jti1", "token1"))
		x.uncount()
		x.ws.ClientsPerSoftware = 1
		_, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2"))
		x.atLimit(err, 1)
		if got := x.counts(); got["OpenBanking Ltd/software1"] != 1 {
			t.Errorf("counted %v", got)
		}
	})
}
