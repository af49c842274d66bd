package registry_test

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// trail is the whole audit trail of the fixture's workspace, read a page at a time.
func (x *fixture) trail() (entries []registry.AuditEntry) {
	x.t.Helper()
	for cursor := ""; ; {
		list, next, err := x.Audit(x.t.Context(), x.ws.Name, time.Time{}, cursor, 2)
		if err != nil || len(entries) > 100 {
			x.t.Fatalf("%d entries, %v", len(entries), err)
		}
		entries = append(entries, list...)
		if cursor = next; next == "" {
			return entries
		}
	}
}

// changes are those that the trail has.
func (x *fixture) changes() (made []string) {
	for _, e := range x.trail() {
		made = append(made, e.Change)
	}
	return made
}

// TestAudit: every change that is made has its entry, with whom it is about and where it
// came from, in their order.
func TestAudit(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.wants(registry.ReregisterReturn)
		x.as.secret = secrets("create", "update")
		from := registry.Origin{SupportCode: "code-1", Certificate: "thumb", WouldRefuse: []registry.Objection{{Policy: "roles", Reason: "no AISP"}}}
		in := request("jti1", "token1")
		in.Origin = from
		began := time.Now()
		c := x.register(in)
		x.register(in) // which has used up nothing new
		again := request("jti1", "token2")
		again.Origin = from
		x.register(again)
		changed := other("jti2", "")
		changed.Origin = registry.Origin{SupportCode: "code-2"}
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, changed); err != nil {
			t.Fatal(err)
		}
		x.settle()
		half := time.Now()
		if _, err := x.Renew(x.t.Context(), x.ws, c.ClientID, certificate(t, "new", time.Now())); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if err := x.RefreshKeys(x.t.Context(), x.ws, c.ClientID); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); err != nil {
			t.Fatal(err)
		}
		x.settle()
		for _, kind := range [][2]string{{registry.SuspendClient, c.ClientID}, {registry.SuspendSoftware, "software1"}, {registry.SuspendOrganisation, "org1"}, {registry.SuspendDirectory, "OpenBanking Ltd"}} {
			s := registry.Suspension{Workspace: x.ws.Name, Kind: kind[0], Value: kind[1], Act: registry.Act{Reason: "fraud"}}
			if err := x.Suspend(x.t.Context(), s); err != nil {
				t.Fatal(err)
			}
			x.settle()
			s.Reason = ""
			if err := x.Resume(x.t.Context(), s); err != nil {
				t.Fatal(err)
			}
			x.settle()
		}
		p := presented("token")
		p.Origin = registry.Origin{SupportCode: "code-3"}
		if err := x.Delete(x.t.Context(), x.ws, c.ClientID, p); err != nil {
			t.Fatal(err)
		}

		about := registry.AuditEntry{Schema: 1, Workspace: x.ws.Name, Registration: c.ID, ClientID: c.ClientID, SoftwareID: "software1", OrgID: "org1", Directory: "OpenBanking Ltd"}
		want := []registry.AuditEntry{}
		of := func(change string, from registry.Origin) {
			e := about
			e.Change, e.Origin = change, from
			want = append(want, e)
		}
		of(registry.AuditRegistered, from)
		of(registry.AuditRepeated, from)
		of(registry.AuditUpdated, registry.Origin{SupportCode: "code-2"})
		of(registry.AuditRenewed, registry.Origin{Certificate: "of new"})
		of(registry.AuditKeysRefreshed, registry.Origin{})
		of(registry.AuditSecretRotated, registry.Origin{})
		for _, e := range []registry.AuditEntry{{ClientID: c.ClientID}, {SoftwareID: "software1"}, {OrgID: "org1"}, {Directory: "OpenBanking Ltd"}} {
			e.Schema, e.Workspace = 1, x.ws.Name
			e.Change, e.Reason = registry.AuditSuspended, "fraud"
			want = append(want, e)
			e.Change, e.Reason = registry.AuditResumed, ""
			want = append(want, e)
		}
		of(registry.AuditDeleted, registry.Origin{SupportCode: "code-3"})

		got := x.trail()
		last, ids := began, map[string]bool{"": true}
		for i := range got {
			if got[i].At.Before(last) {
				t.Errorf("entry %d is of %s, after one of %s", i, got[i].At, last)
			}
			last = got[i].At
			if ids[got[i].ID] {
				t.Errorf("two entries are %q", got[i].ID)
			}
			ids[got[i].ID] = true
			got[i].ID, got[i].At = "", time.Time{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%+v\nwant\n%+v", got, want)
		}
		list, next, err := x.Audit(x.t.Context(), x.ws.Name, half, "", 1)
		if err != nil || len(list) != 1 || list[0].Change != registry.AuditRenewed {
			t.Errorf("since: %+v, %v", list, err)
		}
		if list, _, err = x.Audit(x.t.Context(), x.ws.Name, half, next, 1); err != nil || len(list) != 1 || list[0].Change != registry.AuditKeysRefreshed {
			t.Errorf("since, the second page: %+v, %v", list, err)
		}
		if list, _, err = x.Audit(x.t.Context(), "default/other", time.Time{}, "", 10); err != nil || len(list) != 0 {
			t.Errorf("another workspace has %+v, %v", list, err)
		}
		if list, _, err = x.Audit(x.t.Context(), "", time.Time{}, "", 100); err != nil || len(list) != len(want) {
			t.Errorf("all workspaces have %d, %v", len(list), err)
		}
	})
}

