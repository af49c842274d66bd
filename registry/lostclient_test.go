package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

var lostWithTheDisk = registry.Act{Reason: "lost with the disk of the AS"}

// TestDeleteALostClient: an operator deletes a client that the AS has lost. It can do
// nothing any more, its software has a place again, and the trail says who did it and why.
func TestDeleteALostClient(t *testing.T) {
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

			x.ended(x.reconciles(registry.ReconcileOptions{}), registry.ReconcileDone, map[string]int{registry.Detached: 1})
			x.diverged(registry.Detached)
			if x.as.count() != 0 {
				t.Fatal("whoever asks makes the client again")
			}
			if err := x.DeleteByOperator(x.t.Context(), x.ws.Name, c.ClientID, lostWithTheDisk); err != nil {
				t.Fatal(err)
			}
			if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted {
				t.Errorf("%+v, %v; want a deleted client", got, err)
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
			if !slices.Equal(x.changes(), []string{registry.AuditRegistered, registry.AuditReconcileStarted, registry.AuditReconcileEnded, registry.AuditDeleted}) || last.Reason != "lost with the disk of the AS" || last.ClientID != c.ClientID || last.Registration == "" {
				t.Errorf("%+v, want registered, a reconciliation, and deleted, with the reason and the registration", trail)
			}
			x.register(request("jti2", "token2"))
		})
	}
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

// TestDeleteAfterTheKeysetIsLost: the AS cannot be asked about a client whose credentials do
// not open any more, and an operator deletes it. Nothing of it is tried again.
func TestDeleteAfterTheKeysetIsLost(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{false, true} {
		sealer := new(forgetful)
		runSealed(t, chooses, sealer, func(x *fixture) {
			removed, deleted := x.register(request("jti1", "")), x.register(request("jti2", ""))
			sealer.lost = true
			defer x.Attach(x.ws)()
			if err := errors.Join(x.DeleteByOperator(x.t.Context(), x.ws.Name, removed.ClientID, lostWithTheDisk), x.Delete(x.t.Context(), x.ws, deleted.ClientID, registry.Presented{})); err != nil {
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

// TestDeleteWithoutRegistrationToken: without a registration access token the AS cannot be asked,
// and the operator deletes the client all the same: what the AS may still have is listed.
func TestDeleteWithoutRegistrationToken(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.ws.Provisioner = silent{x.as}
		takeBack := x.Attach(x.ws)
		defer takeBack()
		c := x.register(request("jti1", ""))
		x.ended(x.reconciles(registry.ReconcileOptions{}), registry.ReconcileDone, map[string]int{registry.Detached: 1})
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Active {
			t.Errorf("%+v, %v; want an active client", got, err)
		}
		if err := x.DeleteByOperator(x.t.Context(), x.ws.Name, c.ClientID, lostWithTheDisk); err != nil {
			t.Fatal(err)
		}
		if got, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted {
			t.Errorf("%+v, %v; want a deleted client", got, err)
		}
		x.diverged(registry.NotDeleted)
	})
}
