package e2e_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestRegistrationAccessToken: with a token of the gateway's own a client manages
// itself, with its certificate, and without the AS being asked for it.
func TestRegistrationAccessToken(t *testing.T) {
	edits := []gateway.Edit{gateway.Unlimited, gateway.Workspace("registration_access_token {", "\tttl 1h", "\trotate", "}")}
	once(t, story.Options{Edits: edits}, func(t *testing.T, p *story.Play) {
		client := p.Client(p.Acme)
		r := registers(t, p, client, nil)
		answered(t, r, nil, 201, "")
		id, first := r.Text("client_id"), r.Text("registration_access_token")
		if first == "" || r.Text("registration_client_uri") != p.Register+"/"+id {
			t.Fatalf("got %v, want a registration access token, and the address of the client", r)
		}
		other := registers(t, p, client, nil)
		answered(t, other, nil, 201, "")
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := client.Read(t.Context(), p.Register, id, first)
		if answered(t, r, err, 200, ""); r.Text("registration_access_token") != first || r.Text("registration_client_uri") != p.Register+"/"+id {
			t.Errorf("got %v, want the registration access token %s, and the address of the client", r, first)
		}
		if seen, err := p.Seen(t.Context()); err != nil || len(seen) > 0 {
			t.Errorf("the authorization server was asked %v, %v", seen, err)
		}

		guess := first[:len(first)-1] + "A"
		if guess == first {
			guess = first[:len(first)-1] + "B"
		}
		for name, refused := range map[string]func() (string, string, string){
			"another client":      func() (string, string, string) { return other.Text("client_id"), first, "acme" },
			"nobody":              func() (string, string, string) { return "nobody", first, "acme" },
			"another certificate": func() (string, string, string) { return id, first, "other" },
			"guessed":             func() (string, string, string) { return id, guess, "acme" },
			"in lower case":       func() (string, string, string) { return id, strings.ToLower(first), "acme" },
		} {
			id, token, who := refused()
			as := p.Acme
			if who == "other" {
				as = p.Other
			}
			r, err := p.Client(as).Read(t.Context(), p.Register, id, token)
			if err := notYours.isIn(p, r, err); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		// It is for managing alone.
		_, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err = client.Register(t.Context(), p.Register, first, body)
		answered(t, r, err, 401, "invalid_token")

		r, err = client.Update(t.Context(), p.Register, id, first, body)
		answered(t, r, err, 200, "")
		second := r.Text("registration_access_token")
		if second == "" || second == first {
			t.Errorf("got %v, want another token than before", r)
		}
		for _, token := range []string{first, second} { // the answer may have been lost
			r, err = client.Read(t.Context(), p.Register, id, token)
			answered(t, r, err, 200, "")
		}
		// A token of the AS goes on working beside, and shows no other.
		management, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		r, err = client.Read(t.Context(), p.Register, id, management)
		if answered(t, r, err, 200, ""); r.Text("registration_access_token") != "" || r.Text("registration_client_uri") == "" {
			t.Errorf("got %v, want no registration access token, and the address of the client", r)
		}
		r, err = client.Delete(t.Context(), p.Register, id, second)
		answered(t, r, err, 204, "")
		r, err = client.Read(t.Context(), p.Register, id, second)
		answered(t, r, err, 401, "invalid_token")
		if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 1 {
			t.Errorf("got %v, %v, want one client", clients, err)
		}
		for _, token := range []string{first, second} {
			if strings.Contains(p.Gateway.Log(), token) || strings.Contains(p.Gateway.Log(), url.QueryEscape(token)) {
				t.Error("the log has a registration access token")
			}
		}
	})
}
