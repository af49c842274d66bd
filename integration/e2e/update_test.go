package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

const updatedTo = "https://tpp.example/other"

// updating is a client, a token of its own, and a request that changes its redirect URIs.
func updating(t *testing.T, p *story.Play) (id, token, body string) {
	t.Helper()
	id, err := p.RegisterAnother(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if token, err = p.ClientToken(t.Context(), p.Acme, id); err != nil {
		t.Fatal(err)
	}
	if body, err = p.Acme.Request(map[string]any{"redirect_uris": []string{updatedTo}}); err != nil {
		t.Fatal(err)
	}
	return id, token, body
}

// both holds that registry and AS have the client with these redirect URIs, and
// the AS no other client.
func both(t *testing.T, p *story.Play, id, token, uris string) {
	t.Helper()
	r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
	if err != nil || r.Status != http.StatusOK || fmt.Sprint(r.JSON["redirect_uris"]) != uris {
		t.Errorf("the registry has %v, %v, want 200", r, err)
	}
	if err := theirs(t.Context(), p, id, uris); err != nil {
		t.Error(err)
	}
}

func theirs(ctx context.Context, p *story.Play, id, uris string) error {
	clients, err := p.AS.Clients(ctx)
	if err != nil || len(clients) != 1 || clients[0]["client_id"] != id || fmt.Sprint(clients[0]["redirect_uris"]) != uris {
		return errors.Join(fmt.Errorf("the AS has %v, want one", clients), err)
	}
	return nil
}

// TestUpdateWhoseAnswerIsLost: the AS has rotated the registration access token
// in the answer that was lost. The registration is repeated, which gives a new
// one, and the update with it.
func TestUpdateWhoseAnswerIsLost(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, token, body := updating(t, p)
		if err := p.AS.Fault(t.Context(), authserverprocess.Fault{Method: http.MethodPut, After: true, Drop: true}); err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body)
		if err != nil || r.Status != http.StatusOK {
			t.Fatalf("got %v, %v, want 200", r, err)
		}
		both(t, p, id, token, "["+updatedTo+"]")
	})
}
