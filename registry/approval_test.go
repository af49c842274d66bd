package registry_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// wider is a request that asks for one scope more than request does.
func wider(jti string) registry.Registration {
	in := request(jti, "")
	in.Checked.Metadata.Scope = "openid accounts payments"
	return in
}

// approves makes a workspace one in which an operator approves.
func (x *fixture) approves(mode string) {
	x.ws.Approval = mode
	x.Attach(x.ws)
}

// status fails unless the client has it. It is in the index exactly while it waits.
func (x *fixture) status(clientID string, want registry.Status) {
	x.t.Helper()
	c, err := x.Client(x.t.Context(), x.ws.Name, clientID)
	if err != nil || c.Status != want {
		x.t.Errorf("%+v, %v; want status %s", c, err, want)
		return
	}
	page, err := x.Search(x.t.Context(), []string{x.ws.Name}, registry.Filter{Status: registry.AwaitingApproval}, "", 100)
	if err != nil {
		x.t.Fatal(err)
	}
	listed := slices.ContainsFunc(page.Clients, func(c *registry.Client) bool { return c.ClientID == clientID })
	if listed != (want == registry.AwaitingApproval) || page.Looked != len(page.Clients) {
		x.t.Errorf("%s: among those that await approval: %t, %d looked at for %d", want, listed, page.Looked, len(page.Clients))
	}
}

// seen is what an operator says who has just looked at a client.
func (x *fixture) seen(clientID string) registry.Act {
	x.t.Helper()
	d, err := x.Details(x.t.Context(), x.ws.Name, clientID)
	if err != nil {
		x.t.Fatal(err)
	}
	return registry.Act{Operator: registry.Operator{Name: "Anna", Known: registry.ByOperatorCertificate}, Reason: "contract signed", Match: d.Tag}
}

func (x *fixture) approve(clientID string) error {
	x.t.Helper()
	_, err := x.Approve(x.t.Context(), x.ws.Name, clientID, x.seen(clientID))
	return err
}

func TestApprove(t *testing.T) {
	t.Parallel()
	for _, mode := range registry.ApprovalModes {
		for _, chooses := range []bool{false, true} {
			run(t, chooses, func(x *fixture) {
				x.approves(mode)
				c := x.register(request("jti1", "token1"))
				if len(c.AskedApproval) != 1 || c.Status != registry.AwaitingApproval {
					t.Errorf("%+v, want a client that awaits approval, and why", c)
				}
				x.status(c.ClientID, registry.AwaitingApproval)
				counts, _ := x.ClientCounts([]string{x.ws.Name})
				if n := counts[0].ByStatus[registry.AwaitingApproval]; n != 1 {
					t.Errorf("%d clients are counted that await approval, want 1", n)
				}
				stale := x.seen(c.ClientID)
				if err := x.Suspend(x.t.Context(), registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}); err != nil {
					t.Fatal(err)
				}
				if _, err := x.Approve(x.t.Context(), x.ws.Name, c.ClientID, stale); !errors.Is(err, registry.ErrChanged) {
					t.Errorf("%v, want %v", err, registry.ErrChanged)
				}
				x.settle()
				if err := x.approve(c.ClientID); err != nil {
					t.Fatal(err)
				}
				x.status(c.ClientID, registry.Active)
				x.suspended(c.ClientID, true)
				if err := x.approve(c.ClientID); !errors.Is(err, registry.ErrNotAwaiting) {
					t.Errorf("once more: %v, want %v", err, registry.ErrNotAwaiting)
				}
				if _, err := x.Approve(x.t.Context(), x.ws.Name, "nobody", registry.Act{}); !errors.Is(err, registry.ErrNotFound) {
					t.Errorf("nobody: %v, want %v", err, registry.ErrNotFound)
				}
				trail := x.trail()
				if want := []string{registry.AuditRegistered, registry.AuditAwaitingApproval, registry.AuditSuspended, registry.AuditApproved}; !slices.Equal(x.changes(), want) {
					t.Errorf("%q, want %q", x.changes(), want)
				}
				if e := trail[1]; len(e.Approval) != 1 || e.Approval[0] != (registry.ApprovalReason{Reason: "a new registration"}) || e.ClientID != c.ClientID {
					t.Errorf("%+v, want why it awaits approval", e)
				}
				if e := trail[len(trail)-1]; e.Operator.Name != "Anna" || e.Reason != "contract signed" || e.ClientID != c.ClientID || e.OrgID != "org1" {
					t.Errorf("%+v, want the client, who approved it and why", e)
				}
			})
		}
	}
}

