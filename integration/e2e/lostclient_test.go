package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestOperatorsRemoveLostClients: the AS has lost a client, whose TPP gets no token to delete
// it with, and whose software may have no other. The operator finds it and takes it away.
func TestOperatorsRemoveLostClients(t *testing.T) {
	t.Parallel()
	one := gateway.Workspace("clients_per_software 1")
	policy := gateway.Workspace("policy cel `software.clients == 0`")
	for name, c := range map[string]struct {
		edits  []gateway.Edit
		status int
		code   string
	}{
		"chosen by the gateway":     {[]gateway.Edit{one}, 403, "access_denied"},
		"chosen by the server":      {[]gateway.Edit{one, chosenByTheAS}, 403, "access_denied"},
		"one client, says a policy": {[]gateway.Edit{gateway.Unlimited, policy}, 400, "unapproved_software_statement"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, story.Options{Edits: c.edits}, func(t *testing.T, p *story.Play) {
				client := p.Client(p.Acme)
				r := registers(t, p, client, nil)
				answered(t, r, nil, 201, "")
				id := r.Text("client_id")
				workspace := "workspace=default/obuk"
				removes := func(want int) {
					t.Helper()
					if status, answer, err := p.Change(t.Context(), "clients/"+url.PathEscape(id), "delete", "lost in a restore"); err != nil || status != want {
						t.Errorf("deleting: %d %s, %v, want %d", status, answer, err, want)
					}
				}
				if r := reconciles(t, p, ""); r.Counts["same"] != 1 {
					t.Errorf("got %+v, want one client that is the same", r)
				}
				if _, err := p.ClientToken(t.Context(), p.Acme, id); err != nil {
					t.Errorf("a client that the server has: %v", err)
				}

				anew(t, p)
				if _, err := p.ClientToken(t.Context(), p.Acme, id); err == nil {
					t.Fatal("the server has not lost the client")
				}
				answered(t, registers(t, p, client, nil), nil, c.status, c.code)
				reconciles(t, p, workspace)
				if list := listed(t, p, "discrepancies"); len(list) != 1 || list[0]["kind"] != "detached" || list[0]["client_id"] != id {
					t.Errorf("got %v, want %s, detached", list, id)
				}
				removes(http.StatusNoContent)
				removes(http.StatusNotFound)
				if list := listed(t, p, "discrepancies"); slices.ContainsFunc(list, func(d map[string]any) bool { return d["kind"] == "detached" }) {
					t.Errorf("got %v, want none that is detached", list)
				}
				trail := listed(t, p, "audit?"+workspace)
				if last := trail[len(trail)-1]; last["change"] != "deleted" || last["client_id"] != id || last["reason"] != "lost in a restore" {
					t.Errorf("got %v, want the deletion of %s last, with its reason", trail, id)
				}
				r = registers(t, p, client, nil)
				answered(t, r, nil, 201, "")
				if _, err := p.ClientToken(t.Context(), p.Acme, r.Text("client_id")); err != nil {
					t.Errorf("the new client: %v", err)
				}
				if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
					t.Errorf("the server has %v, %v, want one", clients, err)
				}
			})
		})
	}
}
