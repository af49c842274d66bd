package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// reconciliation is what the admin API says of one.
type reconciliation struct {
	State         string         `json:"state"`
	Error         string         `json:"error"`
	Waiting       string         `json:"waiting"`
	Counts        map[string]int `json:"counts"`
	Repaired      int            `json:"repaired"`
	Discrepancies []struct {
		Kind        string `json:"kind"`
		ClientID    string `json:"client_id"`
		Error       string `json:"error"`
		Differences []struct{ Member, Here, There string }
	} `json:"discrepancies"`
}

// kinds are those of the discrepancies, by client_id.
func (r *reconciliation) kinds() map[string]string {
	kinds := map[string]string{}
	for _, d := range r.Discrepancies {
		kinds[d.ClientID] += d.Kind
	}
	return kinds
}

// reconciles reconciles, and waits for the end.
func reconciles(t *testing.T, p *story.Play, parameters string) (r reconciliation) {
	t.Helper()
	status, answer, err := p.Operator(t.Context(), http.MethodPost, "reconcile/start?"+parameters, `{"reason":"a test","operator":"Anna"}`)
	if err != nil || status != http.StatusOK {
		t.Fatalf("start: %d %s, %v; want 200", status, answer, err)
	}
	err = story.Eventually(t.Context(), time.Minute, func() error {
		status, answer, err := p.Operator(t.Context(), http.MethodGet, "reconcile", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %s, %w; want 200", status, answer, err)
		}
		if r = (reconciliation{}); json.Unmarshal(answer, &r) != nil || r.State == "running" {
			return fmt.Errorf("%s; want one that has ended", answer)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.State != "done" {
		t.Fatalf("got %+v, want it done", r)
	}
	return r
}

// TestReconcileRegisteredClients: what a client was registered with is no difference, however
// the server shows it.
func TestReconcileRegisteredClients(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		answered(t, registers(t, p, p.Client(p.Acme), nil), nil, 201, "")
		answered(t, registers(t, p, p.Client(p.Acme), map[string]any{"grant_types": []string{"client_credentials"}, "response_types": nil}), nil, 201, "")
		for range 2 { // the second with the tokens that the first was given
			if r := reconciles(t, p, ""); r.Counts["same"] != 2 || len(r.Discrepancies) != 0 {
				t.Errorf("got %+v, want two clients that are the same", r)
			}
		}
	})
}

// TestReconcileRepairsClients: clients that were changed and deleted at the server are found, and
// are as they were after a repair. What the gateway cannot repair it says.
func TestReconcileRepairsClients(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]gateway.Edit{"chosen by the gateway": {gateway.Unlimited}, "chosen by the server": {gateway.Unlimited, chosenByTheAS}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at(t, []authserverprocess.Kind{authserverprocess.GoOIDC}, story.Options{Edits: edits}, func(t *testing.T, p *story.Play) {
				var ids []string
				for range 3 {
					r := registers(t, p, p.Client(p.Acme), nil)
					answered(t, r, nil, 201, "")
					ids = append(ids, r.Text("client_id"))
				}
				change := func(id string, metadata map[string]any) {
					t.Helper()
					if err := p.AS.ChangeClient(t.Context(), id, metadata); err != nil {
						t.Fatal(err)
					}
				}
				change(ids[0], map[string]any{"redirect_uris": []string{"https://evil.example/cb"}, "tls_client_auth_subject_dn": "CN=evil"})
				change(ids[1], nil)
				if _, err := p.ClientToken(t.Context(), p.Acme, ids[0]); err == nil {
					t.Fatal("the server has not changed the client")
				}

				found := map[string]string{ids[0]: "different", ids[1]: "detached"}
				r := reconciles(t, p, "repair=false")
				if !maps.Equal(r.kinds(), found) || r.Counts["same"] != 1 || r.Repaired != 0 {
					t.Errorf("got %+v, want %v", r, found)
				}
				for _, d := range r.Discrepancies {
					if d.ClientID == ids[0] && (len(d.Differences) != 2 || d.Differences[0].Member != "tls_client_auth_subject_dn" || d.Differences[0].There != "CN=evil") {
						t.Errorf("got %+v, want the redirect_uris and the DN", d)
					}
				}

				r = reconciles(t, p, "repair=true")
				left, repaired := map[string]string{}, 2
				if name == "chosen by the server" {
					left, repaired = map[string]string{ids[1]: "detached"}, 1
				}
				if !maps.Equal(r.kinds(), left) || r.Repaired != repaired {
					t.Errorf("got %+v, want %v and %d repaired", r, left, repaired)
				}
				for _, id := range ids {
					if _, err := p.ClientToken(t.Context(), p.Acme, id); (err != nil) != (left[id] != "") {
						t.Errorf("%s: %v, want no token only of %v", id, err, left)
					}
				}
				trail := slices.DeleteFunc(listed(t, p, "audit?workspace=default/obuk"), func(e map[string]any) bool { return e["reconciliation"] != nil })
				if last := trail[len(trail)-1]; last["change"] != "restored" || last["reason"] != "a test" {
					t.Errorf("got %v, want restored, with the reason", last)
				}
			})
		})
	}
}

// TestReconcileAnswersAsDescribed: the calls answer as docs/admin-api.json says.
func TestReconcileAnswersAsDescribed(t *testing.T) {
	once(t, story.Options{Edits: []gateway.Edit{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
		r := registers(t, p, p.Client(p.Acme), nil)
		answered(t, r, nil, 201, "")
		id := r.Text("client_id")
		d := described(t, p)
		const body = `{"reason":"a test","operator":"Anna"}`
		asks := func(method, path, query, body string) {
			t.Helper()
			status, answer, err := p.Operator(t.Context(), method, path[1:]+query, body)
			if err != nil {
				t.Fatal(err)
			}
			d.answers(method, path, status, answer)
		}
		asks(http.MethodGet, "/reconcile", "", "")
		asks(http.MethodPost, "/reconcile/stop", "", body)
		asks(http.MethodPost, "/reconcile/start", "?resume=true", body)
		asks(http.MethodPost, "/reconcile/start", "?rate=x", body)
		asks(http.MethodPost, "/reconcile/start", "", "")
		anew(t, p) // the server has lost the client
		reconciles(t, p, "")
		asks(http.MethodGet, "/reconcile", "?limit=1", "")
		asks(http.MethodPost, "/reconcile/orphans", "", `{"client_ids":["`+id+`","stranger"]}`)
		asks(http.MethodPost, "/reconcile/orphans", "", `{}`)
		asks(http.MethodGet, "/discrepancies", "", "")
	})
}
