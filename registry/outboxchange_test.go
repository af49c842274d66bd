package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

var anna = registry.Act{Operator: registry.Operator{Name: "Anna", Known: registry.ByOperatorCertificate}, Reason: "the AS is gone"}

// down makes a call of the AS fail for as long as anybody tries.
func (x *fixture) down(calls ...string) {
	x.as.set(func() {
		for _, call := range calls {
			x.as.fail[call] = slices.Repeat([]error{refusal.New(refusal.Unavailable, "", "down")}, 1000)
		}
	})
}

// waiting is the one entry of the outbox that waits, and an act for it.
func (x *fixture) waiting(kind string) (registry.OutboxEntry, registry.Act) {
	x.t.Helper()
	list, next, err := x.Outbox(x.t.Context(), x.ws.Name, "", 10)
	if err != nil || next != "" || len(list) != 1 || list[0].Kind != kind || list[0].ID == "" {
		x.t.Fatalf("%+v, %q, %v; want one %s", list, next, err, kind)
	}
	shown, tag, err := x.OutboxEntry(x.t.Context(), x.ws.Name, list[0].ID)
	if err != nil || *shown != list[0] {
		x.t.Fatalf("%+v, %v; want %+v", shown, err, list[0])
	}
	act := anna
	act.Match = tag
	return list[0], act
}

// lastAct fails unless the newest entry of the trail is this one of Anna.
func (x *fixture) lastAct(change, kind string) registry.AuditEntry {
	x.t.Helper()
	trail := x.trail()
	last := trail[len(trail)-1]
	if last.Change != change || last.Outbox != kind || last.Operator != anna.Operator || last.Reason != anna.Reason {
		x.t.Errorf("%+v, want %s of %s by Anna", last, change, kind)
	}
	return last
}

// TestRetryOutbox: what would wait for minutes is done at once.
func TestRetryOutbox(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.down("revoke")
		x.register(request("jti1", "token1"))
		time.Sleep(10 * time.Minute)
		e, act := x.waiting("revoke")
		for range 10 { // how long it waits is left to chance
			if e.Due-time.Now().Unix() >= 60 {
				break
			}
			time.Sleep(time.Minute)
			e, act = x.waiting("revoke")
		}
		stale := act
		stale.Match = `"of nothing"`
		for what, c := range map[string]struct {
			workspace, id string
			act           registry.Act
			want          error
		}{
			"another tag":       {x.ws.Name, e.ID, stale, registry.ErrChanged},
			"another id":        {x.ws.Name, "nobody", act, registry.ErrNotFound},
			"another workspace": {"default/other", e.ID, act, registry.ErrNotFound},
		} {
			for name, change := range map[string]func(context.Context, string, string, registry.Act) error{"retry": x.RetryOutbox, "give up": x.GiveUpOutbox} {
				if err := change(x.t.Context(), c.workspace, c.id, c.act); !errors.Is(err, c.want) {
					t.Errorf("%s, %s: %v, want %v", name, what, err, c.want)
				}
			}
		}
		if err := x.RetryOutbox(x.t.Context(), "", e.ID, act); err != nil {
			t.Fatal(err)
		}
		x.settle()
		x.lastAct(registry.AuditRetried, "revoke")
		again, act := x.waiting("revoke")
		if again.ID != e.ID || again.Attempts != e.Attempts+1 || again.Due < time.Now().Unix()+60 {
			t.Errorf("%+v after %+v, want one more attempt, and the pauses as before", again, e)
		}
		x.as.set(func() { x.as.fail["revoke"] = nil })
		if err := x.RetryOutbox(x.t.Context(), x.ws.Name, e.ID, act); err != nil {
			t.Fatal(err)
		}
		x.settle()
		if left := append(x.keys("outbox/"), x.keys("later/")...); len(left) > 0 || x.as.ended() != 1 {
			t.Errorf("left %q, and %d tokens were revoked", left, x.as.ended())
		}
		if _, _, err := x.OutboxEntry(x.t.Context(), x.ws.Name, e.ID); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want %v", err, registry.ErrNotFound)
		}
	})
}

