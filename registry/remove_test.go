package registry_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func (x *fixture) removal(clientID string) registry.Removal {
	return registry.Removal{Workspace: x.ws.Name, ClientID: clientID, Act: registry.Act{Reason: "lost with the disk of the AS"}}
}

// TestRemoveALostClient: an operator deletes a client that the AS has lost. It can do
// nothing any more, its software has a place again, and the trail says who did it and why.
func TestRemoveALostClient(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		run(t, chooses, func(x *fixture) {
			x.ws.ClientsPerSoftware = 1
			takeBack := x.Attach(x.ws)
			defer takeBack()
			c := x.register(request("jti1", "token1"))
			_, err := x.Register(x.t.Context(), x.ws, request("jti2", "token2"))
			x.atLimit(err, 1)
			x.as.set(func() { delete(x.as.clients, c.ClientID) }) // behind our back

			if there, err := x.StillThere(x.t.Context(), x.ws.Name, c.ClientID); err != nil || there {
				t.Fatalf("still there: %v, %v", there, err)
			}
			x.diverged(registry.Detached)
			if x.as.count() != 0 {
				t.Fatal("whoever asks makes the client again")
			}
			for range 2 { // again: nothing happens
				if err := x.Remove(x.t.Context(), x.removal(c.ClientID)); err != nil {
					t.Fatal(err)
				}
				if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted {
					t.Errorf("%+v, %v; want a deleted client", got, err)
				}
			}
			if chooses { // made again and deleted: then it is certainly gone
				x.diverged()
			} else {
				x.diverged(registry.NotDeleted)
			}
			if x.as.count() != 0 || len(x.keys("outbox/"))+len(x.keys("later/")) > 1 { // the registration's token
				t.Errorf("%d clients at the AS, %q", x.as.count(), append(x.keys("outbox/"), x.keys("later/")...))
			}
			trail := x.trail()
			last := trail[len(trail)-1]
			if !slices.Equal(x.changes(), []string{registry.AuditRegistered, registry.AuditDeleted}) || last.Reason != "lost with the disk of the AS" || last.ClientID != c.ClientID || last.Registration == "" {
				t.Errorf("%+v, want registered and deleted, with the reason and the registration", trail)
			}
			x.register(request("jti2", "token2"))
		})
	}
}

// TestRemoveOnlyWhatIsLost: a client that the AS takes a change of stays, in whatever way
// it answers; so does one of which nobody can ask, and every one while the AS is down.
func TestRemoveOnlyWhatIsLost(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		takeBack := x.Attach(x.ws)
		defer takeBack()
		c := x.register(request("jti1", ""))
		stays := func(what string, m registry.Removal, want error) {
			t.Helper()
			if err := x.Remove(x.t.Context(), m); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
			if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Active || got.UpdatedAt != 0 || got.Metadata.Scope != c.Metadata.Scope {
				t.Errorf("%s: %+v, %v; want the active client as it was", what, got, err)
			}
		}
		stays("the AS has it", x.removal(c.ClientID), registry.ErrStillThere)
		stays("and was told again, with a token that it has replaced", x.removal(c.ClientID), registry.ErrStillThere)
		no := refusal.New(refusal.InvalidClientMetadata, "authorization_server", "no")
		x.as.set(func() { x.as.fail["update"] = []error{no} })
		stays("the AS refuses its metadata", x.removal(c.ClientID), registry.ErrStillThere)
		down := refusal.New(refusal.Unavailable, "", "down")
		x.as.set(func() { x.as.fail["update"] = []error{down} })
		stays("the AS is down", x.removal(c.ClientID), down)
		unknown := x.removal("nobody")
		stays("another client", unknown, registry.ErrNotFound)
		elsewhere := x.removal(c.ClientID)
		elsewhere.Workspace = "another"
		stays("another workspace", elsewhere, registry.ErrNotFound)
		for _, m := range []registry.Removal{{}, {Workspace: x.ws.Name, ClientID: c.ClientID}, {Workspace: x.ws.Name, ClientID: c.ClientID, Act: registry.Act{Reason: strings.Repeat("x", 501)}}} {
			if err := x.Remove(x.t.Context(), m); err == nil {
				t.Errorf("%+v is accepted", m)
			}
		}
		// Lost, and back from a backup before the operator comes to it.
		var kept registry.Credentials
		x.as.set(func() { kept = x.as.clients[c.ClientID]; delete(x.as.clients, c.ClientID) })
		if there, err := x.StillThere(x.t.Context(), x.ws.Name, c.ClientID); err != nil || there {
			t.Fatalf("still there: %v, %v", there, err)
		}
		x.diverged(registry.Detached)
		x.as.set(func() { x.as.clients[c.ClientID] = kept })
		stays("the AS has it again", x.removal(c.ClientID), registry.ErrStillThere)
		x.diverged()
	})
}

// TestRemoveASuspendedClient: that a client is suspended keeps its TPP from deleting it, and
// no operator.
func TestRemoveASuspendedClient(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		takeBack := x.Attach(x.ws)
		defer takeBack()
		c := x.register(request("jti1", ""))
		x.as.set(func() { delete(x.as.clients, c.ClientID) })
		if err := x.Suspend(x.t.Context(), registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}); err != nil {
			t.Fatal(err)
		}
		if err := x.Remove(x.t.Context(), x.removal(c.ClientID)); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted {
			t.Errorf("%+v, %v; want a deleted client", got, err)
		}
	})
}

