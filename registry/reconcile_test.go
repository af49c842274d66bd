package registry_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// bob reconciles.
var bob = registry.Act{Operator: registry.Operator{Name: "Bob", Known: registry.ByDeclaration}, Reason: "after the restore of the AS"}

// population registers clients, each of an organisation of its own.
func (x *fixture) population(n int) (ids []string) {
	x.t.Helper()
	for range n {
		in := request(fmt.Sprint("jti", x.made), "")
		statement := *in.Request.Statement
		statement.OrgID, statement.SoftwareID = fmt.Sprint("org", x.made), fmt.Sprint("software", x.made)
		in.Request.Statement = &statement
		c, err := x.Register(x.t.Context(), x.ws, in)
		if err != nil {
			x.t.Fatal(err)
		}
		x.made++
		ids = append(ids, c.ClientID)
	}
	return ids
}

// reconciles reconciles, and waits for the end.
func (x *fixture) reconciles(o registry.ReconcileOptions) registry.Reconciliation {
	x.t.Helper()
	if o.Reason == "" {
		o.Act = bob
	}
	if _, err := x.Reconcile(x.t.Context(), x.ws.Name, o); err != nil {
		x.t.Fatal(err)
	}
	return x.reconciled()
}

func (x *fixture) reconciled() registry.Reconciliation {
	x.t.Helper()
	for range 10_000 {
		if n := x.reconciliation(); n.State != registry.ReconcileRunning {
			return n
		}
		time.Sleep(time.Second) // fake
	}
	x.t.Fatalf("still running: %+v", x.reconciliation())
	return registry.Reconciliation{}
}

func (x *fixture) reconciliation() registry.Reconciliation {
	x.t.Helper()
	n, err := x.Reconciliation(x.t.Context(), x.ws.Name)
	if err != nil {
		x.t.Fatal(err)
	}
	return n
}

// differing are the kinds of discrepancies, by client_id.
func (x *fixture) differing() map[string]string {
	x.t.Helper()
	list, next, err := x.ReconcileDiscrepancies(x.t.Context(), x.ws.Name, "", 1000)
	if err != nil || next != "" {
		x.t.Fatal(err, next)
	}
	kinds := map[string]string{}
	for _, d := range list {
		kinds[d.ClientID] += d.Kind
	}
	return kinds
}

func (x *fixture) ended(n registry.Reconciliation, state string, counts map[string]int) {
	x.t.Helper()
	if n.State != state || !maps.Equal(n.Counts, counts) {
		x.t.Errorf("got %+v, want %s with %v", n, state, counts)
	}
}

