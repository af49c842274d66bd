package admin

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func init() { caddy.RegisterModule(hears{}) }

// heard are the events of the running gateway since the last look.
var heard struct {
	sync.Mutex
	events []caddy.Event
}

// hears keeps events.
type hears struct{}

func (hears) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.admin_test_hears", New: func() caddy.Module { return new(hears) }}
}

func (*hears) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { d.Next(); return nil }

func (*hears) Handle(_ context.Context, e caddy.Event) error {
	heard.Lock()
	defer heard.Unlock()
	heard.events = append(heard.events, e)
	return nil
}

var _ caddyevents.Handler = (*hears)(nil)

// events are the names of the events about a client that were heard since the last look.
func events(client string) (names []string) {
	heard.Lock()
	defer heard.Unlock()
	for _, e := range heard.events {
		if e.Data["client_id"] == client && e.Data["operator"] == "Anna" && e.Data["reason"] == "a test" {
			names = append(names, e.Name())
		}
	}
	heard.events = nil
	return names
}

// awaiting is a stage whose clients await approval.
func awaiting(t *testing.T) *stage {
	t.Helper()
	s := newStage(t, 0)
	s.with(func(r *registry.Registry) {
		for i := range 2 {
			ws := registry.Workspace{Name: "default/obuk", Provisioner: s.as, Approval: registry.ApprovalChanges}
			if _, err := r.Register(t.Context(), ws, registers(i)); err != nil {
				t.Fatal(err)
			}
		}
	})
	return s
}

func TestApproveAClient(t *testing.T) {
	s := awaiting(t)
	s.is(s.ask("GET", "clients?status=awaiting_approval", ""), 200, `"client_id":"2"`)
	s.is(s.ask("GET", "clients?status=active", ""), 200, `"entries":[]`)
	s.is(s.ask("GET", "clients?status=awaiting", ""), 400, "status is active, awaiting_approval or deleting")
	a := s.is(s.ask("GET", "clients/1", ""), 200, `"approval":[{"reason":"a new registration"}]`)
	s.is(s.ask("POST", "clients/1/approve", change), 428, "If-Match is missing")
	s.is(s.ask("POST", "clients/1/approve", change, "If-Match", `"of nothing"`), 412, "changed since you read it")
	s.is(s.ask("POST", "clients/nobody/approve", change, "If-Match", a.tag), 404, "not found")
	suspended := s.is(s.ask("POST", "clients/1/suspend", change, "If-Match", a.tag), 200, `"suspended":true`)
	s.is(s.ask("POST", "clients/1/approve", change, "If-Match", a.tag), 412, "changed since you read it")
	approved := s.is(s.ask("POST", "clients/1/approve", change, "If-Match", suspended.tag), 200, `"status":"active","suspended":true`)
	if got := events("1"); !slices.Equal(got, []string{"openbanking_dcr_approved"}) {
		t.Errorf("events %q, want that it was approved, once", got)
	}
	s.is(s.ask("POST", "clients/1/approve", change, "If-Match", approved.tag), 409, "does not await approval")
	s.is(s.ask("POST", "clients/1/refuse", change, "If-Match", approved.tag), 409, "does not await approval")
	if got := events("1"); len(got) > 0 {
		t.Errorf("events %q of what was not done", got)
	}
	s.is(s.ask("GET", "clients?status=awaiting_approval", ""), 200, `"looked":1`)
	s.is(s.ask("GET", "audit?workspace=default/obuk", ""), 200, `"change":"approved"`)
	if s.as.deleted != 0 {
		t.Errorf("%d clients were deleted at the AS", s.as.deleted)
	}
}

func TestRefuseAClient(t *testing.T) {
	s := awaiting(t)
	a := s.ask("GET", "clients/2", "")
	s.is(s.ask("POST", "clients/2/refuse", change, "If-Match", `"of nothing"`), 412, "changed since you read it")
	s.is(s.ask("POST", "clients/2/refuse", change, "If-Match", a.tag), 204, "")
	if got := events("2"); !slices.Equal(got, []string{"openbanking_dcr_refused"}) {
		t.Errorf("events %q, want that it was refused, once", got)
	}
	s.is(s.ask("GET", "clients/2", ""), 404, "deleted")
	s.is(s.ask("GET", "audit?workspace=default/obuk", ""), 200, `"change":"refused"`)
	if s.as.deleted != 1 {
		t.Errorf("the AS was asked to delete %d clients, want 1", s.as.deleted)
	}
}