// TestRefusedChangesAreNotAudited: what is refused, or fails, changes nothing and has no entry.
func TestRefusedChangesAreNotAudited(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		no := refusal.New(refusal.InvalidClientMetadata, "authorization_server", "no")
		x.as.fail["create"] = []error{no, registry.ErrLost}
		for i := range 2 {
			if c, err := x.Register(x.t.Context(), x.ws, request(fmt.Sprint("jti", i), fmt.Sprint("token", i))); err == nil {
				t.Fatalf("%+v, want an error", c)
			}
		}
		c := x.register(request("jti3", "token3"))
		x.as.set(func() { x.as.fail["update"] = []error{no} })
		if c, err := x.Update(x.t.Context(), x.ws, c.ClientID, other("jti4", "")); err == nil {
			t.Fatalf("%+v, want an error", c)
		}
		if c, err := x.Register(x.t.Context(), x.ws, request("jti3", "token5")); err == nil {
			t.Fatalf("%+v, want an error", c)
		}
		s := registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: "nobody"}
		if err := x.Resume(x.t.Context(), s); err == nil {
			t.Fatal("nobody was suspended")
		}
		time.Sleep(time.Hour) // and whatever the outbox does of it
		if got := x.changes(); !slices.Equal(got, []string{registry.AuditRegistered}) {
			t.Errorf("%q, want registered alone", got)
		}
	})
}

// TestAuditOfRestore: a change whose answer was lost was not made, and the AS is told so;
// what it gave the client meanwhile is the gateway's own doing.
func TestAuditOfRestore(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.as.secret = secrets("create", "update")
		c := x.register(request("jti1", "token1"))
		x.as.set(func() { x.as.fail["update"] = []error{registry.ErrLost} })
		if err := x.RotateSecret(x.t.Context(), x.ws.Name, c.ClientID, registry.Act{}); err == nil {
			t.Fatal("the answer was not lost")
		}
		time.Sleep(time.Hour)
		trail := x.trail()
		if got := x.changes(); !slices.Equal(got, []string{registry.AuditRegistered, registry.AuditRestored}) || !reflect.DeepEqual(trail[1].Origin, registry.Origin{}) {
			t.Errorf("%+v, want registered and restored, the last of no origin", trail)
		}
	})
}

// TestAuditOfReregister: a POST that updates the registration that is there is an update.
func TestAuditOfReregister(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.wants(registry.ReregisterUpdate)
		x.register(request("jti1", "token1"))
		x.register(other("jti2", "token2"))
		if got := x.changes(); !slices.Equal(got, []string{registry.AuditRegistered, registry.AuditUpdated}) {
			t.Errorf("%q, want registered and updated", got)
		}
	})
}

// TestAuditRetention: entries are kept as long as the workspace says, and no longer.
func TestAuditRetention(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ configured, kept time.Duration }{{0, registry.DefaultAuditRetention}, {48 * time.Hour, 48 * time.Hour}} {
		var passed atomic.Int64 // years in fake time are many turns of the outbox
		now := func() time.Time { return time.Unix(1_800_000_000, passed.Load()) }
		r, err := registry.Open(t.Context(), registry.Options{Store: memory.Open(memory.Options{Now: now}), Sealer: plain{}, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		takeBack := r.Attach(registry.Workspace{Name: "default/obuk", Provisioner: newAS(true), AuditRetention: test.configured})
		if err := r.Suspend(t.Context(), registry.Suspension{Workspace: "default/obuk", Kind: registry.SuspendClient, Value: "x"}); err != nil {
			t.Fatal(err)
		}
		for after, want := range map[time.Duration]int{0: 1, test.kept - time.Minute: 1, test.kept + time.Minute: 0} {
			passed.Store(int64(after))
			if list, _, err := r.Audit(t.Context(), "default/obuk", time.Time{}, "", 10); err != nil || len(list) != want {
				t.Errorf("after %v: %+v, %v", after, list, err)
			}
		}
		takeBack()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