// TestReconcileFinds: a reconciliation finds what the AS has lost or has otherwise, and changes
// nothing. What is no more so ends with the next one.
func TestReconcileFinds(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		run(t, chooses, func(x *fixture) {
			if n := x.reconciliation(); n.State != registry.ReconcileNever {
				t.Errorf("got %+v, want never", n)
			}
			ids := x.population(8)
			updates := x.as.times("update") + x.as.times("create")
			difference := []registry.Difference{{Member: "redirect_uris", Here: `["a"]`, There: strings.Repeat("x", 600)}}
			kept := x.as.clients[ids[2]]
			x.as.set(func() {
				x.as.gone = map[string]bool{ids[1]: true}
				delete(x.as.clients, ids[2])
				x.as.unlike = map[string][]registry.Difference{ids[3]: difference}
				x.as.rotates = true
			})
			n := x.reconciles(registry.ReconcileOptions{})
			x.ended(n, registry.ReconcileDone, map[string]int{registry.Same: 5, registry.Missing: 1, registry.Detached: 1, registry.Different: 1})
			if n.Checked != 8 || n.Rotated != 6 || n.Repaired != 0 || n.Operator != bob.Operator || n.Reason != bob.Reason || n.Started == 0 || n.Ended == 0 {
				t.Errorf("got %+v", n)
			}
			if want := map[string]string{ids[1]: "missing", ids[2]: "detached", ids[3]: "different"}; !maps.Equal(x.differing(), want) {
				t.Errorf("got %v, want %v", x.differing(), want)
			}
			list, _, _ := x.ReconcileDiscrepancies(x.t.Context(), x.ws.Name, "", 1000)
			for _, d := range list {
				if d.Kind == registry.Different {
					if len(d.Differences) != 1 || d.Differences[0].Here != `["a"]` || len(d.Differences[0].There) != 503 {
						t.Errorf("got %+v", d)
					}
				} else if strings.Contains(d.Error, "repair registers it again") != chooses {
					t.Errorf("%s: got %q, want what to do", d.Kind, d.Error)
				}
			}
			if x.as.times("update")+x.as.times("create") != updates || slices.Contains(x.changes(), registry.AuditRestored) {
				t.Error("the AS was changed")
			}
			for _, id := range ids {
				if c, err := x.Client(x.t.Context(), x.ws.Name, id); err != nil || c.Change != "" || c.UpdatedAt != 0 {
					t.Errorf("got %+v, %v, want it as it was", c, err)
				}
			}
			x.as.set(func() { x.as.gone, x.as.unlike, x.as.clients[ids[2]] = nil, nil, kept })
			x.ended(x.reconciles(registry.ReconcileOptions{}), registry.ReconcileDone, map[string]int{registry.Same: 8})
			x.diverged()
			// The credentials that the AS has replaced are the ones that count.
			if err := x.RefreshKeys(x.t.Context(), x.ws, ids[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReconcileRepairs: what differs is told again, and what is lost is registered again where
// the gateway chooses the client_id; elsewhere it stays a finding.
func TestReconcileRepairs(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		run(t, chooses, func(x *fixture) {
			ids := x.population(6)
			x.as.set(func() {
				x.as.gone = map[string]bool{ids[1]: true}
				delete(x.as.clients, ids[1])
				delete(x.as.clients, ids[2])
				x.as.scopes[ids[3]] = "openid"
				x.as.unlike = map[string][]registry.Difference{ids[4]: {{Member: "scope", Here: "a", There: "b"}}} // for ever
			})
			n := x.reconciles(registry.ReconcileOptions{Repair: true})
			x.ended(n, registry.ReconcileDone, map[string]int{registry.Same: 2, registry.Missing: 1, registry.Detached: 1, registry.Different: 2})
			want, repaired := map[string]string{ids[4]: "different"}, 3
			if !chooses {
				want[ids[1]], want[ids[2]], repaired = "missing", "detached", 1
			}
			if !maps.Equal(x.differing(), want) || n.Repaired != repaired {
				t.Errorf("got %v, %d repaired; want %v, %d", x.differing(), n.Repaired, want, repaired)
			}
			if list, _, _ := x.ReconcileDiscrepancies(x.t.Context(), x.ws.Name, "", 1000); !slices.ContainsFunc(list, func(d registry.Discrepancy) bool {
				return strings.Contains(d.Error, "shows other metadata all the same") && len(d.Differences) == 1
			}) {
				t.Errorf("got %+v, want why %s is not repaired", list, ids[4])
			}
			if got := x.as.scope(ids[3]); got != "openid accounts" {
				t.Errorf("got %q at the AS", got)
			}
			restored := 0
			for _, e := range x.trail() {
				if e.Change == registry.AuditRestored {
					restored++
					if e.Operator != bob.Operator || e.Reason != bob.Reason {
						t.Errorf("got %+v, want the operator and the reason", e)
					}
				}
			}
			if restored != repaired+1 {
				t.Errorf("got %d in the trail, want %d", restored, repaired+1)
			}
			for _, id := range ids {
				if c, err := x.Client(x.t.Context(), x.ws.Name, id); err != nil || c.Status != registry.Active || c.Change != "" || c.UpdatedAt != 0 {
					t.Errorf("got %+v, %v, want it active", c, err)
				}
			}
			time.Sleep(5 * time.Minute)
			x.settle()
			if got := x.as.count(); got != 4+2*map[bool]int{true: 1}[chooses] {
				t.Errorf("the AS has %d clients: an undo has deleted what was repaired", got)
			}
		})
	}
}

// TestRepairRefused: a finding that the AS refuses to have repaired says so.
func TestRepairRefused(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ids := x.population(1)
		x.as.set(func() {
			x.as.scopes[ids[0]] = "openid"
			x.as.fail["update"] = []error{refusal.New(refusal.InvalidClientMetadata, "authorization_server", "no such scope")}
		})
		n := x.reconciles(registry.ReconcileOptions{Repair: true})
		list, _, err := x.ReconcileDiscrepancies(x.t.Context(), x.ws.Name, "", 10)
		if err != nil || n.Repaired != 0 || len(list) != 1 || !strings.Contains(list[0].Error, "no such scope") || list[0].Differences[0].There != "openid" {
			t.Errorf("got %+v, %+v, %v; want why", n, list, err)
		}
	})
}

// TestReconcileWaitsForTheServer: while the AS is down nothing is found, and it goes on when
// that is over.
func TestReconcileWaitsForTheServer(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(*as){
		"answers nothing": func(a *as) {
			a.fail["read"] = slices.Repeat([]error{refusal.New(refusal.Unavailable, "", "down")}, 50)
			a.elsewhere = errors.New("down")
		},
		"a load balancer says 404": func(a *as) { a.gone, a.elsewhere = a.everyone(), errors.New("404") },
		"is known to be down":      func(a *as) { a.fail["read"] = slices.Repeat([]error{registry.ErrNotAsked}, 50) },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				x.population(30)
				x.as.set(func() { down(x.as) })
				if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if n := x.reconciliation(); n.State != registry.ReconcileRunning || n.Checked != 0 || n.Waiting == "" {
					t.Errorf("got %+v, want one that waits", n)
				}
				time.Sleep(time.Hour)
				x.diverged()
				x.as.set(func() { x.as.gone, x.as.elsewhere = nil, nil; delete(x.as.fail, "read") })
				x.ended(x.reconciled(), registry.ReconcileDone, map[string]int{registry.Same: 30})
			})
		})
	}
}

