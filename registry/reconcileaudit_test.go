package registry_test

import (
	"fmt"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// reconcileEntries are the entries of the trail that are about reconciliations.
func (x *fixture) reconcileEntries() (list []registry.AuditEntry) {
	x.t.Helper()
	for _, e := range x.trail() {
		if e.Reconciliation != nil {
			list = append(list, e)
		}
	}
	return list
}

// TestReconciliationIsAudited: the trail says who has begun one and who has ended it, and what
// came out.
func TestReconciliationIsAudited(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ids := x.population(3)
		x.as.set(func() { x.as.unlike = map[string][]registry.Difference{ids[0]: {{Member: "scope"}}} })
		x.reconciles(registry.ReconcileOptions{})
		x.settle()
		x.as.set(func() { x.as.elsewhere = registry.ErrNotAsked }) // so that it waits
		x.down("read")
		if _, err := x.Reconcile(x.t.Context(), x.ws.Name, registry.ReconcileOptions{Act: bob, Repair: true, Force: true}); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if _, err := x.StopReconciling(x.t.Context(), x.ws.Name, anna); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.as.set(func() { x.as.elsewhere, x.as.fail["read"] = nil, nil })
		x.reconciles(registry.ReconcileOptions{Resume: true})
		var got []string
		for _, e := range x.reconcileEntries() {
			n := e.Reconciliation
			got = append(got, fmt.Sprint(e.Change, e.Operator.Name, e.Reason != "", n.Repair, n.Force, n.Resumed, n.State, n.Checked, n.Counts[registry.Same], n.Counts[registry.Different]))
		}
		want := []string{
			fmt.Sprint("reconcile_started", "Bob", true, false, false, false, "", 0, 0, 0),
			fmt.Sprint("reconcile_ended", "Bob", true, false, false, false, registry.ReconcileDone, 3, 2, 1),
			fmt.Sprint("reconcile_started", "Bob", true, true, true, false, "", 0, 0, 0),
			fmt.Sprint("reconcile_ended", "Anna", true, true, true, false, registry.ReconcileStopped, 0, 0, 0),
			fmt.Sprint("reconcile_started", "Bob", true, true, false, true, "", 0, 0, 0),
			fmt.Sprint("reconcile_ended", "Bob", true, true, false, true, registry.ReconcileDone, 3, 2, 1),
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got\n%q\nwant\n%q", got, want)
		}
	})
}
