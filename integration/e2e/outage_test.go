package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// unavailable holds that an answer is the error table's 503.
func unavailable(t *testing.T, what string, r *tpp.Response, err error) {
	t.Helper()
	if err != nil || r.Status != http.StatusServiceUnavailable || r.Text("error") != "temporarily_unavailable" || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %v, %v, want 503 temporarily_unavailable", what, r, err)
	}
}

// TestUnknownAuthorizationServer: before the AS was ever reached, nothing of the
// site is passed on, because the gateway does not know what to guard.
func TestUnknownAuthorizationServer(t *testing.T) {
	t.Parallel()
	s := open(t, story.Options{Kind: authserverprocess.GoOIDC, WithoutAS: true})
	client := s.Client(s.Acme)
	origin := strings.TrimSuffix(s.Issuer, story.Prefix)
	for _, url := range []string{s.Issuer + "/.well-known/openid-configuration", s.Issuer + "/token", s.Issuer + "/anything", origin + "/elsewhere"} {
		r, err := client.Do(t.Context(), http.MethodGet, url, nil, nil)
		unavailable(t, url, r, err)
	}
}

// TestAuthorizationServerDown: what the gateway knows it goes on serving, also
// after a restart of its own; what needs the AS is put off, and burns nothing.
func TestAuthorizationServerDown(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, management := registered(t, p)
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		client := p.Client(p.Acme)
		path, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Run("in maintenance", func(t *testing.T) {
			fault := authserverprocess.Fault{PathContains: path, Method: http.MethodPost, Status: 503, Header: map[string]string{"Retry-After": "7"}}
			if err := p.AS.Fault(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			r, err := client.Register(t.Context(), p.Register, token, body)
			unavailable(t, "register", r, err)
			if r.Header.Get("Retry-After") != "7" {
				t.Errorf("got Retry-After %s, want 7", r.Header.Get("Retry-After"))
			}
		})
		t.Run("the answer is lost", func(t *testing.T) {
			fault := authserverprocess.Fault{PathContains: path, Method: http.MethodPost, After: true, Drop: true}
			if err := p.AS.Fault(t.Context(), fault); err != nil {
				t.Fatal(err)
			}
			r, err := client.Register(t.Context(), p.Register, token, body) // the same token and jti
			if err != nil || r.Status != http.StatusCreated {
				t.Fatalf("got %v, %v, want 201", r, err)
			}
			if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 2 {
				t.Errorf("%d clients, %v: the registration was repeated as another client, want 2", len(clients), err)
			}
		})
		t.Run("down", func(t *testing.T) {
			if err := p.AS.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := p.Gateway.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := p.Gateway.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			r, err := client.Discover(t.Context(), p.Issuer)
			if err != nil || r.Status != http.StatusOK || r.Text("token_endpoint") != p.Endpoint("token_endpoint") {
				t.Errorf("discovery: %v, %v, want 200", r, err)
			}
			r, err = client.Read(t.Context(), p.Register, id, management)
			unavailable(t, "read", r, err)
			r, err = client.Register(t.Context(), p.Register, token, body)
			unavailable(t, "register", r, err)
			r, err = p.Client(p.Other).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
			if err != nil || r.Status != http.StatusUnauthorized {
				t.Errorf("the guard needs no AS: %v, %v, want 401", r, err)
			}
		})
	})
}

// TestDeleteWhileTheServerFails: a deleted client can do nothing more, and an
// error of the AS does not keep it from forgetting it.
func TestDeleteWhileTheServerFails(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, token := registered(t, p)
		if err := p.AS.Fault(t.Context(), authserverprocess.Fault{Method: http.MethodDelete, Status: 500, Times: 1}); err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, id, token)
		if err != nil || r.Status != http.StatusNoContent {
			t.Fatalf("got %v, %v, want 204", r, err)
		}
		r, err = p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
		if err != nil || r.Status != http.StatusUnauthorized || r.Text("error") != "invalid_client" {
			t.Errorf("got %v, %v, want 401 invalid_client", r, err)
		}
		if clients, err := p.AS.Clients(t.Context()); err != nil || len(clients) != 0 {
			t.Errorf("got %v, %v, want no clients", clients, err)
		}
	})
}
