package registry_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestSuspend(t *testing.T) {
	t.Parallel()
	for kind, value := range map[string]string{registry.SuspendClient: "", registry.SuspendSoftware: "software1", registry.SuspendOrganisation: "org1", registry.SuspendDirectory: "OpenBanking Ltd"} {
		t.Run(kind, func(t *testing.T) {
			run(t, true, func(x *fixture) {
				c := x.register(request("jti1", "token1"))
				s := registry.Suspension{Workspace: x.ws.Name, Kind: kind, Value: value, Act: registry.Act{Reason: "asked for"}}
				if kind == registry.SuspendClient {
					s.Value = c.ClientID
				}
				if err := x.Suspend(x.t.Context(), s); err != nil {
					t.Fatal(err)
				}
				x.suspended(c.ClientID, true)
				_, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2"))
				refused(t, err, refusal.AccessDenied, "suspended")
				refused(t, x.Registry.Delete(x.t.Context(), x.ws, c.ClientID, presented("t")), refusal.AccessDenied, "suspended")
				_, err = x.Register(x.t.Context(), x.ws, request("jti3", "token3"))
				if kind == registry.SuspendClient {
					if err != nil {
						t.Error(err)
					}
				} else {
					refused(t, err, refusal.AccessDenied, "suspended")
				}
				list, next, err := x.Suspensions(x.t.Context(), x.ws.Name, "", 10)
				if err != nil || next != "" || len(list) != 1 || list[0].Value != s.Value || list[0].Reason != "asked for" || list[0].Since != time.Now().Unix() {
					t.Errorf("%+v, %q, %v; want one suspension, now, with its value and reason", list, next, err)
				}

				if err := x.Resume(x.t.Context(), s); err != nil {
					t.Fatal(err)
				}
				if err := x.Resume(x.t.Context(), s); !errors.Is(err, registry.ErrNotFound) {
					t.Errorf("%v, want %v", err, registry.ErrNotFound)
				}
				x.suspended(c.ClientID, false)
				if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, narrower("jti2")); err != nil {
					t.Errorf("the refusal has burnt the request: %v", err)
				}
			})
		})
	}
}

func (x *fixture) suspended(clientID string, want bool) {
	x.t.Helper()
	c, err := x.Client(x.t.Context(), x.ws.Name, clientID)
	if err != nil || c.Suspended != want {
		x.t.Errorf("%+v, %v; want suspended %t", c, err, want)
	}
}

func TestSuspensionsAreChecked(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		for _, s := range []registry.Suspension{
			{}, {Workspace: "a", Kind: "client"}, {Kind: "client", Value: "a"}, {Workspace: "a", Kind: "all", Value: "a"},
			{Workspace: "a", Kind: "client", Value: strings.Repeat("a", 1025)}, {Workspace: "a", Kind: "client", Value: "\xff"},
			{Workspace: "a", Kind: "client", Value: "a", Act: registry.Act{Reason: string(make([]byte, 501))}},
		} {
			if err := x.Suspend(x.t.Context(), s); err == nil {
				t.Errorf("%+v, want an error", s)
			}
		}
		if err := x.Suspend(x.t.Context(), registry.Suspension{Workspace: "a/b", Kind: "client", Value: "c"}); err != nil {
			t.Fatal(err)
		}
		if list, _, err := x.Suspensions(x.t.Context(), "", "", 10); err != nil || len(list) != 1 || list[0].Workspace != "a/b" {
			t.Errorf("%v, %v; want one, of a/b", list, err)
		}
		if _, _, err := x.Suspensions(x.t.Context(), "a/b", "elsewhere", 10); err == nil {
			t.Error("the cursor of another list was taken")
		}
	})
}

// A suspended client may revoke its tokens, and for that its renewed certificate must
// become the one that the AS knows.
func TestSuspendedClientRenews(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		if err := x.Suspend(x.t.Context(), registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendClient, Value: c.ClientID}); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Renew(x.t.Context(), x.ws, c.ClientID, certificate(t, "renewed", time.Now().Add(time.Hour))); err != nil {
			t.Error(err)
		}
	})
}

// TestStatementOfASuspendedDirectory: a client cannot move to a directory that is suspended.
func TestStatementOfASuspendedDirectory(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		c := x.register(request("jti1", ""))
		if err := x.Suspend(x.t.Context(), registry.Suspension{Workspace: x.ws.Name, Kind: registry.SuspendDirectory, Value: "another"}); err != nil {
			t.Fatal(err)
		}
		in := narrower("jti2")
		in.Request.Statement.Issuer = &verify.Issuer{Name: "another"}
		_, err := x.Update(x.t.Context(), x.ws, c.ClientID, in)
		refused(t, err, refusal.AccessDenied, "suspended")
		if now, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID); err != nil || now.Directory != c.Directory || x.as.times("update") != 0 {
			t.Errorf("%+v, %v, %d updates of the AS; want the client as it was", now, err, x.as.times("update"))
		}
	})
}