// TestRefuse: a client that is not approved is deleted, here and at the AS, and its software
// may come again.
func TestRefuse(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		run(t, chooses, func(x *fixture) {
			x.wants(registry.ReregisterReturn)
			x.ws.ClientsPerSoftware = 1
			x.approves(registry.ApprovalRegistrations)
			c := x.register(request("jti1", "token1"))
			x.settle()
			stale := x.seen(c.ClientID)
			stale.Match = `"of nothing"`
			if _, err := x.Refuse(x.t.Context(), x.ws.Name, c.ClientID, stale); !errors.Is(err, registry.ErrChanged) {
				t.Fatalf("%v, want %v", err, registry.ErrChanged)
			}
			was, err := x.Refuse(x.t.Context(), x.ws.Name, c.ClientID, x.seen(c.ClientID))
			if err != nil || was.SoftwareID != "software1" {
				t.Fatalf("%+v, %v", was, err)
			}
			x.settle()
			x.status(c.ClientID, registry.Deleted)
			if x.as.count() != 0 {
				t.Errorf("%d clients at the AS", x.as.count())
			}
			if e := x.trail()[2]; e.Change != registry.AuditRefused || e.Operator.Name != "Anna" {
				t.Errorf("%+v, want the refusal", e)
			}
			again := x.register(request("jti2", "token2"))
			if again.ClientID == c.ClientID {
				t.Error("the refused client came back")
			}
			x.status(again.ClientID, registry.AwaitingApproval)
			if err := x.approve(again.ClientID); err != nil {
				t.Fatal(err)
			}
			if _, err := x.Refuse(x.t.Context(), x.ws.Name, again.ClientID, x.seen(again.ClientID)); !errors.Is(err, registry.ErrNotAwaiting) {
				t.Errorf("%v, want %v", err, registry.ErrNotAwaiting)
			}
		})
	}
}

// watching looks at the registry while the AS is asked for an update.
type watching struct {
	*as
	update func(c *registry.Client)
}

func (w *watching) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	w.update(c)
	return w.as.Update(ctx, c)
}

// TestWiderUpdateAwaitsApproval: a client that gets more must not be able to use it at any
// moment before an operator approves: not while the AS has it already and the registry not yet.
func TestWiderUpdateAwaitsApproval(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.status(c.ClientID, registry.Active)
		_, reading, err := x.Lookup(x.t.Context(), x.ws.Name, c.ClientID)
		if err != nil || !x.Unchanged(reading) {
			t.Fatal(reading, err)
		}
		during := false
		x.ws.Provisioner = &watching{x.as, func(asked *registry.Client) {
			during = true
			if x.Unchanged(reading) {
				t.Error("a cached decision goes on while the AS is asked")
			}
			x.status(c.ClientID, registry.AwaitingApproval)
		}}
		x.approves(registry.ApprovalChanges)
		now, err := x.Update(x.t.Context(), x.ws, c.ClientID, wider("jti2"))
		if err != nil || !during || len(now.AskedApproval) != 1 || now.AskedApproval[0].Reason != "adds to scope: payments" {
			t.Fatalf("%+v, %v, the AS was asked: %t", now, err, during)
		}
		x.settle()
		x.status(c.ClientID, registry.AwaitingApproval)
		x.together(c.ClientID, "openid accounts payments")
		if want := []string{registry.AuditRegistered, registry.AuditUpdated, registry.AuditAwaitingApproval}; !slices.Equal(x.changes(), want) {
			t.Errorf("%q, want %q", x.changes(), want)
		}
		// It changes itself, and does not become active by that, even where nobody approves any more.
		x.ws.Approval = ""
		if now, err = x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti3")); err != nil || len(now.AskedApproval) != 0 {
			t.Fatalf("%+v, %v", now, err)
		}
		x.status(c.ClientID, registry.AwaitingApproval)
		if err := x.approve(c.ClientID); err != nil {
			t.Fatal(err)
		}
		x.status(c.ClientID, registry.Active)
		x.together(c.ClientID, "openid")
	})
}

func TestUpdatesThatAwaitNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode string
		in   registry.Registration
	}{
		"less, with changes":       {registry.ApprovalChanges, narrower("jti2")},
		"the same, with changes":   {registry.ApprovalChanges, request("jti2", "")},
		"more, with registrations": {registry.ApprovalRegistrations, wider("jti2")},
		"more, without approval":   {"", wider("jti2")},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				client := x.register(request("jti1", ""))
				x.approves(c.mode)
				c.in.Request.Expires = time.Now().Add(time.Hour)
				now, err := x.Update(x.t.Context(), x.ws, client.ClientID, c.in)
				if err != nil || len(now.AskedApproval) > 0 {
					t.Errorf("%+v, %v", now, err)
				}
				x.status(client.ClientID, registry.Active)
			})
		})
	}
}

// narrowing is an AS that leaves a scope out.
type narrowing struct{ *as }

func (n narrowing) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	p, err := n.as.Update(ctx, c)
	if err == nil {
		p.Metadata.Scope = "openid accounts"
	}
	return p, err
}

// TestOnlyWhatIsRegisteredAwaits: a scope that the AS leaves out needs no approval.
func TestOnlyWhatIsRegisteredAwaits(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.ws.Provisioner = narrowing{x.as}
		x.approves(registry.ApprovalChanges)
		if now, err := x.Update(x.t.Context(), x.ws, c.ClientID, wider("jti2")); err != nil || len(now.AskedApproval) > 0 {
			t.Errorf("%+v, %v", now, err)
		}
		x.status(c.ClientID, registry.Active)
	})
}

// TestPoliciesAskForApproval: also where the workspace does not.
func TestPoliciesAskForApproval(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		why := []registry.ApprovalReason{{Policy: "new-organisations", Reason: "not known to us"}}
		in := request("jti1", "")
		in.Approval = why
		c := x.register(in)
		x.status(c.ClientID, registry.AwaitingApproval)
		if !slices.Equal(c.AskedApproval, why) {
			t.Errorf("%+v, want %+v", c.AskedApproval, why)
		}
		if err := x.approve(c.ClientID); err != nil {
			t.Fatal(err)
		}
		in = narrower("jti2")
		in.Approval = why
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err != nil {
			t.Fatal(err)
		}
		x.status(c.ClientID, registry.AwaitingApproval)
		trail := x.details(c).History
		if e := trail[len(trail)-1]; e.Change != registry.AuditAwaitingApproval || !slices.Equal(e.Approval, why) {
			t.Errorf("%+v, want which policy asked", e)
		}
	})
}

// TestRepeatedRegistrationsAwaitApproval: a POST whose answer was lost is answered with the
// client that waits. It goes on waiting, whatever else happens to its registration.
func TestRepeatedRegistrationsAwaitApproval(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{registry.ReregisterReturn, registry.ReregisterUpdate} {
		t.Run(mode, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				x.wants(mode)
				x.ws.ClientsPerSoftware = 1
				x.approves(registry.ApprovalRegistrations)
				c := x.register(request("jti1", "token1"))
				again, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1"))
				if err != nil || !again.Repeated || again.ClientID != c.ClientID || len(again.AskedApproval) > 0 {
					t.Fatalf("%+v, %v; want the client that is there", again, err)
				}
				x.status(c.ClientID, registry.AwaitingApproval)
				if _, err := x.Renew(x.t.Context(), x.ws, c.ClientID, certificate(t, "renewed", time.Now().Add(time.Hour))); err != nil {
					t.Error(err)
				}
				if err := x.RefreshKeys(x.t.Context(), x.ws, c.ClientID); err != nil {
					t.Error(err)
				}
				x.ended(x.reconciles(registry.ReconcileOptions{Repair: true}), registry.ReconcileDone, map[string]int{registry.Same: 1})
				x.status(c.ClientID, registry.AwaitingApproval)
				if err := x.approve(c.ClientID); err != nil {
					t.Fatal(err)
				}
				if again, err = x.Register(x.t.Context(), x.ws, request("jti1", "token1")); err != nil || again.ClientID != c.ClientID {
					t.Fatalf("%+v, %v; want the client that is there", again, err)
				}
				x.status(c.ClientID, registry.Active) // once approved it stays so
			})
		})
	}
}

