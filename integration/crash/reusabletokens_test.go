package crash_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestTokensAreNotBurnt kills the gateway at every step of a registration while a
// repeated POST is nothing special, as it is by default: then nothing but the token
// and the jti stands between a TPP that sends the same once more and a second client,
// and whoever was cut off before there was a client must be able to use both again.
//
// The registry alone decides what is used up: it runs at one server, and with E2E=all at
// all. TestCrashPoints has the same points at each.
func TestTokensAreNotBurnt(t *testing.T) {
	t.Parallel()
	kinds := []authserverprocess.Kind{authserverprocess.GoOIDC}
	if os.Getenv("E2E") == "all" {
		kinds = authserverprocess.Kinds
	}
	atVariants(t, kinds, registry.ReregisterAllow, func(t *testing.T, b *bank) {
		c := &counts{}
		for _, s := range scenarios {
			if s.operation != "register" || !s.reached(b.variant) {
				continue
			}
			if !t.Run(s.String(), func(t *testing.T) { b.playAllow(t, s, c) }) {
				break // what is left would be found by the next one
			}
		}
		t.Logf("%s, reregister allow: %s", b.variant, c)
		b.stayUsedUp(t)
		b.nothingPending(t)
	})
}

func (b *bank) playAllow(t *testing.T, s scenario, c *counts) {
	a, err := b.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	had, err := b.atAS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := range had {
		known[id] = true
	}
	c.kills += b.crash(t, s, http.MethodPost, func() (*tpp.Response, error) {
		return b.Client(b.Acme).Register(t.Context(), b.Register, a.token, a.body)
	})
	id := ""
	if s.point == "register: active" {
		id = b.unanswered(t, a)
	} else {
		id = b.registerAgain(t, a)
		c.acknowledged++
	}
	if uri := b.wholly(t, id); uri != a.uri {
		c.lost++
		t.Errorf("registered and not there: %q", uri)
	}
	known[id] = true
	mayBeLost := 0
	if !b.chooses && s.loses {
		mayBeLost = 1
	}
	c.orphans += b.onlyThese(t, known, mayBeLost)
	b.usedUp(t, a)
	b.acknowledged = append(b.acknowledged, acknowledgement{a, time.Now()})
}

// registerAgain posts the same until it is accepted. Until a lease ends, a token and a
// jti that were cut off are those of a registration that may still be at work.
func (b *bank) registerAgain(t *testing.T, a attempt) (id string) {
	t.Helper()
	err := story.Eventually(t.Context(), recovered, func() error {
		r, err := b.Client(b.Acme).Register(t.Context(), b.Register, a.token, a.body)
		if err == nil && r.Status != http.StatusCreated {
			err = fmt.Errorf("got %v, want 201", r)
		}
		if err == nil {
			id = r.Text("client_id")
		}
		return err
	})
	if err != nil {
		t.Fatalf("the token, or the jti, is burnt: %v", err)
	}
	return id
}

// unanswered is the client of an attempt that was carried out before its answer was
// lost. Without reregister nobody tells the TPP, and the same once more is refused.
func (b *bank) unanswered(t *testing.T, a attempt) (id string) {
	t.Helper()
	r, err := b.Client(b.Acme).Register(t.Context(), b.Register, a.token, a.body)
	byToken := err == nil && r.Status == http.StatusUnauthorized && r.Text("error") == "invalid_token"
	byJTI := err == nil && r.Status == http.StatusBadRequest && strings.HasPrefix(r.Text("error_description"), "jti")
	if !byToken && !byJTI { // the first where the AS has been told to revoke the token
		t.Errorf("the same once more: %v, %v", r, err)
	}
	clients, err := b.atAS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for other, uri := range clients {
		if uri == a.uri {
			id = other
		}
	}
	return id
}