// TestRemoveWhileTheServerIsDown: an AS that ends between the question and the deletion is
// told later.
func TestRemoveWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		takeBack := x.Attach(x.ws)
		defer takeBack()
		c := x.register(request("jti1", ""))
		x.as.set(func() {
			delete(x.as.clients, c.ClientID)
			x.as.fail["delete"] = []error{refusal.New(refusal.Unavailable, "", "down")}
		})
		if err := x.Remove(x.t.Context(), x.removal(c.ClientID)); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status == registry.Active {
			t.Errorf("%+v, %v; want a client that is not active", got, err)
		}
		time.Sleep(time.Minute)
		x.settle()
		if len(x.keys("outbox/"))+len(x.keys("later/")) != 0 {
			t.Errorf("the outbox holds %q, want nothing", append(x.keys("outbox/"), x.keys("later/")...))
		}
		x.diverged()
	})
}

// TestRemoveWhileSomethingElseAnswers: a load balancer without the AS behind it answers 404,
// or 401, to everything. Nothing is learned from that, and nothing changes.
func TestRemoveWhileSomethingElseAnswers(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		takeBack := x.Attach(x.ws)
		defer takeBack()
		c := x.register(request("jti1", ""))
		x.as.set(func() {
			x.as.elsewhere = refusal.New(refusal.Unavailable, "", "no discovery document")
			x.as.fail["update"] = []error{registry.ErrDetached}
		})
		_, err := x.StillThere(x.t.Context(), x.ws.Name, c.ClientID)
		for _, err := range []error{err, x.Remove(x.t.Context(), x.removal(c.ClientID))} {
			if refusal.From(err).Kind != refusal.Unavailable {
				t.Errorf("got %v", err)
			}
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Active {
			t.Errorf("%+v, %v; want an active client", got, err)
		}
		x.diverged()
	})
}

// forgetful is a sealer whose keyset was lost.
type forgetful struct {
	plain
	lost bool
}

func (f *forgetful) Open(sealed []byte, context string) ([]byte, error) {
	if f.lost {
		return nil, errors.New("another keyset")
	}
	return f.plain.Open(sealed, context)
}

// TestRemoveAfterTheKeysetIsLost: the AS cannot be asked about a client whose credentials do
// not open any more, and an operator who has looked deletes it. Nothing of it is tried again.
func TestRemoveAfterTheKeysetIsLost(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		sealer := new(forgetful)
		runSealed(t, chooses, sealer, func(x *fixture) {
			removed, deleted := x.register(request("jti1", "")), x.register(request("jti2", ""))
			sealer.lost = true
			m := x.removal(removed.ClientID)
			if err := x.Remove(x.t.Context(), m); !errors.Is(err, registry.ErrCannotCheck) {
				t.Errorf("got %v", err)
			}
			m.WithoutCheck = true
			if err := errors.Join(x.Remove(x.t.Context(), m), x.Delete(x.t.Context(), x.ws, deleted.ClientID, registry.Presented{})); err != nil {
				t.Error(err)
			}
			time.Sleep(2 * time.Minute)
			x.settle()
			if keys := append(x.keys("outbox/"), x.keys("later/")...); len(keys) != 0 {
				t.Errorf("left behind: %q", keys)
			}
			if chooses { // made again with credentials that open, and deleted
				x.diverged()
				if x.as.count() != 0 {
					t.Errorf("%d clients at the AS", x.as.count())
				}
			} else {
				x.diverged(registry.NotDeleted, registry.NotDeleted)
			}
		})
	}
}

// silent is an AS that gives no registration access tokens.
type silent struct{ *as }

func (s silent) Create(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	p, err := s.as.Create(ctx, c)
	if p != nil {
		p.Credentials = registry.Credentials{}
	}
	return p, err
}

func (s silent) Delete(context.Context, *registry.Client) error { return registry.ErrDetached }

// TestRemoveWithoutRegistrationToken: without a registration access token it is the operator who
// must have looked.
func TestRemoveWithoutRegistrationToken(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.ws.Provisioner = silent{x.as}
		takeBack := x.Attach(x.ws)
		defer takeBack()
		c := x.register(request("jti1", ""))
		m := x.removal(c.ClientID)
		if err := x.Remove(x.t.Context(), m); !errors.Is(err, registry.ErrCannotCheck) {
			t.Fatalf("%v, want %v", err, registry.ErrCannotCheck)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Active {
			t.Errorf("%+v, %v; want an active client", got, err)
		}
		m.WithoutCheck = true
		if err := x.Remove(x.t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted {
			t.Errorf("%+v, %v; want a deleted client", got, err)
		}
		x.diverged(registry.NotDeleted)
	})
}

// TestRemoveWithoutCheckAsksWhereItCan: an AS that can be asked is, and one that is down is waited for.
func TestRemoveWithoutCheckAsksWhereItCan(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		takeBack := x.Attach(x.ws)
		defer takeBack()
		m := x.removal(x.register(request("jti1", "")).ClientID)
		m.WithoutCheck = true
		if err := x.Remove(x.t.Context(), m); !errors.Is(err, registry.ErrStillThere) {
			t.Errorf("%v, want %v", err, registry.ErrStillThere)
		}
		for _, call := range []string{"update", "answers"} {
			x.as.set(func() {
				x.as.fail["update"] = []error{refusal.New(refusal.Unavailable, "", "down")}
				if call == "answers" {
					x.as.elsewhere = x.as.fail["update"][0]
				}
			})
			if err := x.Remove(x.t.Context(), m); refusal.From(err).Kind != refusal.Unavailable {
				t.Errorf("%s: %v, want a refusal until the server is reachable", call, err)
			}
		}
		if c, err := x.Client(x.t.Context(), x.ws.Name, m.ClientID); err != nil || c.Status != registry.Active {
			t.Errorf("%+v, %v; want an active client", c, err)
		}
	})
}
