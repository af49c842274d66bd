package registry_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// details are those of a client that must be there.
func (x *fixture) details(c *registry.Client) *registry.Details {
	x.t.Helper()
	d, err := x.Details(x.t.Context(), c.Workspace, c.ClientID)
	if err != nil {
		x.t.Fatal(err)
	}
	return d
}

// unauthorized is a request that can be read again, and came without a token.
func unauthorized(t *testing.T, n int) registry.Registration {
	in := whole(t, n)
	in.Token = nil
	return in
}

func history(d *registry.Details) (changes []string) {
	for _, e := range d.History {
		changes = append(changes, e.Change)
	}
	return changes
}

func TestDetails(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		ctx := x.t.Context()
		c, bystander := x.register(unauthorized(t, 1)), x.register(unauthorized(t, 2))
		x.settle()
		if _, err := x.Update(ctx, x.ws, c.ClientID, unauthorized(t, 3)); err != nil {
			t.Fatal(err)
		}
		suspensions := []registry.Suspension{
			{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID, Act: registry.Act{Reason: "fraud", Operator: registry.Operator{Name: "Anna", Known: registry.ByLocalUser}}},
			{Workspace: x.ws.Name, Kind: registry.SuspendDirectory, Value: c.Directory, Act: registry.Act{Reason: "all of it"}},
			{Workspace: x.ws.Name, Kind: registry.SuspendOrganisation, Value: "another"},
		}
		for _, s := range suspensions {
			x.settle()
			if err := x.Suspend(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		x.as.set(func() { x.as.fail["update"] = []error{registry.ErrDetached} })
		x.as.set(func() { x.as.fail["create"] = []error{registry.ErrDetached} })
		x.settle()
		_ = x.RefreshKeys(ctx, x.ws, c.ClientID)

		d := x.details(c)
		if d.Client.ClientID != c.ClientID || !d.Client.Suspended || d.Tag == "" || !d.Claims.Has("n") || !d.Statement.Has("org_id") || d.Certificate == nil {
			t.Errorf("%+v: not the client with its request, its statement and a tag", d)
		}
		if len(d.Suspensions) != 2 || d.Suspensions[0].Reason != "fraud" || d.Suspensions[0].Operator.Name != "Anna" || d.Suspensions[1].Kind != registry.SuspendDirectory {
			t.Errorf("%+v, want the client's and the directory's", d.Suspensions)
		}
		if len(d.Discrepancies) != 1 || d.Discrepancies[0].Kind != registry.Detached {
			t.Errorf("%+v, want that the AS has lost it", d.Discrepancies)
		}
		if want := []string{registry.AuditRegistered, registry.AuditUpdated, registry.AuditSuspended}; !slices.Equal(history(d), want) {
			t.Errorf("%v, want %v", history(d), want)
		}
		if e := d.History[2]; e.Reason != "fraud" || e.Operator.Name != "Anna" || e.ClientID != c.ClientID {
			t.Errorf("%+v, want who suspended it, and why", e)
		}
		if d := x.details(bystander); len(d.Suspensions) != 1 || len(d.Discrepancies) != 0 || !slices.Equal(history(d), []string{registry.AuditRegistered}) || d.Tag == x.details(c).Tag {
			t.Errorf("%+v: not what the other client has", d)
		}
		for _, id := range []string{"nobody", ""} {
			if _, err := x.Details(ctx, x.ws.Name, id); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%q: %v, want %v", id, err, registry.ErrNotFound)
			}
		}
	})
}

// TestDetailsShowWhatTheASHasYetToBeTold: and that a client which was deleted is not there.
func TestDetailsShowWhatTheASHasYetToBeTold(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		ctx := x.t.Context()
		c := x.register(unauthorized(t, 1))
		x.as.set(func() { x.as.fail["update"] = []error{registry.ErrLost} })
		if _, err := x.Update(ctx, x.ws, c.ClientID, unauthorized(t, 2)); err == nil {
			t.Fatal("the update did not fail")
		}
		x.settle()
		x.as.set(func() { x.as.fail["update"] = slices.Repeat([]error{registry.ErrLost}, 1000) })
		for range 90 { // until the lease has ended, and the AS was asked once more
			if d := x.details(c); len(d.Outbox) == 1 && d.Outbox[0].Kind == "restore" && d.Outbox[0].Attempts > 0 {
				break
			}
			x.settle()
		}
		if d := x.details(c); len(d.Outbox) != 1 || d.Outbox[0].LastError == "" {
			t.Errorf("%+v, want the restoration that has failed", d.Outbox)
		}
		x.as.set(func() { x.as.fail["update"] = nil })
		if err := x.Delete(ctx, x.ws, c.ClientID, registry.Presented{}); err == nil {
			x.settle()
			if _, err := x.Details(ctx, x.ws.Name, c.ClientID); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%v, want %v", err, registry.ErrNotFound)
			}
		}
	})
}

// TestDetailsShowTheNewestHistory: of a client that is changed every day.
func TestDetailsShowTheNewestHistory(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(unauthorized(t, 1000))
		for i := range 60 {
			x.settle()
			if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, unauthorized(t, i)); err != nil {
				t.Fatal(err)
			}
		}
		d := x.details(c)
		newest := d.History[len(d.History)-1].At
		if len(d.History) != 50 || newest.Unix() != d.Client.UpdatedAt || !d.History[0].At.Before(newest) || slices.Contains(history(d), registry.AuditRegistered) {
			t.Errorf("%d changes from %v to %v, want the newest 50", len(d.History), d.History[0].At, newest)
		}
	})
}

// TestDetailsOfADamagedRequest: the client is shown all the same, so that it can be suspended.
func TestDetailsOfADamagedRequest(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(unauthorized(t, 1))
		for _, damage := range []func(w registry.Writer, key string) error{
			func(w registry.Writer, key string) error { return w.Put(key, []byte("x")) },
			func(w registry.Writer, key string) error { return w.Delete(key) },
		} {
			key := x.keys("document/")[0]
			if err := x.store.Update(x.t.Context(), func(w registry.Writer) error { return damage(w, key) }); err != nil {
				t.Fatal(err)
			}
			if d := x.details(c); d.Unreadable == nil || d.Tag == "" || d.Client.ClientID != c.ClientID || d.Certificate != nil {
				t.Errorf("%+v, want the client with a tag, and why there is no request", d)
			}
		}
	})
}
