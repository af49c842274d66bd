package registry_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func (x *fixture) atLimit(err error, limit int) {
	x.t.Helper()
	refused(x.t, err, refusal.AccessDenied, "clients_per_software")
	if description := refusal.From(err).Description; !strings.Contains(description, fmt.Sprint("at most ", limit)) || !strings.Contains(description, "delete") {
		x.t.Errorf("told %q", description)
	}
}

// TestClientsPerSoftware: of many registrations at once exactly as many as may be are
// made, a deletion makes room for one, and another software is not concerned.
func TestClientsPerSoftware(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.ClientsPerSoftware = 5
		var group sync.WaitGroup
		var made, denied atomic.Int64
		for i := range 40 {
			group.Go(func() {
				if _, err := x.Register(x.t.Context(), x.ws, request(fmt.Sprint("jti", i), fmt.Sprint("token", i))); err == nil {
					made.Add(1)
				} else {
					x.atLimit(err, 5)
					denied.Add(1)
				}
			})
		}
		wait.ForGroup(t, &group, "calls at the same time")
		x.settle()
		if made.Load() != 5 || denied.Load() != 35 || x.as.count() != 5 {
			t.Fatalf("%d made, %d denied, %d at the AS", made.Load(), denied.Load(), x.as.count())
		}
		x.register(ofSoftware(request("other", "other"), "OpenBanking Ltd", "software2"))
		x.register(ofSoftware(request("sandbox", "sandbox"), "Sandbox Ltd", "software1"))
		ids := x.activeIDs()
		if err := x.Delete(x.t.Context(), x.ws, ids[0], presented("mine")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.register(request("jti", "token"))
		_, err := x.Register(x.t.Context(), x.ws, request("more", "more"))
		x.atLimit(err, 5)
		// What is there is changed as before.
		if _, err := x.Update(x.t.Context(), x.ws, ids[1], request("update", "")); err != nil {
			t.Error(err)
		}
	})
}

// TestClientsAboveTheLimit: those of a store that had no limit stay, work and can be
// changed; only new ones are refused, until there are fewer.
func TestClientsAboveTheLimit(t *testing.T) {
	t.Parallel()
	runLasting(t, true, func(x *fixture) {
		for i := range 7 {
			x.register(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
		}
		x.uncount()
		x.ws.ClientsPerSoftware = 5
		_, err := x.Register(x.t.Context(), x.ws, request("more", "more"))
		x.atLimit(err, 5)
		ids := x.activeIDs()
		if len(ids) != 7 {
			t.Fatalf("%d clients are left", len(ids))
		}
		if _, err := x.Update(x.t.Context(), x.ws, ids[0], request("update", "")); err != nil {
			t.Error(err)
		}
		for _, id := range ids[:3] {
			if err := x.Delete(x.t.Context(), x.ws, id, presented("mine")); err != nil {
				t.Fatal(err)
			}
		}
		x.register(request("more", "more"))
	})
}

// TestLimitOfTheOtherDirectory: a PUT whose statement comes from another directory makes
// the client one of that directory's software, which has a limit too, also where it is
// reached while the AS takes the update.
func TestLimitOfTheOtherDirectory(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.ClientsPerSoftware = 1
		c := x.register(request("jti1", "token1"))
		sandbox := x.register(ofSoftware(request("jti2", "token2"), "Sandbox Ltd", "software1"))
		_, err := x.Update(x.t.Context(), x.ws, c.ClientID, ofSoftware(request("jti3", ""), "Sandbox Ltd", "software1"))
		x.atLimit(err, 1)
		if err := x.Delete(x.t.Context(), x.ws, sandbox.ClientID, presented("mine")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.as.answersAfter(time.Second)
		errs := make(chan error)
		go func() {
			in := ofSoftware(request("jti3", ""), "Sandbox Ltd", "software1")
			in.Checked.Metadata.Scope = "openid"
			_, err := x.Update(x.t.Context(), x.ws, c.ClientID, in)
			errs <- err
		}()
		x.settleFor(ofSoftware(request("jti4", "token4"), "Sandbox Ltd", "software1"))
		x.atLimit(<-errs, 1)
		time.Sleep(10 * time.Second)
		x.settle()
		x.together(c.ClientID, "openid accounts")
		x.countsHold("after the refusal")
		got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
		if err != nil || got.Directory != "OpenBanking Ltd" || got.Status != registry.Active {
			t.Errorf("%+v, %v; want an active client of OpenBanking Ltd", got, err)
		}
	})
}

// TestLimitCountsPending: a registration whose answer is lost counts until it is undone.
func TestLimitCountsPending(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.ClientsPerSoftware = 1
		x.as.set(func() { x.as.fail["create"] = []error{registry.ErrLost, registry.ErrLost} })
		if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); err == nil {
			t.Fatal("its answer was to be lost")
		}
		_, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2"))
		x.atLimit(err, 1)
		time.Sleep(2 * time.Minute)
		x.settle()
		x.register(request("jti2", "token2"))
	})
}

// TestRepetitionAtTheLimit: a POST that repeats a registration makes no client.
func TestRepetitionAtTheLimit(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterReturn)
		x.ws.ClientsPerSoftware = 1
		first := x.register(request("jti1", "token1"))
		again, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2"))
		if err != nil || again.ClientID != first.ClientID {
			t.Errorf("%+v, %v; want client %s", again, err, first.ClientID)
		}
	})
}