// TestGiveUpOutbox: each kind of work ends here, and what it leaves at the AS is listed.
func TestGiveUpOutbox(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, left string
		// before leaves the work, and returns the client that it is about.
		before func(x *fixture) string
		// after looks at the client.
		after func(x *fixture, clientID string)
	}{
		{"revoke", registry.NotRevoked, func(x *fixture) string {
			x.down("revoke")
			return x.register(request("jti1", "token1")).ClientID
		}, func(x *fixture, clientID string) {
			if c, err := x.Client(x.t.Context(), x.ws.Name, clientID); err != nil || c.Status != registry.Active {
				x.t.Errorf("%+v, %v; want the client as it was", c, err)
			}
		}},
		{"undo", registry.NotDeleted, func(x *fixture) string {
			x.as.set(func() { x.as.fail["create"] = slices.Repeat([]error{registry.ErrLost}, 1000) })
			if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "token1")); !errors.Is(err, registry.ErrLost) {
				x.t.Fatal(err)
			}
			return ""
		}, func(x *fixture, _ string) {
			x.nothingLeft()
			x.as.set(func() { x.as.fail["create"] = nil })
			x.register(request("jti1", "token1")) // token and jti are free again
		}},
		{"delete", registry.NotDeleted, func(x *fixture) string {
			c := x.register(request("jti1", ""))
			x.down("delete")
			if err := x.Delete(x.t.Context(), x.ws, c.ClientID, registry.Presented{}); err != nil {
				x.t.Fatal(err)
			}
			return c.ClientID
		}, func(x *fixture, clientID string) {
			if c, err := x.Client(x.t.Context(), x.ws.Name, clientID); err != nil || c.Status != registry.Deleted {
				x.t.Errorf("%+v, %v; want a deleted client", c, err)
			}
			if left := append(x.keys("client/"), x.keys("document/")...); len(left) > 0 {
				x.t.Errorf("left %q", left)
			}
		}},
		{"restore", registry.OtherMetadata, func(x *fixture) string {
			c := x.register(request("jti1", ""))
			x.as.set(func() { x.as.fail["update"] = slices.Repeat([]error{registry.ErrLost}, 1000) })
			if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); !errors.Is(err, registry.ErrLost) {
				x.t.Fatal(err)
			}
			return c.ClientID
		}, func(x *fixture, clientID string) {
			x.as.set(func() { x.as.fail["update"] = nil })
			time.Sleep(10 * time.Minute) // the lease of the attempt that failed
			if _, err := x.Update(x.t.Context(), x.ws, clientID, narrower("jti3")); err != nil {
				x.t.Fatal(err)
			}
			x.diverged()
		}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			run(t, true, func(x *fixture) {
				id := c.before(x)
				time.Sleep(5 * time.Minute)
				e, act := x.waiting(c.kind)
				if err := x.GiveUpOutbox(x.t.Context(), x.ws.Name, e.ID, act); err != nil {
					t.Fatal(err)
				}
				if left := append(x.keys("outbox/"), x.keys("later/")...); len(left) > 0 {
					t.Errorf("left %q", left)
				}
				last := x.lastAct(registry.AuditGivenUp, c.kind)
				d := x.diverged(c.left)[0]
				if !strings.Contains(d.Error, "given up by an operator; the last attempt: ") || d.Since != time.Now().Unix() || c.kind != "revoke" && (d.Registration != last.Registration || d.ClientID == "" || d.SoftwareID != "software1") {
					t.Errorf("%+v, want what was given up", d)
				}
				if err := x.GiveUpOutbox(x.t.Context(), x.ws.Name, e.ID, act); !errors.Is(err, registry.ErrNotFound) {
					t.Errorf("again: %v, want %v", err, registry.ErrNotFound)
				}
				c.after(x, id)
			})
		})
	}
}

// TestGiveUpWithoutAConfiguration: of a workspace that is not configured nothing is tried, and
// the work can be given up.
func TestGiveUpWithoutAConfiguration(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		x.ws = registry.Workspace{Name: "gone", Provisioner: newAS(false)}
		x.ws.Provisioner.(*as).fail["create"] = []error{registry.ErrLost}
		ctx, cancel := context.WithCancel(x.t.Context())
		x.ws.Provisioner.(*as).hangsAt = "create"
		go func() { _, _ = x.Register(ctx, x.ws, request("jti1", "token1")) }()
		synctest.Wait()
		undo := x.keys("later/")
		// As a crash leaves it, and as it is before its lease ends.
		if _, _, err := x.OutboxEntry(x.t.Context(), "", strings.Split(undo[0], "/")[2]); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("an entry of a request at work: %v, want %v", err, registry.ErrNotFound)
		}
		err := x.store.Update(x.t.Context(), func(w registry.Writer) error {
			v, err := w.Get(undo[0])
			return errors.Join(err, w.Put("later/0000000000000000/"+strings.Split(undo[0], "/")[2], v), w.Delete(undo[0]))
		})
		if err != nil {
			t.Fatal(err)
		}
		e, act := x.waiting("undo")
		if err := x.RetryOutbox(x.t.Context(), "", e.ID, act); !errors.Is(err, registry.ErrNotAttached) {
			t.Errorf("%v, want %v", err, registry.ErrNotAttached)
		}
		if err := x.GiveUpOutbox(x.t.Context(), "", e.ID, act); err != nil {
			t.Fatal(err)
		}
		x.diverged(registry.AnswerLost)
		x.nothingLeft()
		cancel()
		time.Sleep(2 * time.Minute)
	})
}