// everyone are all clients.
func (a *as) everyone() map[string]bool {
	all := map[string]bool{}
	for id := range a.clients {
		all[id] = true
	}
	return all
}

// TestReconcileGivesUpOne: a client of which an AS that is there gives no answer is not checked.
func TestReconcileGivesUpOne(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ids := x.population(2)
		x.as.set(func() { x.as.fail["read"] = slices.Repeat([]error{registry.ErrLost}, 3) })
		x.as.inRead = func(id string) {
			if id != ids[0] {
				x.as.set(func() { x.as.calls = append(x.as.calls, "other") })
			}
		}
		n := x.reconciles(registry.ReconcileOptions{Rate: 1})
		if n.Counts[registry.NotChecked] > 1 || n.Checked != 2 {
			t.Errorf("got %+v, want at most one that is not checked", n)
		}
		if len(n.Unchecked) != n.Counts[registry.NotChecked] {
			t.Errorf("got %+v", n)
		}
		x.diverged()
	})
}

// TestReconcileStopsWhenAllIsLost: an AS that does not know the first twenty clients, or more
// than a tenth of many, is not believed unless the operator says so.
func TestReconcileStopsWhenAllIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clients, each, checked int
	}{"all": {60, 1, 20}, "a ninth": {250, 9, 200}, "a twentieth": {250, 20, 250}} {
		t.Run(name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				x.population(c.clients)
				var all []string
				for _, k := range x.keys("client/") {
					all = append(all, k[strings.LastIndex(k, "/")+1:])
				}
				gone := map[string]bool{}
				for i, id := range all {
					if client := x.clientOf(id); i%c.each == 0 {
						gone[client] = true
					}
				}
				x.as.set(func() { x.as.gone = gone })
				n := x.reconciles(registry.ReconcileOptions{Rate: registry.MaxReconcileRate})
				failed := c.checked < c.clients
				if (n.State == registry.ReconcileFailed) != failed || n.Checked != c.checked || (n.Error != "") != failed {
					t.Fatalf("got %+v, want failed %t after %d", n, failed, c.checked)
				}
				if !failed {
					return
				}
				if n := x.reconciles(registry.ReconcileOptions{Resume: true}); n.State != registry.ReconcileFailed || n.Checked > c.checked+c.each {
					t.Errorf("got %+v, want that it fails again", n)
				}
				n = x.reconciles(registry.ReconcileOptions{Resume: true, Force: true})
				want := map[string]int{registry.Missing: len(gone), registry.Same: c.clients - len(gone)}
				maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
				x.ended(n, registry.ReconcileDone, want)
			})
		})
	}
}

