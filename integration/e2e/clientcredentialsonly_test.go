package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestClientWithoutAuthorizationCode: a client with client_credentials alone has no
// response type, at no AS, gets its token and keeps it so in an update.
func TestClientWithoutAuthorizationCode(t *testing.T) {
	eachShared(t, func(t *testing.T, p *story.Play) {
		request := func(types any) string {
			t.Helper()
			body, err := p.Acme.Request(map[string]any{"grant_types": []string{"client_credentials"}, "response_types": types})
			if err != nil {
				t.Fatal(err)
			}
			return body
		}
		registration, _, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, registration, request([]string{"code id_token"}))
		if err != nil {
			t.Fatal(err)
		}
		answered(t, r, nil, http.StatusBadRequest, "invalid_client_metadata")
		r, err = p.Client(p.Acme).Register(t.Context(), p.Register, registration, request(nil))
		if err != nil || r.Status != http.StatusCreated || fmt.Sprint(r.JSON["response_types"]) != "[]" {
			t.Fatalf("got %v, %v, want 201 without response types", r, err)
		}
		id := r.Text("client_id")
		clients, err := p.AS.Clients(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		own := slices.IndexFunc(clients, func(c map[string]any) bool { return c["client_id"] == id })
		if own < 0 || fmt.Sprint(clients[own]["response_types"], clients[own]["grant_types"]) != "[] [client_credentials]" {
			t.Errorf("the AS has %v, want one of client_id %s, without response types and with client_credentials alone", clients, id)
		}
		token, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		for types, status := range map[string]int{"[]": http.StatusOK, "code": http.StatusBadRequest} {
			list := []string{types}
			if types == "[]" {
				list = []string{}
			}
			r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, request(list))
			if err != nil || r.Status != status || status == http.StatusOK && fmt.Sprint(r.JSON["response_types"]) != "[]" {
				t.Errorf("PUT with %s: got %v, %v, want %d", types, r, err, status)
			}
		}
	})
}
