package registry_test

import (
	"errors"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestRepeatedActIsRefused: an operator's call that would change nothing is refused, with and
// without a proposal, and leaves no entry in the audit trail.
func TestRepeatedActIsRefused(t *testing.T) {
	t.Parallel()
	client := func(x *fixture) registry.Suspension {
		return registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: "as-1", Act: anna}
	}
	suspended := func(kind, value string) func(*fixture) error {
		return func(x *fixture) error {
			s := registry.Suspension{Workspace: x.ws.Name, Kind: kind, Value: value, Act: anna}
			return x.Suspend(x.t.Context(), s)
		}
	}
	for _, test := range []struct {
		name, proposes string
		call           func(*fixture) error
		want           error
	}{
		{"suspend a client", "", suspended(registry.SuspendClient, "as-1"), registry.ErrSuspended},
		{"suspend a software", "", suspended(registry.SuspendSoftware, "software1"), registry.ErrSuspended},
		{"suspend an organisation", "", suspended(registry.SuspendOrganisation, "org1"), registry.ErrSuspended},
		{"suspend a directory", "", suspended(registry.SuspendDirectory, "OpenBanking Ltd"), registry.ErrSuspended},
		{"resume", registry.FourEyesResume, func(x *fixture) error { return x.Resume(x.t.Context(), client(x)) }, registry.ErrNotFound},
		{"approve", registry.FourEyesApprove, func(x *fixture) error {
			_, err := x.Approve(x.t.Context(), x.ws.Name, "as-1", anna)
			return err
		}, registry.ErrNotAwaiting},
		{"refuse", registry.FourEyesDelete, func(x *fixture) error {
			_, err := x.Refuse(x.t.Context(), x.ws.Name, "as-1", anna)
			return err
		}, registry.ErrNotFound},
		{"delete", registry.FourEyesDelete, func(x *fixture) error { return x.DeleteByOperator(x.t.Context(), x.ws.Name, "as-1", anna) }, registry.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			run(t, false, func(x *fixture) {
				x.approves(registry.ApprovalRegistrations)
				x.register(request("jti1", ""))
				if test.name == "resume" {
					if err := x.Suspend(x.t.Context(), client(x)); err != nil {
						t.Fatal(err)
					}
				}
				if err := test.call(x); err != nil {
					t.Fatal(err)
				}
				before := len(x.trail())
				if err := test.call(x); !errors.Is(err, test.want) {
					t.Errorf("again: %v, want %v", err, test.want)
				}
				x.settle()
				if err := test.call(x); !errors.Is(err, test.want) {
					t.Errorf("later: %v, want %v", err, test.want)
				}
				if test.proposes != "" {
					act := anna
					act.Match = `"of nothing"`
					if _, p, err := x.proposes(test.proposes, client(x), act); !errors.Is(err, test.want) || p != nil {
						t.Errorf("proposed: %+v, %v; want %v", p, err, test.want)
					}
				}
				if after := x.trail(); len(after) != before {
					t.Errorf("%d entries after %d: %+v", len(after), before, after[len(after)-1])
				}
			})
		})
	}
}