// clientOf is the client_id of a registration.
func (x *fixture) clientOf(registration string) string {
	x.t.Helper()
	record := x.get("client/default%2Fobuk/" + registration)
	_, rest, _ := strings.Cut(record, `"client_id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

// TestReconcileKeepsToItsRate: no more clients a second than the operator allows.
func TestReconcileKeepsToItsRate(t *testing.T) {
	t.Parallel()
	for rate, want := range map[int]time.Duration{0: 2 * time.Second, 5: 8 * time.Second, 200: 200 * time.Millisecond} {
		run(t, true, func(x *fixture) {
			x.population(41)
			began, last := time.Now(), time.Time{}
			x.as.inRead = func(string) { x.as.set(func() { last = time.Now() }) }
			x.reconciles(registry.ReconcileOptions{Rate: rate})
			if took := last.Sub(began); took < want-time.Millisecond || took > want+want/10 {
				t.Errorf("%d: 41 clients in %s, want %s", rate, took, want)
			}
		})
	}
}

// TestReconcileBoundsItsWork: few clients are at work at once.
func TestReconcileBoundsItsWork(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.population(50)
		var at, most atomic.Int64
		x.as.inRead = func(string) {
			most.Store(max(most.Load(), at.Add(1)))
			time.Sleep(5 * time.Second)
			at.Add(-1)
		}
		x.ended(x.reconciles(registry.ReconcileOptions{}), registry.ReconcileDone, map[string]int{registry.Same: 50})
		if most.Load() != 8 {
			t.Errorf("%d at once, want 8", most.Load())
		}
	})
}

// TestOnlyOneReconciliation: there is one of a workspace at a time, and it can be stopped and
// resumed.
func TestOnlyOneReconciliation(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.population(130)
		if _, err := x.StopReconciling(x.t.Context(), x.ws.Name, bob); !errors.Is(err, registry.ErrNotReconciling) {
			t.Errorf("got %v", err)
		}
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob, Resume: true}); !errors.Is(err, registry.ErrNothingToResume) {
			t.Errorf("got %v", err)
		}
		if _, err := x.Reconcile(x.t.Context(), "another", registry.ReconcileOptions{Act: bob}); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		for _, wrong := range []registry.ReconcileOptions{{}, {Act: bob, Rate: -1}, {Act: bob, Rate: 201}, {Act: bob, Resume: true, Repair: true}} {
			if _, err := x.Reconcile(x.t.Context(), x.ws.Name, wrong); err == nil {
				t.Errorf("%+v is accepted", wrong)
			}
		}
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob, Rate: 10}); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob}); !errors.Is(err, registry.ErrReconciling) {
			t.Errorf("got %v", err)
		}
		time.Sleep(11 * time.Second)
		n, err := x.StopReconciling(x.t.Context(), x.ws.Name, bob)
		if err != nil || n.State != registry.ReconcileStopped || n.Checked < 105 || n.Checked > 115 {
			t.Errorf("got %+v, %v", n, err)
		}
		if stored := x.reconciliation(); !reflect.DeepEqual(stored, n) {
			t.Errorf("got %+v, want %+v", stored, n)
		}
		read := x.as.times("read")
		n = x.reconciles(registry.ReconcileOptions{Resume: true})
		x.ended(n, registry.ReconcileDone, map[string]int{registry.Same: 130})
		if again := x.as.times("read") - read; again > 25 || n.Rate != 10 || n.Resumed == 0 {
			t.Errorf("read %d again, %+v", again, n)
		}
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob, Resume: true}); !errors.Is(err, registry.ErrNothingToResume) {
			t.Errorf("got %v", err)
		}
	})
}

// TestReconcileAfterARestart: what a restart interrupts goes on where it was, when an operator
// says so.
func TestReconcileAfterARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		kept := &keptStore{Store: store}
		as := newAS(true)
		open := func() *fixture {
			r, err := registry.Open(t.Context(), registry.Options{Store: kept, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			x := &fixture{Registry: r, t: t, store: store, as: as}
			x.ws = registry.Workspace{Name: "default/obuk", Provisioner: as}
			r.Attach(x.ws)
			return x
		}
		x := open()
		x.population(250)
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		x = open()
		defer x.Close()
		n := x.reconciliation()
		if n.State != registry.ReconcileInterrupted || n.Checked < 135 || n.Checked > 145 {
			t.Errorf("got %+v, want it interrupted", n)
		}
		time.Sleep(time.Minute)
		if again := x.reconciliation(); !reflect.DeepEqual(again, n) {
			t.Errorf("got %+v, want that it waits for an operator", again)
		}
		x.ended(x.reconciles(registry.ReconcileOptions{Resume: true}), registry.ReconcileDone, map[string]int{registry.Same: 250})

		// A crash: the store has only what was written at the end of a page.
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		crashed := x.get("reconcile/default%2Fobuk")
		if !strings.Contains(crashed, `"checked":100,`) || !strings.Contains(crashed, `"state":"running"`) {
			t.Errorf("got %s, want the first page", crashed)
		}
		if _, err := x.StopReconciling(x.t.Context(), x.ws.Name, bob); err != nil {
			t.Fatal(err)
		}
		if err := store.Update(x.t.Context(), func(w registry.Writer) error { return w.Put("reconcile/default%2Fobuk", []byte(crashed)) }); err != nil {
			t.Fatal(err)
		}
		if n := x.reconciliation(); n.State != registry.ReconcileInterrupted || n.Checked != 100 {
			t.Errorf("got %+v", n)
		}
		x.ended(x.reconciles(registry.ReconcileOptions{Resume: true}), registry.ReconcileDone, map[string]int{registry.Same: 250})
	})
}

// keptStore is a store that is not closed.
type keptStore struct{ registry.Store }

func (*keptStore) Close() error { return nil }

// TestReconcileBesideUpdates: an update waits while its client is read or repaired, and none is
// lost; a client that is deleted meanwhile is no finding.
func TestReconcileBesideUpdates(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ids := x.population(3)
		x.as.set(func() {
			x.as.rotates = true
			for _, id := range ids {
				x.as.scopes[id] = "openid"
			}
		})
		x.as.inRead = func(string) { time.Sleep(time.Second) }
		x.as.inUpdate = func() { time.Sleep(time.Second) }
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob, Repair: true}); err != nil {
			t.Fatal(err)
		}
		update := request("update", "")
		update.Checked.Metadata.Scope = "openid payments"
		var err error
		waited := 0
		for range 100 {
			if _, err = x.Update(x.t.Context(), x.ws, ids[0], update); err == nil {
				break
			}
			if refusal.From(err).Kind != refusal.Unavailable {
				t.Fatal(err)
			}
			waited++
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		x.reconciled()
		for id, want := range map[string]string{ids[0]: "openid payments", ids[1]: "openid accounts", ids[2]: "openid accounts"} {
			c, err := x.Client(x.t.Context(), x.ws.Name, id)
			if err != nil || c.Metadata.Scope != want || x.as.scope(id) != want {
				t.Errorf("%s: got %v, %v, at the AS %q; want %q (the update has waited %d times)", id, c.Metadata.Scope, err, x.as.scope(id), want, waited)
			}
		}
		x.diverged()
		if err := x.Delete(x.t.Context(), x.ws, ids[2], presented("token")); err != nil {
			t.Fatal(err)
		}
		x.ended(x.reconciles(registry.ReconcileOptions{}), registry.ReconcileDone, map[string]int{registry.Same: 2})
	})
}

// TestReconcileWithoutCredentials: a client of which there is nothing to ask with is a finding,
// and its AS is not asked.
func TestReconcileWithoutCredentials(t *testing.T) {
	t.Parallel()
	sealer := new(forgetful)
	runSealed(t, false, sealer, func(x *fixture) {
		x.population(1)
		sealer.lost = true
		x.ended(x.reconciles(registry.ReconcileOptions{Repair: true}), registry.ReconcileDone, map[string]int{registry.Detached: 1})
		if x.as.times("read")+x.as.times("update") != 0 {
			t.Errorf("asked %q", x.as.calls)
		}
		x.diverged(registry.Detached)
	})
}

// TestOrphans: clients of the AS that nobody knows are told from those that are on their way.
func TestOrphans(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ids := x.population(3)
		if err := x.Delete(x.t.Context(), x.ws, ids[1], presented("token1")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.as.set(func() {
			x.as.fail["delete"] = slices.Repeat([]error{refusal.New(refusal.Unavailable, "", "down")}, 20)
		})
		if err := x.Delete(x.t.Context(), x.ws, ids[2], presented("token2")); err != nil {
			t.Fatal(err)
		}
		x.as.hang(true)
		go func() { _, _ = x.Register(x.t.Context(), x.ws, request("cut", "")) }()
		synctest.Wait()
		pending := ""
		for _, k := range x.keys("client/") {
			if id := x.clientOf(k[strings.LastIndex(k, "/")+1:]); id != ids[0] && id != ids[2] {
				pending = id
			}
		}
		got, err := x.Orphans(x.t.Context(), x.ws.Name, []string{ids[0], ids[1], ids[2], pending, "gateway", "stranger", "a/b"})
		want := registry.Orphans{Unknown: []string{"stranger", "a/b"}, Deleted: []string{ids[1]}, Leaving: []string{ids[2], pending}, Known: 1, Own: 1, Complete: true}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if _, err := x.Orphans(x.t.Context(), "another", nil); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("got %v", err)
		}
		if _, err := x.Orphans(x.t.Context(), x.ws.Name, make([]string, 1001)); err == nil {
			t.Error("1001 are accepted")
		}
		x.as.hang(false)
		x.as.set(func() { delete(x.as.fail, "delete") })
		time.Sleep(2 * time.Minute)
	})
}