// TestReregisterUpdateAwaitsApproval: a POST that updates asks for no less than a PUT.
func TestReregisterUpdateAwaitsApproval(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterUpdate)
		c := x.register(request("jti1", "token1"))
		x.approves(registry.ApprovalChanges)
		in := wider("jti2")
		in.Token = &verify.AccessToken{Raw: "token2", Expires: time.Now().Add(time.Hour)}
		if now := x.register(in); now.ClientID != c.ClientID || len(now.AskedApproval) != 1 {
			t.Errorf("%+v, want the client, which awaits approval", now)
		}
		x.status(c.ClientID, registry.AwaitingApproval)
	})
}

// TestWaitingClientIsKept: by the store, and by the count of its software.
func TestWaitingClientIsKept(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.ClientsPerSoftware = 1
		x.approves(registry.ApprovalRegistrations)
		c := x.register(request("jti1", ""))
		_, err := x.Register(x.t.Context(), x.ws, request("jti2", ""))
		refused(t, err, refusal.AccessDenied, "clients_per_software")
		later, err := registry.Open(x.t.Context(), registry.Options{Store: staying{x.store.(*memory.Store)}, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		if now, err := later.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || now.Status != registry.AwaitingApproval {
			t.Errorf("after a restart: %+v, %v; want a client that awaits approval", now, err)
		}
		if err := later.Close(); err != nil {
			t.Error(err)
		}
		if err := x.Registry.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.status(c.ClientID, registry.Deleted)
		x.register(request("jti2", ""))
	})
}

// TestFailedWiderUpdate: a client that asked for more and did not get it is what it was, as
// soon as it is certain that the AS has nothing else; and nobody can approve it before.
func TestFailedWiderUpdate(t *testing.T) {
	t.Parallel()
	down := refusal.New(refusal.Unavailable, "", "down")
	for name, c := range map[string]struct {
		fail       []error
		carriedOut bool
		// atOnce: nothing is left to find out.
		atOnce bool
	}{
		"refused":                      {[]error{refusal.New(refusal.InvalidClientMetadata, "", "no")}, false, true},
		"down":                         {[]error{down}, false, true},
		"lost, and made":               {[]error{registry.ErrLost}, true, false},
		"lost, and not made":           {[]error{registry.ErrLost}, false, false},
		"lost, and then down a while":  {[]error{registry.ErrLost, down, down}, true, false},
		"lost, and lost when restored": {[]error{registry.ErrLost, registry.ErrLost}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(x *fixture) {
				client := x.register(request("jti1", ""))
				x.approves(registry.ApprovalChanges)
				x.as.set(func() { x.as.fail["update"], x.as.carriedOut = c.fail, c.carriedOut })
				if _, err := x.Update(x.t.Context(), x.ws, client.ClientID, wider("jti2")); err == nil {
					t.Fatal("updated")
				}
				x.as.set(func() { x.as.carriedOut = false })
				if c.atOnce {
					x.status(client.ClientID, registry.Active)
					x.together(client.ClientID, "openid accounts")
					return
				}
				if now, err := x.Client(x.t.Context(), x.ws.Name, client.ClientID); err != nil || now.Status != registry.AwaitingApproval {
					t.Errorf("%+v, %v; want a client that waits", now, err)
				}
				if err := x.approve(client.ClientID); err == nil {
					t.Error("approved while the AS may have more")
				}
				time.Sleep(10 * time.Minute)
				x.settle()
				x.status(client.ClientID, registry.Active)
				x.together(client.ClientID, "openid accounts")
			})
		})
	}
}

