package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// checker finds what a test wants.
type checker struct {
	mu     sync.Mutex
	find   func(*registry.Client) registry.TrustResult
	looked []string
	fetch  bool // each look is a fetch
}

func (k *checker) CheckDirectories(context.Context, map[string]int, func(context.Context) error) ([]registry.DirectoryFinding, map[string]int) {
	return []registry.DirectoryFinding{{Directory: "OpenBanking Ltd", Kind: registry.KeysShrunk, Detail: "1 of 3"}}, map[string]int{"OpenBanking Ltd": 1}
}

func (k *checker) CheckClient(ctx context.Context, c *registry.Client, _ *verify.PolicyCertificate, wait func(context.Context) error) registry.TrustResult {
	if k.fetch && wait(ctx) != nil {
		return registry.TrustResult{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked = append(k.looked, c.ClientID)
	if k.find == nil {
		return registry.TrustResult{}
	}
	return k.find(c)
}

func (k *checker) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.looked)
}

func (k *checker) set(find func(*registry.Client) registry.TrustResult) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.find = find
}

// finds is one finding about every client.
func finds(kind string) func(*registry.Client) registry.TrustResult {
	return func(*registry.Client) registry.TrustResult {
		return registry.TrustResult{Findings: []registry.Finding{{Kind: kind, Detail: "as the test wants"}}}
	}
}

// looking attaches the workspace anew, with a checker.
func (x *fixture) looking(k *checker, change func(*registry.Workspace)) {
	x.t.Helper()
	x.ws.Trust = k
	if change != nil {
		change(&x.ws)
	}
	x.t.Cleanup(x.Attach(x.ws))
}

// many registers clients, each of a software of its own.
func (x *fixture) many(n int) (ids []string) {
	x.t.Helper()
	for i := range n {
		in := request(fmt.Sprint(i), "")
		in.Request.Statement.SoftwareID = fmt.Sprint("software", i)
		ids = append(ids, x.register(in).ClientID)
	}
	return ids
}

