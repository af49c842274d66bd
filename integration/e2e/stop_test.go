package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// ways are those in which operators end the gateway.
var ways = []struct {
	name string
	end  func(context.Context, *story.Play) error
}{
	{"SIGTERM", func(_ context.Context, p *story.Play) error { return p.Gateway.Stop() }},
	{"caddy stop", func(ctx context.Context, p *story.Play) error {
		_, err := p.Gateway.Command(ctx, "stop", "--config", "Caddyfile")
		return errors.Join(err, p.Gateway.Wait(ctx))
	}},
}

// stopping ends the gateway and returns when it takes no more connections.
func stopping(t *testing.T, p *story.Play, end func(context.Context, *story.Play) error) (stopped <-chan error) {
	t.Helper()
	before := len(p.Gateway.Log())
	done := make(chan error, 1)
	go func() { done <- end(t.Context(), p) }()
	err := story.Eventually(t.Context(), 20*time.Second, func() error {
		if !strings.Contains(p.Gateway.Log()[before:], "servers shutting down") {
			return errors.New("the gateway does not stop")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// hasStopped holds that the gateway has ended in order, and let go of its store.
func hasStopped(t *testing.T, p *story.Play, stopped <-chan error) (left map[string]int) {
	t.Helper()
	if err := <-stopped; err != nil || !endedInOrder(p) {
		t.Fatalf("the gateway did not end in order: %v", err)
	}
	return entries(t, p.Stage)
}

// endedInOrder tells whether the gateway's last words are those of an orderly end.
func endedInOrder(p *story.Play) bool {
	lines := strings.Split(strings.TrimSpace(p.Gateway.Log()), "\n")
	last := lines[len(lines)-1]
	return strings.Contains(last, `"msg":"shutdown complete"`) && strings.Contains(last, `"exit_code":0`)
}

// TestStop: whoever is at work is answered before the gateway ends: at the AS, in the
// middle of a body, or on the way to another endpoint of the AS.
func TestStop(t *testing.T) {
	once(t, story.Options{Binary: raceDetecting(t)}, func(t *testing.T, p *story.Play) {
		for _, way := range ways {
			t.Run(way.name, func(t *testing.T) {
				h := holdsThree(t, p, true)
				body := halfSent(t, p)
				proxied := holdsToken(t, p, h.changed)
				stopped := stopping(t, p, way.end)
				if err := p.AS.ResetFaults(t.Context()); err != nil {
					t.Fatal(err)
				}
				made, half := h.areAnswered(t, p), body.isAnswered(t)
				token := <-proxied
				answered(t, token.Response, token.err, 200, "")
				left := hasStopped(t, p, stopped)
				if left["later"] > 0 {
					t.Errorf("left for the next start: %v", left)
				}
				restart(t, p, func() error { return nil })
				h.areKnown(t, p, made, half)
				for _, id := range []string{h.changed, made, half} { // for the next way
					own, err := p.ClientToken(t.Context(), p.Acme, id)
					if err != nil {
						t.Fatal(err)
					}
					r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, id, own)
					answered(t, r, err, 204, "")
				}
				// With nothing at work.
				hasStopped(t, p, stopping(t, p, way.end))
				restart(t, p, func() error { return nil })
			})
		}
	})
}

// holdsToken asks for a token of a client, and returns when the AS holds the request.
func holdsToken(t *testing.T, p *story.Play, id string) <-chan outcome {
	t.Helper()
	endpoint := p.Endpoint("token_endpoint")
	if err := p.AS.Hold(t.Context(), http.MethodPost, strings.TrimPrefix(endpoint, siteOf(p)), false); err != nil {
		t.Fatal(err)
	}
	form := tpp.ClientCredentials("")
	form.Set("client_id", id)
	answer := makes(t, p, story.Call{Method: "POST", URL: endpoint, As: p.Acme, Form: form})
	if err := p.AS.WaitHeld(t.Context(), 4); err != nil { // beside the three
		t.Fatal(err)
	}
	return answer
}

// TestStopInTheOutbox: what the outbox has begun is ended before the gateway ends.
func TestStopInTheOutbox(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			revocation := holdsRevocation(t, p)
			stopped := stopping(t, p, way.end)
			if err := p.AS.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left := hasStopped(t, p, stopped); left["outbox"] > 0 {
				t.Errorf("left for the next start: %v", left)
			}
			if asked, err := p.AS.RequestsTo(t.Context(), http.MethodPost, revocation); err != nil || len(asked) != 1 || asked[0].Status != 200 {
				t.Errorf("got %v, %v, want one revocation with 200", asked, err)
			}
			restart(t, p, func() error { return nil })
		})
	}
}

// holdsRevocation registers a client and returns when the AS holds the revocation of
// its registration token.
func holdsRevocation(t *testing.T, p *story.Play) (path string) {
	t.Helper()
	path = strings.TrimPrefix(p.Endpoint("revocation_endpoint"), siteOf(p))
	if err := errors.Join(p.AS.ResetRequests(t.Context()), p.AS.Hold(t.Context(), http.MethodPost, path, false)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.RegisterAnother(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.AS.WaitHeld(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	return path
}