// TestEntryAtWorkIsNotChanged: an attempt and an operator do not work on one entry.
func TestEntryAtWorkIsNotChanged(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.down("revoke")
		x.register(request("jti1", "token1"))
		time.Sleep(5 * time.Minute)
		e, act := x.waiting("revoke")
		x.as.set(func() { x.as.fail["revoke"], x.as.hangsAt = nil, "revoke" })
		time.Sleep(time.Until(time.Unix(e.Due, 0)) + 2*time.Second)
		synctest.Wait()
		if err := x.GiveUpOutbox(x.t.Context(), "", e.ID, act); !errors.Is(err, registry.ErrAtWork) {
			t.Errorf("%v, want %v", err, registry.ErrAtWork)
		}
		if err := x.RetryOutbox(x.t.Context(), "", e.ID, act); !errors.Is(err, registry.ErrAtWork) {
			t.Errorf("%v, want %v", err, registry.ErrAtWork)
		}
		time.Sleep(20 * time.Minute)
		if x.as.ended() != 1 {
			t.Errorf("%d tokens were revoked, want one", x.as.ended())
		}
		x.diverged()
	})
}

// TestManyGiveUpAtOnce: one of them does, while the outbox tries the entry too.
func TestManyGiveUpAtOnce(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		x.down("revoke")
		const entries, operators = 20, 8
		for i := range entries {
			x.register(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
		}
		time.Sleep(5 * time.Minute)
		list, _, err := x.Outbox(x.t.Context(), "", "", 100)
		if err != nil || len(list) != entries {
			t.Fatalf("%d entries, %v", len(list), err)
		}
		results := make(chan error)
		for _, e := range list {
			_, tag, err := x.OutboxEntry(x.t.Context(), "", e.ID)
			if err != nil {
				t.Fatal(err)
			}
			act := anna
			act.Match = tag
			for i := range operators {
				change := x.GiveUpOutbox
				if i == 0 {
					change = x.RetryOutbox
				}
				go func() { results <- change(x.t.Context(), "", e.ID, act) }()
			}
		}
		done := 0
		for range entries * operators {
			switch err := wait.For(x.t, results, "a change"); {
			case err == nil:
				done++
			case !errors.Is(err, registry.ErrChanged) && !errors.Is(err, registry.ErrNotFound) && !errors.Is(err, registry.ErrAtWork):
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		x.as.set(func() { x.as.fail["revoke"] = nil })
		time.Sleep(20 * time.Minute) // a token that has expired needs no revocation any more
		given := len(slices.DeleteFunc(x.changes(), func(change string) bool { return change != registry.AuditGivenUp }))
		list2, _, err := x.Discrepancies(x.t.Context(), "", "", 100)
		if err != nil || done != entries || len(list2) != given || x.as.ended()+given != entries || len(x.keys("outbox/")) > 0 {
			t.Errorf("%d changes, %d given up, %d discrepancies, %d revoked, %v; want each entry to end once; left %q", done, given, len(list2), x.as.ended(), err, x.keys("outbox/"))
		}
	})
}

// TestOutboxPages: of one workspace, with a cursor that tells nothing.
func TestOutboxPages(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		other := registry.Workspace{Name: "default/other", Provisioner: newAS(true)}
		x.down("revoke")
		for i := range 5 {
			x.register(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
			if err := x.EndToken(x.t.Context(), other, presented(fmt.Sprint("other", i))); err != nil {
				t.Fatal(err)
			}
		}
		for workspace, want := range map[string]int{x.ws.Name: 5, other.Name: 5, "": 10, "nobody": 0} {
			seen, pages := map[string]bool{}, 0
			for cursor := ""; pages < 20; pages++ {
				list, next, err := x.Outbox(x.t.Context(), workspace, cursor, 2)
				if err != nil || len(list) > 2 {
					t.Fatalf("%+v, %v", list, err)
				}
				for _, e := range list {
					if workspace != "" && e.Workspace != workspace {
						t.Errorf("%+v, want %s", e, workspace)
					}
					seen[e.ID] = true
				}
				if cursor = next; next == "" {
					break
				}
			}
			if len(seen) != want {
				t.Errorf("%q: %d entries, want %d", workspace, len(seen), want)
			}
		}
		for _, cursor := range []string{"outbox/1", "Y2xpZW50L3gveQ", "b3V0Ym94Lw", "b3V0Ym94L3g", "====", strings.Repeat("b3V0", 2000)} {
			if _, _, err := x.Outbox(x.t.Context(), "", cursor, 2); !errors.Is(err, registry.ErrCursor) {
				t.Errorf("%.20s: %v, want %v", cursor, err, registry.ErrCursor)
			}
		}
	})
}
