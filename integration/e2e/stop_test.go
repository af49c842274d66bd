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

// stopping stops the gateway and returns when it has begun to.
func stopping(t *testing.T, p *story.Play) (stopped <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.Gateway.Stop() }()
	err := story.Eventually(t.Context(), 20*time.Second, func() error {
		if !strings.Contains(p.Gateway.Log(), "shutting down") {
			return errors.New("the gateway does not stop")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestStop: whoever was received whole is answered before the gateway ends, and what
// the outbox has begun is ended.
func TestStop(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		_, _, answer := holdsRegistration(t, p, true)
		stopped := stopping(t, p)
		if err := p.AS.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := <-answer
		if err := errors.Join(r.err, <-stopped); err != nil || r.Status != 201 {
			t.Fatal(r, err)
		}
		if err := p.Gateway.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.CloseIdle()
		if err := reads(t.Context(), p, r.Text("client_id")); err != nil {
			t.Error(err)
		}
	})
}

// TestStopWithinAGracePeriod: what the AS does not answer in time is left as after a
// crash, and mended at the next start.
func TestStopWithinAGracePeriod(t *testing.T) {
	binary, err := gateway.BuildCrashing() // whose leases are a tenth
	if err != nil {
		t.Fatal(err)
	}
	s, err := story.Open(t.Context(), story.Options{
		Kind: authserverprocess.GoOIDC, Binary: binary, Dir: t.TempDir(),
		Replace: []gateway.Replacement{{Old: "{\n\topenbanking_dcr {\n", New: "{\n\tgrace_period 100ms\n\topenbanking_dcr {\n"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p := learn(t, s)
	path, err := p.InternalRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, body, err := p.Prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AS.Fault(t.Context(), authserverprocess.Fault{Method: http.MethodPost, PathContains: path, After: true, Hold: true, Times: 2}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = p.Client(p.Acme).Register(t.Context(), p.Register, token, body) }() // gets no answer, or a 503
	if err := p.AS.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := <-stopping(t, p); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.AS.ResetFaults(t.Context()), p.Gateway.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.CloseIdle()
	if err := story.Eventually(t.Context(), time.Minute, func() error { return noClients(t, p) }); err != nil {
		t.Errorf("the authorization server keeps a client that nobody was told of: %v", err)
	}
	err = story.Eventually(t.Context(), time.Minute, func() error {
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		if err == nil && r.Status != 201 {
			err = errNotYet
		}
		return err
	})
	if err != nil {
		t.Errorf("the same registration once more: %v", err)
	}
}
