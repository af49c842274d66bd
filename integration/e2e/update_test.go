package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

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
		t.Errorf("the registry has %v, %v", r, err)
	}
	if err := theirs(t.Context(), p, id, uris); err != nil {
		t.Error(err)
	}
}

func theirs(ctx context.Context, p *story.Play, id, uris string) error {
	clients, err := p.AS.Clients(ctx)
	if err != nil || len(clients) != 1 || clients[0]["client_id"] != id || fmt.Sprint(clients[0]["redirect_uris"]) != uris {
		return errors.Join(fmt.Errorf("the AS has %v", clients), err)
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
			t.Fatalf("%v, %v", r, err)
		}
		both(t, p, id, token, "["+updatedTo+"]")
	})
}

// TestCrashInAnUpdate: the gateway dies after the AS has taken an update and
// before it has told so. Once the lease has ended, a minute later, the AS is told
// again what the registry has.
func TestCrashInAnUpdate(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, token, body := updating(t, p)
	r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
	if err != nil {
		t.Fatal(err)
	}
	registeredWith := fmt.Sprint(r.JSON["redirect_uris"])
	if err := p.AS.Hold(t.Context(), http.MethodPut, "", true); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body)
		if err == nil {
			err = fmt.Errorf("an answer: %v", r)
		} else {
			err = nil // the connection ended with the gateway
		}
		answered <- err
	}()
	if err := p.AS.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := p.Gateway.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if err := p.AS.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := theirs(t.Context(), p, id, "["+updatedTo+"]"); err != nil {
		t.Fatal(err)
	}
	if err := p.Gateway.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = story.Eventually(t.Context(), 2*time.Minute, func() error { return theirs(t.Context(), p, id, registeredWith) })
	if err != nil {
		t.Error(err)
	}
	both(t, p, id, token, registeredWith)
}
