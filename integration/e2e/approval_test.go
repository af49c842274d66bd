package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// acts fails unless a client can get tokens, push a request, and send users to the AS; or none of it.
// token is one that it has.
func acts(t *testing.T, p *story.Play, what, id, token string, may bool) {
	t.Helper()
	client := p.Client(p.Acme)
	const text = "client authentication: this client awaits the bank's approval"
	for range 2 { // the second time by a decision that is cached
		r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if may {
			answered(t, r, err, http.StatusOK, "")
		} else if answered(t, r, err, http.StatusUnauthorized, "invalid_client"); !strings.HasPrefix(r.Text("error_description"), text) {
			t.Errorf("%s: %s, want %q", what, r, text)
		}
	}
	if par := p.Endpoint("pushed_authorization_request_endpoint"); par != "" {
		r, err := client.Token(t.Context(), par, authorizationRequest(id), tpp.TLSClientAuth(id))
		if err != nil || may != (r.Text("error") != "invalid_client") {
			t.Errorf("%s, PAR: %v, %v, want that it passes: %t", what, r, err, may)
		}
	}
	r, err := browser(t, p).Do(t.Context(), http.MethodGet, p.Endpoint("authorization_endpoint")+"?"+authorizationRequest(id).Encode(), http.Header{"Accept": {"text/html"}}, nil)
	if err != nil || may == (r.Status == http.StatusForbidden && strings.Contains(string(r.Body), "awaits the bank")) {
		t.Errorf("%s, authorization endpoint: %v, %v, want that it passes: %t", what, r, err, may)
	}
	if token != "" && introspects(t, p, token) != may {
		t.Errorf("%s: its token is active: %t", what, !may)
	}
}

// approval makes a change of a client with a tag, and holds the answer against the description.
func approval(t *testing.T, p *story.Play, id, change string, want int) {
	t.Helper()
	status, answer, err := p.Change(t.Context(), "clients/"+id, change, "contract 4711")
	if err != nil || status != want {
		t.Fatalf("%s: %d %s, %v; want %d", change, status, answer, err, want)
	}
	described(t, p).answers(http.MethodPost, "/clients/{client_id}/"+change, status, answer)
}

// TestApproval: a client does nothing before an operator has approved it, nor after it has got
// more, whatever happens to the gateway meanwhile.
func TestApproval(t *testing.T) {
	each(t, story.Options{Edits: []gateway.Edit{gateway.Workspace("approval manual changes", "registration_access_token", "reregister return")}}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		token, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Request(map[string]any{"scope": "openid", "response_types": []string{"code"}})
		if err != nil {
			t.Fatal(err)
		}
		register := func() *tpp.Response {
			t.Helper()
			r, err := client.Register(t.Context(), p.Register, token, body)
			return answered(t, r, err, http.StatusCreated, "")
		}
		first := register()
		id, own := first.Text("client_id"), first.Text("registration_access_token")
		acts(t, p, "registered", id, "", false)
		if again := register(); again.Text("client_id") != id {
			t.Errorf("a repeated POST: %s, want %s", again, id)
		}
		r, err := client.Read(t.Context(), p.Register, id, own)
		answered(t, r, err, http.StatusOK, "")
		restart(t, p, p.Gateway.Kill)
		acts(t, p, "after a restart", id, "", false)

		if list := listed(t, p, "clients?status=awaiting_approval"); len(list) != 1 || list[0]["client_id"] != id {
			t.Errorf("%v, want the one client that waits", list)
		}
		d := described(t, p)
		_, answer, err := p.Operator(t.Context(), http.MethodGet, "clients/"+id, "")
		if err != nil || !strings.Contains(string(answer), `"approval":[{"reason":"a new registration"}]`) {
			t.Errorf("%s, %v; want the reason", answer, err)
		}
		d.answers(http.MethodGet, "/clients/{client_id}", http.StatusOK, answer)
		approval(t, p, id, "approve", http.StatusOK)
		approval(t, p, id, "approve", http.StatusConflict)
		management, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		acts(t, p, "approved", id, management, true)

		if body, err = p.Acme.Request(map[string]any{"response_types": []string{"code"}}); err != nil { // accounts too
			t.Fatal(err)
		}
		r, err = client.Update(t.Context(), p.Register, id, management, body)
		answered(t, r, err, http.StatusOK, "")
		acts(t, p, "with another scope", id, management, false)
		r, err = client.Read(t.Context(), p.Register, id, management)
		answered(t, r, err, http.StatusForbidden, "access_denied")
		reload(t, p, gateway.At("openbanking_dcr default/obuk", "approval").Remove())
		acts(t, p, "without approval in the configuration", id, management, false)
		approval(t, p, id, "approve", http.StatusOK)
		acts(t, p, "approved again", id, management, true)
	})
}

// TestRefusedApproval: a client that is refused is deleted, at the AS too. What an operator has not
// seen is neither approved nor refused.
func TestRefusedApproval(t *testing.T) {
	once(t, story.Options{Edits: []gateway.Edit{gateway.Workspace("approval manual", "registration_access_token")}}, func(t *testing.T, p *story.Play) {
		r := registers(t, p, p.Client(p.Acme), nil)
		id, own := answered(t, r, nil, http.StatusCreated, "").Text("client_id"), r.Text("registration_access_token")
		status, tag, _, err := p.OperatorWithTag(t.Context(), http.MethodGet, "clients/"+id, "", "")
		if err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		body, err := p.Acme.Request(map[string]any{"scope": "openid"})
		if err != nil {
			t.Fatal(err)
		}
		r, err = p.Client(p.Acme).Update(t.Context(), p.Register, id, own, body)
		answered(t, r, err, http.StatusOK, "")
		for _, change := range []string{"approve", "refuse"} {
			status, _, answer, err := p.OperatorWithTag(t.Context(), http.MethodPost, "clients/"+id+"/"+change, `{"reason":"contract 4711","operator":"Anna"}`, tag)
			if err != nil || status != http.StatusPreconditionFailed {
				t.Errorf("%s with a stale tag: %d %s, %v; want 412", change, status, answer, err)
			}
			described(t, p).answers(http.MethodPost, "/clients/{client_id}/"+change, status, answer)
		}
		acts(t, p, "not approved", id, "", false)
		approval(t, p, id, "refuse", http.StatusNoContent)
		r, err = p.Client(p.Acme).Read(t.Context(), p.Register, id, own)
		answered(t, r, err, http.StatusUnauthorized, "invalid_token")
		if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 0 {
			t.Errorf("%d clients at the authorization server, %v, want none", len(clients), err)
		}
		_, answer, err := p.Operator(t.Context(), http.MethodGet, "audit?workspace=default/obuk", "")
		var trail struct {
			Entries []struct{ Change, Reason string }
		}
		if err != nil || json.Unmarshal(answer, &trail) != nil || len(trail.Entries) == 0 {
			t.Fatalf("%s, %v", answer, err)
		}
		described(t, p).answers(http.MethodGet, "/audit", http.StatusOK, answer)
		if last := trail.Entries[len(trail.Entries)-1]; last.Change != "refused" || last.Reason != "contract 4711" {
			t.Errorf("%+v, want that it was refused, and why", last)
		}
	})
}