// pass makes one, and waits for its end.
func (x *fixture) pass() {
	x.t.Helper()
	if _, err := x.BeginPass(x.t.Context(), x.ws.Name, registry.Act{}); err != nil {
		x.t.Fatal(err)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
}

// found are the clients with findings of a kind.
func (x *fixture) found(kind string) (ids []string) {
	x.t.Helper()
	list, next, err := x.Findings(x.t.Context(), x.ws.Name, kind, "", 1000)
	if err != nil || next != "" {
		x.t.Fatal(err, next)
	}
	for _, f := range list {
		ids = append(ids, f.ClientID)
	}
	return ids
}

func (x *fixture) stopped(ids []string) (list []string) {
	x.t.Helper()
	for _, id := range ids {
		c, err := x.Client(x.t.Context(), x.ws.Name, id)
		if err != nil {
			x.t.Fatal(err)
		}
		if c.Suspended {
			list = append(list, id)
		}
	}
	return list
}

// TestPassesComeDaily: the first is made soon after the start, and each later one a day after.
func TestPassesComeDaily(t *testing.T) {
	run(t, true, func(x *fixture) {
		k := &checker{}
		x.looking(k, nil)
		x.many(3)
		for day := 1; day <= 3; day++ {
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if got := k.count(); got < 3*day-3 || got > 3*day {
				t.Errorf("day %d: looked at %d clients, want 3 a day", day, got)
			}
		}
		passes, err := x.Passes(x.t.Context(), []string{x.ws.Name})
		if err != nil || len(passes) != 1 || passes[0].Ended == 0 || passes[0].Looked != 3 {
			t.Fatalf("%+v, %v; want one that has looked at 3", passes, err)
		}
		if d := passes[0].Directories; len(d) != 1 || d[0].Kind != registry.KeysShrunk || d[0].Since > time.Now().Add(-24*time.Hour).Unix() {
			t.Errorf("directories %+v, want that it shrank, since the first pass", d)
		}
	})
}

// TestFindingsEndWithTheirCause: a finding is listed until a pass finds that it does not hold; what
// is not known changes nothing.
func TestFindingsEndWithTheirCause(t *testing.T) {
	run(t, true, func(x *fixture) {
		k := &checker{find: finds(registry.CertificateRevoked)}
		x.looking(k, nil)
		ids := x.many(2)
		x.pass()
		first, err := x.Details(x.t.Context(), x.ws.Name, ids[0])
		if err != nil || len(first.Findings) != 1 || first.Findings[0].Kind != registry.CertificateRevoked {
			t.Fatalf("%+v, %v; want the finding in the details", first.Findings, err)
		}
		time.Sleep(time.Hour)
		k.set(func(*registry.Client) registry.TrustResult {
			return registry.TrustResult{Unknown: []string{registry.CertificateRevoked}}
		})
		x.pass()
		if got := x.found(registry.CertificateRevoked); len(got) != 2 {
			t.Errorf("an outage has ended findings: %q are left, want 2", got)
		}
		k.set(finds(registry.CertificateExpired))
		x.pass()
		if a, b := x.found(registry.CertificateRevoked), x.found(registry.CertificateExpired); len(a) != 0 || len(b) != 2 {
			t.Errorf("revoked %q, expired %q; want 0 and 2", a, b)
		}
		if err := x.Delete(x.t.Context(), x.ws, ids[0], presented("manage")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if got := x.found(""); len(got) != 1 {
			t.Errorf("findings of a deleted client are left: %q", got)
		}
		if got := x.stopped(ids[1:]); len(got) != 0 {
			t.Errorf("suspended %q with on_lost_trust report", got)
		}
	})
}

// TestRuleSuspendsFewClientsADay: five a day, over restarts of passes too; never again what an
// operator has resumed; with an entry in the audit trail that names the rule.
func TestRuleSuspendsFewClientsADay(t *testing.T) {
	run(t, true, func(x *fixture) {
		k := &checker{find: finds(registry.KeyRevoked)}
		x.looking(k, func(ws *registry.Workspace) { ws.SuspendLostTrust = true })
		ids := x.many(8)
		x.pass()
		x.pass()
		stopped := x.stopped(ids)
		if len(stopped) != 5 || len(x.found(registry.KeyRevoked)) != 8 {
			t.Fatalf("suspended %d, found %d; want 5 of 8", len(stopped), len(x.found(registry.KeyRevoked)))
		}
		audit, _, err := x.Audit(x.t.Context(), x.ws.Name, time.Time{}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		last := audit[len(audit)-1]
		if last.Change != registry.AuditSuspended || last.Operator != (registry.Operator{Name: "gateway", Known: registry.ByRule}) || !strings.HasPrefix(last.Reason, "on_lost_trust suspend: key_revoked: ") {
			t.Errorf("audit trail: %+v, want the rule", last)
		}
		resumed := stopped[0]
		if err := x.Resume(x.t.Context(), registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: resumed}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if got := x.stopped(ids); len(got) != 7 || slices.Contains(got, resumed) {
			t.Errorf("two days later %q are suspended, want all but %s", got, resumed)
		}
	})
}

// TestOutagesSuspendNobody: kinds that one outage or one configuration may cause only report.
func TestOutagesSuspendNobody(t *testing.T) {
	run(t, true, func(x *fixture) {
		k := &checker{}
		x.looking(k, func(ws *registry.Workspace) { ws.SuspendLostTrust = true })
		ids := x.many(2)
		for _, kind := range []string{registry.NoUsableKey, registry.CertificateExpired, registry.CANotTrusted, registry.DirectoryNotConfigured} {
			k.set(finds(kind))
			x.pass()
			if found, stopped := x.found(kind), x.stopped(ids); len(found) != 2 || len(stopped) != 0 {
				t.Errorf("%s: found %q, suspended %q; want both and none", kind, found, stopped)
			}
		}
	})
}

// TestPassGoesOnAfterARestart: what was looked at is not looked at again, at one fetch a second.
func TestPassGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		k := &checker{fetch: true}
		ws := registry.Workspace{Name: "default/obuk", Provisioner: newAS(true), Trust: k}
		for start := range 2 {
			r, err := registry.Open(t.Context(), registry.Options{Store: staysOpen{store}, Sealer: plain{}})
			if err != nil {
				t.Fatal(err)
			}
			takeBack := r.Attach(ws)
			for i := range 120 * (1 - start) {
				in := request(fmt.Sprint(i), "")
				in.Request.Statement.SoftwareID = fmt.Sprint("software", i)
				if _, err := r.Register(t.Context(), ws, in); err != nil {
					t.Fatal(err)
				}
			}
			if start == 0 {
				if _, err := r.BeginPass(t.Context(), ws.Name, registry.Act{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(75500 * time.Millisecond)
				synctest.Wait()
				if n := k.count(); n != 75 {
					t.Errorf("looked at %d clients in 75 s, want 75", n)
				}
				if _, err := r.BeginPass(t.Context(), ws.Name, registry.Act{}); !errors.Is(err, registry.ErrPassRunning) {
					t.Errorf("another pass: %v, want ErrPassRunning", err)
				}
			} else {
				time.Sleep(10 * time.Minute)
				synctest.Wait()
			}
			takeBack()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if n := k.count(); n < 120 || n > 120+50 {
			t.Errorf("looked at %d clients in one pass with a restart, want 120, and at most a page again", n)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestUnusedClientsAreRetired: after so many days without a use, and not before.
func TestUnusedClientsAreRetired(t *testing.T) {
	run(t, true, func(x *fixture) {
		x.ws.Retire = registry.Retire{Days: 30, Suspend: true}
		x.t.Cleanup(x.Attach(x.ws))
		ids := x.many(2)
		time.Sleep(20 * 24 * time.Hour)
		x.MarkUsed(x.ws.Name, ids[0], nil, x.today())
		time.Sleep(8 * 24 * time.Hour)
		synctest.Wait()
		if got := x.stopped(ids); len(got) != 0 {
			t.Errorf("after 28 days %q are suspended", got)
		}
		time.Sleep(4 * 24 * time.Hour)
		synctest.Wait()
		if got := x.stopped(ids); !slices.Equal(got, ids[1:]) || !slices.Equal(x.found(registry.Unused), ids[1:]) {
			t.Errorf("after 32 days: suspended %q, found %q; want %q", got, x.found(registry.Unused), ids[1:])
		}
	})
}

// TestNobodyIsUnusedWithoutMarks: a store of a version without marks, a gateway that was off and
// a clock that is wrong retire nobody.
func TestNobodyIsUnusedWithoutMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		ws := registry.Workspace{Name: "default/obuk", Provisioner: newAS(true), Retire: registry.Retire{Days: 30, Suspend: true}}
		for _, ahead := range []time.Duration{0, 400, 4000, 800} {
			ahead *= 24 * time.Hour
			r, err := registry.Open(t.Context(), registry.Options{Store: staysOpen{store}, Sealer: plain{}, Now: func() time.Time { return time.Now().Add(ahead) }})
			if err != nil {
				t.Fatal(err)
			}
			takeBack := r.Attach(ws)
			if ahead == 0 {
				if _, err := r.Register(t.Context(), ws, request("1", "token")); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(26 * time.Hour)
			synctest.Wait()
			list, _, err := r.Findings(t.Context(), "", "", "", 10)
			passes, passesErr := r.Passes(t.Context(), []string{ws.Name})
			if err != nil || passesErr != nil || len(list) != 0 || len(passes) != 1 || passes[0].Looked != 1 {
				t.Errorf("%v ahead: %+v, %v, %+v; want a pass that finds nothing", ahead, list, err, passes)
			}
			takeBack()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}