// TestWiderUpdateMadeInAnotherWay: the AS has more than the client is to have, and is told the
// old metadata again at once.
func TestWiderUpdateMadeInAnotherWay(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.approves(registry.ApprovalChanges)
		x.as.carriedOut = true
		x.as.fail["update"] = []error{refusal.New(refusal.Unavailable, "", "it has another authentication method")}
		restored := make(chan struct{})
		calls := 0
		x.ws.Provisioner = &watching{x.as, func(*registry.Client) {
			if calls++; calls == 2 { // the first is that of the TPP
				x.status(c.ClientID, registry.AwaitingApproval)
				close(restored)
			}
		}}
		x.approves(registry.ApprovalChanges)
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, wider("jti2")); err == nil {
			t.Fatal("updated")
		}
		wait.For(t, restored, "the old metadata at the AS")
		x.settle()
		x.status(c.ClientID, registry.Active)
		x.together(c.ClientID, "openid accounts")
	})
}

// TestCrashInAWiderUpdate: what the AS may have is not used, until it has the old metadata
// again.
func TestCrashInAWiderUpdate(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		x.approves(registry.ApprovalChanges)
		x.as.crash = true
		var group sync.WaitGroup
		group.Go(func() {
			_, err := x.Update(x.t.Context(), x.ws, c.ClientID, wider("jti2"))
			t.Error("went on:", err)
		})
		wait.ForGroup(t, &group, "the crash")
		if got := x.as.scope(c.ClientID); got != "openid accounts payments" {
			t.Fatalf("the AS has %q", got)
		}
		x.status(c.ClientID, registry.AwaitingApproval)
		refused(t, x.approve(c.ClientID), refusal.Unavailable, "change")
		time.Sleep(time.Minute)
		x.settle()
		x.status(c.ClientID, registry.Active)
		x.together(c.ClientID, "openid accounts")
	})
}

