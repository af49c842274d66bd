package registry_test

import (
	"errors"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestDeleteByOperator(t *testing.T) {
	t.Parallel()
	for what, before := range map[string]func(x *fixture, c *registry.Client){
		"an active client": func(*fixture, *registry.Client) {},
		"a suspended client": func(x *fixture, c *registry.Client) {
			if err := x.Suspend(x.t.Context(), registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}); err != nil {
				x.t.Fatal(err)
			}
		},
		"while the AS is down": func(x *fixture, _ *registry.Client) {
			x.as.set(func() { x.as.fail["delete"] = []error{refusal.New(refusal.Unavailable, "", "down")} })
		},
		"a client that the AS has lost": func(x *fixture, c *registry.Client) { x.as.set(func() { delete(x.as.clients, c.ClientID) }) },
	} {
		t.Run(what, func(t *testing.T) {
			for _, chooses := range []bool{false, true} {
				run(t, chooses, func(x *fixture) {
					ctx := x.t.Context()
					c := x.register(request("jti1", "token1"))
					before(x, c)
					x.settle() // entries of one moment have no order
					act := registry.Act{Operator: registry.Operator{Name: "Anna", Known: registry.ByOperatorCertificate}, Reason: "contract ended"}
					stale := act
					stale.Match = `"of nothing"`
					if err := x.DeleteByOperator(ctx, x.ws.Name, c.ClientID, stale); !errors.Is(err, registry.ErrChanged) {
						t.Fatalf("with a tag of nothing: %v", err)
					}
					_, tag, err := x.Suspension(ctx, registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID})
					if err != nil {
						t.Fatal(err)
					}
					act.Match = tag
					if err := x.DeleteByOperator(ctx, x.ws.Name, c.ClientID, act); err != nil {
						t.Fatal(err)
					}
					if got, err := x.Client(ctx, x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted && got.Status != registry.Deleting {
						t.Errorf("%+v, %v; want a client that can do nothing any more", got, err)
					}
					for range 3 {
						x.settle()
					}
					if got, err := x.Client(ctx, x.ws.Name, c.ClientID); err != nil || got.Status != registry.Deleted || x.as.count() != 0 {
						t.Errorf("%+v, %v, %d clients at the AS; want none", got, err, x.as.count())
					}
					trail := x.trail()
					if last := trail[len(trail)-1]; last.Change != registry.AuditDeleted || last.Reason != "contract ended" || last.Operator.Name != "Anna" || last.ClientID != c.ClientID {
						t.Errorf("%+v, want the deletion, its operator and the reason", last)
					}
					for _, id := range []string{c.ClientID, "nobody"} {
						if err := x.DeleteByOperator(ctx, x.ws.Name, id, act); !errors.Is(err, registry.ErrNotFound) {
							t.Errorf("%s: %v, want %v", id, err, registry.ErrNotFound)
						}
					}
				})
			}
		})
	}
}
