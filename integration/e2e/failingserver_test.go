package e2e_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// What else an AS may do, beside TestUnavailable and TestRefusedByTheServer: hang,
// break off, forget clients, be gone when one is deleted.

// ownTokens lets clients manage themselves while the AS is down or knows nothing of them.
var ownTokens = []gateway.Edit{gateway.Unlimited, gateway.Workspace("registration_access_token")}

// chosenByTheAS is a Caddyfile in which the AS chooses the client_ids.
var chosenByTheAS = gateway.At("client_id_header").Remove()

// anew is the AS in its place with an empty store: it has lost every client.
func anew(t *testing.T, p *story.Play) {
	t.Helper()
	config := p.AS.Config
	config.Listen, config.ControlListen = p.AS.Listen, p.AS.Control
	if err := p.AS.Stop(); err != nil {
		t.Fatal(err)
	}
	as, err := authserverprocess.Start(t.Context(), p.AS.Kind, config)
	if err != nil {
		t.Fatal(err)
	}
	p.AS = as
}

// TestForgottenClients: the AS has lost a client. What is registered is told all the
// same; an update makes it again, under its client_id, where the gateway may choose
// that, and otherwise says what to do.
func TestForgottenClients(t *testing.T) {
	t.Parallel()
	for _, chooses := range []bool{true, false} {
		name, edits := "chosen by the gateway", ownTokens
		if !chooses {
			name, edits = "chosen by the server", append(edits, chosenByTheAS)
		}
		t.Run(name, func(t *testing.T) {
			each(t, story.Options{Edits: edits}, func(t *testing.T, p *story.Play) {
				client := p.Client(p.Acme)
				r := registers(t, p, client, nil)
				answered(t, r, nil, 201, "")
				id, token := r.Text("client_id"), r.Text("registration_access_token")
				anew(t, p)
				r, err := client.Read(t.Context(), p.Register, id, token)
				if answered(t, r, err, 200, ""); r.Text("client_id") != id || r.Text("software_id") != p.Acme.SoftwareID {
					t.Errorf("got %v, want client_id %s and software_id %s", r, id, p.Acme.SoftwareID)
				}
				body, err := p.Acme.Request(map[string]any{"redirect_uris": []string{"https://tpp.example/other"}})
				if err != nil {
					t.Fatal(err)
				}
				r, err = client.Update(t.Context(), p.Register, id, token, body)
				if chooses {
					if answered(t, r, err, 200, ""); r.Text("client_id") != id {
						t.Errorf("got %v, want client_id %s", r, id)
					}
					if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 || clients[0]["client_id"] != id {
						t.Errorf("got %v, %v, want %s alone", clients, err, id)
					}
					if err := reads(t.Context(), p, id); err != nil {
						t.Error(err)
					}
					return
				}
				answered(t, r, err, 400, "invalid_client_metadata")
				if text := r.Text("error_description"); !strings.Contains(text, "delete it and register a new client") {
					t.Errorf("got %v, want that the client is to be deleted and registered anew", text)
				}
				if list := listed(t, p, "discrepancies"); len(list) != 1 || list[0]["kind"] != "detached" || list[0]["client_id"] != id {
					t.Errorf("got %v, want %s alone, detached", list, id)
				}
				r, err = client.Delete(t.Context(), p.Register, id, token)
				answered(t, r, err, 204, "")
				if list := listed(t, p, "discrepancies"); len(list) != 1 || list[0]["kind"] != "not_deleted" {
					t.Errorf("got %v, want one, not_deleted", list)
				}
				answered(t, registers(t, p, client, nil), nil, 201, "")
			})
		})
	}
}

// TestDeleteWhileTheServerIsDown: the client is gone at once, and at the AS when it is back.
func TestDeleteWhileTheServerIsDown(t *testing.T) {
	once(t, story.Options{Edits: ownTokens}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		r := registers(t, p, client, nil)
		answered(t, r, nil, 201, "")
		id, token := r.Text("client_id"), r.Text("registration_access_token")
		if err := p.AS.Fault(t.Context(), authserverprocess.Fault{Times: -1, Drop: true}); err != nil {
			t.Fatal(err)
		}
		r, err := client.Delete(t.Context(), p.Register, id, token)
		answered(t, r, err, 204, "")
		r, err = client.Read(t.Context(), p.Register, id, token)
		answered(t, r, err, 401, "invalid_token")
		if _, err := p.ClientToken(t.Context(), p.Acme, id); err == nil || !strings.Contains(err.Error(), "invalid_client") {
			t.Errorf("a token: got %v, want invalid_client", err)
		}
		if b := listed(t, p, "backlog"); b[0]["waiting"] == 0.0 {
			t.Errorf("got %v, want some that wait", b)
		}
		if err := p.AS.ResetFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		err = story.Eventually(t.Context(), 60*time.Second, func() error { return noClients(t, p) })
		if err != nil {
			t.Error(err)
		}
	})
}

// TestServerThatHangs: nobody waits for ever, and an answer that breaks off is a lost
// one. What was registered meanwhile is made whole or is gone.
func TestServerThatHangs(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		path, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		half := map[string]string{"Content-Length": "4096"}
		for name, fault := range map[string]authserverprocess.Fault{
			"hangs before":    {Hold: true},
			"hangs after":     {Hold: true, After: true},
			"half an answer":  {After: true, Status: 201, Header: half, Body: `{"client_id":"`},
			"answers nothing": {After: true, Status: 201},
		} {
			fault.PathContains, fault.Method, fault.Times = path, http.MethodPost, 1
			if err := p.AS.Fault(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			token, body, err := p.Prepare(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body) // within the client's 30 s
			answered(t, r, err, 201, "")
			if err := p.AS.ResetFaults(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := reads(t.Context(), p, r.Text("client_id")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if clients, err := p.AS.Clients(t.Context()); err != nil || !knows(clients, r.Text("client_id")) {
				t.Errorf("%s: got %v, %v, want %s among them", name, clients, err, r.Text("client_id"))
			}
		}
		if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 4 {
			t.Errorf("%d clients, %v, want 4", len(clients), err)
		}
	})
}

var errNotYet = errors.New("not yet")

func noClients(t *testing.T, p *story.Play) error {
	clients, err := p.AS.Clients(t.Context())
	if err == nil && len(clients) > 0 {
		err = errNotYet
	}
	return err
}

func knows(clients []map[string]any, id string) bool {
	for _, c := range clients {
		if c["client_id"] == id {
			return true
		}
	}
	return false
}

// TestRequestsFailAtOnceWhileServerIsDown: who asks while the AS is dead is told so at once.
func TestRequestsFailAtOnceWhileServerIsDown(t *testing.T) {
	t.Parallel()
	s := open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{gateway.Unlimited}})
	p := learn(t, s)
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	introspection := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), siteOf(p))
	if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: introspection, Times: -1, Drop: true}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		unavailable(t, "register", r, err)
	}
	asked, err := p.AS.RequestsTo(t.Context(), http.MethodPost, introspection)
	if err != nil || len(asked) > 25 { // five, and one for each five seconds that this takes; Go's client repeats
		t.Errorf("got %d requests, %v, want 25 at most", len(asked), err)
	}
	says(t, p.Gateway, "circuit breaker of the authorization server")
	if err := p.AS.ResetFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = story.Eventually(t.Context(), 20*time.Second, func() error {
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		if err == nil && r.Status != 201 {
			err = errNotYet
		}
		return err
	})
	if err != nil {
		t.Errorf("the same registration afterwards: %v", err)
	}
}
