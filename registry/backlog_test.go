package registry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestBacklogs(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		began := time.Now().Unix()
		if b := x.backlog(); b != (summary{Workspace: x.ws.Name, Configured: true}) {
			t.Errorf("%+v, want a configured workspace where nothing waits", b)
		}
		down := refusal.New(refusal.Unavailable, "", "down")
		x.as.set(func() { x.as.fail["revoke"] = []error{down, down, down, down, down, down} })
		for i := range 2 {
			x.register(request(fmt.Sprint("jti", i), fmt.Sprint("token", i)))
		}
		b := x.backlog()
		if b.Waiting != 2 || b.Oldest != began || b.LastError == "" || b.LastTried < began {
			t.Errorf("%+v, want two waiting since %v, tried since, with an error", b, began)
		}
		list, _, err := x.Outbox(x.t.Context(), "", "", 1)
		// What came due in the last moment waits for the outbox's next look.
		if err != nil || len(list) != 1 || list[0].Kind != "revoke" || list[0].Attempts == 0 || list[0].Due < time.Now().Unix()-1 || list[0].LastError != b.LastError {
			t.Errorf("%+v, %v; want one revocation that was tried and is due, with the error %q", list, err, b.LastError)
		}
		time.Sleep(10 * time.Minute)
		x.settle()
		if b := x.backlog(); b != (summary{Workspace: x.ws.Name, Configured: true}) {
			t.Errorf("%+v, want a configured workspace where nothing waits", b)
		}
	})
}

// A lease of a request at work is no backlog; one that nobody ended is.
func TestBacklogOfACrash(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		other := registry.Workspace{Name: "gone", Provisioner: newAS(true)}
		other.Provisioner.(*as).fail["create"] = []error{registry.ErrLost, registry.ErrLost}
		if _, err := x.Register(x.t.Context(), other, request("jti1", "")); err == nil {
			t.Fatal("registered")
		}
		list, err := x.Backlogs(x.t.Context())
		if err != nil || len(list) != 1 {
			t.Errorf("%+v, %v; want one workspace", list, err)
		}
		time.Sleep(2 * time.Minute)
		list, err = x.Backlogs(x.t.Context())
		if err != nil || len(list) != 2 || list[1].Workspace != "gone" || list[1].Configured || list[1].Waiting != 1 {
			t.Errorf("%+v, %v; want two workspaces, the last one gone with one entry that waits", list, err)
		}
	})
}

// What a lease held is free when what follows it is due, and shown to operators; not
// up to a second earlier, as it would be if only one of them counted whole seconds.
func TestBacklogWhenALeaseEnds(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		time.Sleep(900 * time.Millisecond)
		other := registry.Workspace{Name: "gone", Provisioner: newAS(true)}
		other.Provisioner.(*as).fail["create"] = []error{registry.ErrLost, registry.ErrLost}
		if _, err := x.Register(x.t.Context(), other, request("jti1", "")); err == nil {
			t.Fatal("registered")
		}
		for range 1000 {
			time.Sleep(100 * time.Millisecond)
			_, err := x.Register(x.t.Context(), other, request("jti1", ""))
			list, _, listErr := x.Outbox(x.t.Context(), "", "", 1)
			if free, due := err == nil, len(list) == 1; free != due || listErr != nil {
				t.Errorf("jti free: %v, work due: %v, %v", free, due, listErr)
			}
			if err == nil {
				return
			}
		}
		t.Error("held for ever")
	})
}

func TestBacklogOfMany(t *testing.T) {
	t.Parallel()
	run(t, false, func(x *fixture) {
		for i := range 2500 {
			err := x.store.Update(x.t.Context(), func(w registry.Writer) error {
				return w.Put(fmt.Sprintf("outbox/%016x/%d", time.Now().Add(time.Hour).UnixNano(), i), []byte(`{"workspace":"default/obuk","kind":"revoke","since":7}`))
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		x.as.set(func() { x.as.fail["create"] = []error{registry.ErrLost} })
		if _, err := x.Register(x.t.Context(), x.ws, request("jti1", "")); err == nil {
			t.Fatal("registered")
		}
		list, err := x.Backlogs(x.t.Context())
		if err != nil || len(list) != 1 || list[0].Waiting != 2500 || list[0].Oldest != 7 || list[0].Discrepancies[registry.AnswerLost] != 1 {
			t.Errorf("%+v, %v; want one workspace with 2500 waiting, the oldest of 7, and one lost answer", list, err)
		}
		if page, _, err := x.Outbox(x.t.Context(), "", "", 1500); err != nil || len(page) != 1500 {
			t.Errorf("%d, %v; want 1500", len(page), err)
		}
	})
}

// summary is a Backlog that can be compared.
type summary struct {
	Workspace         string
	Configured        bool
	Waiting           int
	Oldest, LastTried int64
	LastError         string
}

// backlog is the fixture's workspace's, which is the only one.
func (x *fixture) backlog() summary {
	x.t.Helper()
	list, err := x.Backlogs(x.t.Context())
	if err != nil || len(list) != 1 {
		x.t.Fatalf("%+v, %v; want one workspace", list, err)
	}
	b := list[0]
	return summary{b.Workspace, b.Configured, b.Waiting, b.Oldest, b.LastTried, b.LastError}
}