// TestWaitsUntilTheEndIsKnown: where the AS does not take the old metadata any more, a client
// waits until it is known what the AS has.
func TestWaitsUntilTheEndIsKnown(t *testing.T) {
	t.Parallel()
	for name, waited := range map[string]bool{"let in before": false, "not let in yet": true} {
		t.Run(name, func(t *testing.T) {
			run(t, false, func(x *fixture) {
				if waited {
					x.approves(registry.ApprovalChanges)
				}
				c := x.register(request("jti1", ""))
				x.approves(registry.ApprovalChanges)
				x.as.set(func() {
					x.as.fail["update"] = []error{registry.ErrLost, refusal.New(refusal.InvalidClientMetadata, "", "no")}
				})
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, wider("jti2")); err == nil {
					t.Fatal("updated")
				}
				time.Sleep(time.Minute)
				x.settle()
				x.status(c.ClientID, registry.AwaitingApproval)
				if err := x.approve(c.ClientID); !errors.Is(err, registry.ErrUnsettled) {
					t.Errorf("%v, want %v", err, registry.ErrUnsettled)
				}
				x.ended(x.reconciles(registry.ReconcileOptions{Repair: true}), registry.ReconcileDone, map[string]int{registry.Same: 1})
				if !waited {
					x.status(c.ClientID, registry.Active)
					return
				}
				x.status(c.ClientID, registry.AwaitingApproval)
				if err := x.approve(c.ClientID); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestApproveRacesUpdate: whatever comes first, no metadata are let in that the operator has
// not seen.
func TestApproveRacesUpdate(t *testing.T) {
	t.Parallel()
	for range 50 {
		run(t, true, func(x *fixture) {
			x.approves(registry.ApprovalChanges)
			c := x.register(request("jti1", ""))
			act := x.seen(c.ClientID)
			var group sync.WaitGroup
			var approved, updated error
			group.Go(func() { _, approved = x.Approve(x.t.Context(), x.ws.Name, c.ClientID, act) })
			group.Go(func() { _, updated = x.Update(x.t.Context(), x.ws, c.ClientID, wider("jti2")) })
			wait.ForGroup(t, &group, "both")
			if updated != nil || approved != nil && !errors.Is(approved, registry.ErrChanged) && refusal.From(approved).Rule != "change" {
				t.Errorf("update: %v, approval: %v, want the update, and an approval only before it", updated, approved)
			}
			x.settle()
			x.status(c.ClientID, registry.AwaitingApproval)
		})
	}
}

// TestApproveRacesDelete: a client that is deleted does not come back.
func TestApproveRacesDelete(t *testing.T) {
	t.Parallel()
	for range 50 {
		run(t, true, func(x *fixture) {
			x.approves(registry.ApprovalRegistrations)
			c := x.register(request("jti1", ""))
			act := x.seen(c.ClientID)
			var group sync.WaitGroup
			group.Go(func() { _, _ = x.Approve(x.t.Context(), x.ws.Name, c.ClientID, act) })
			group.Go(func() {
				if err := x.Registry.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")); err != nil {
					t.Error(err)
				}
			})
			wait.ForGroup(t, &group, "both")
			x.settle()
			x.status(c.ClientID, registry.Deleted)
			if x.as.count() != 0 {
				t.Error("the AS still has it")
			}
		})
	}
}

// TestDeletionOfAWaitingClient: an operator can delete a client that the AS has lost while it
// waited.
func TestDeletionOfAWaitingClient(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.approves(registry.ApprovalRegistrations)
		c := x.register(request("jti1", ""))
		x.as.set(func() { delete(x.as.clients, c.ClientID) })
		x.ended(x.reconciles(registry.ReconcileOptions{}), registry.ReconcileDone, map[string]int{registry.Detached: 1})
		x.status(c.ClientID, registry.AwaitingApproval)
		if err := x.DeleteByOperator(x.t.Context(), x.ws.Name, c.ClientID, x.seen(c.ClientID)); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.status(c.ClientID, registry.Deleted)
	})
}

// TestTrustOfAWaitingClient: what speaks against a client is known before an operator decides.
func TestTrustOfAWaitingClient(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.ws.Approval = registry.ApprovalRegistrations
		x.looking(&checker{find: finds(registry.KeyRevoked)}, func(ws *registry.Workspace) { ws.SuspendLostTrust = true })
		c := x.register(request("jti1", ""))
		x.pass()
		if got := x.found(registry.KeyRevoked); len(got) != 1 || len(x.stopped([]string{c.ClientID})) != 1 {
			t.Errorf("found %q, want the client, suspended", got)
		}
		x.status(c.ClientID, registry.AwaitingApproval)
	})
}

// TestTwoOperatorsApprove: where two are demanded, a proposal is for the client as both have seen
// it, and ends when it is confirmed. What does not wait cannot be proposed.
func TestTwoOperatorsApprove(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.approves(registry.ApprovalRegistrations)
		c := x.register(request("jti1", ""))
		s := registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}
		tag := x.details(c).Tag
		if _, p, err := x.proposes("approve", s, by("CN=Anna", registry.ByOperatorCertificate, tag)); err != nil || p == nil {
			t.Fatalf("%+v, %v; want a proposal", p, err)
		}
		x.status(c.ClientID, registry.AwaitingApproval)
		act, p, err := x.proposes("approve", s, by("CN=Bob", registry.ByOperatorCertificate, tag))
		if err != nil || p != nil {
			t.Fatalf("%+v, %v; want that it is confirmed", p, err)
		}
		if _, err := x.Approve(x.t.Context(), x.ws.Name, c.ClientID, act); err != nil {
			t.Fatal(err)
		}
		x.status(c.ClientID, registry.Active)
		d := x.details(c)
		if last := d.History[len(d.History)-1]; last.Change != registry.AuditApproved || last.Operator.Name != "CN=Bob" || last.Proposed == nil || last.Proposed.Operator.Name != "CN=Anna" || len(d.Proposals) != 0 {
			t.Errorf("%+v, %+v; want both operators, and no proposal left", last, d.Proposals)
		}
		if _, _, err := x.proposes("approve", s, by("CN=Anna", registry.ByOperatorCertificate, d.Tag)); !errors.Is(err, registry.ErrNotAwaiting) {
			t.Errorf("an active client: %v, want %v", err, registry.ErrNotAwaiting)
		}
	})
}
