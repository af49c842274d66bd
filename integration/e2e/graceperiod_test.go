package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// shortGrace ends what is at work a moment after the gateway was told to stop.
var shortGrace = gateway.GlobalOptions("grace_period 100ms")

// crashing is a gateway whose leases, and whose patience with the AS, are a tenth.
func crashing(t *testing.T) string {
	t.Helper()
	binary, err := gateway.BuildCrashing()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// TestStopBeyondTheGracePeriod: what does not end in time is left as a crash would
// leave it. After the next start both sides are the same, and each request can be
// sent again as it was.
func TestStopBeyondTheGracePeriod(t *testing.T) {
	once(t, story.Options{Binary: crashing(t), Edits: []gateway.Edit{shortGrace}}, func(t *testing.T, p *story.Play) {
		body := halfSent(t, p)
		h := holdsThree(t, p, true)
		hasStopped(t, p, stopping(t, p, ways[0].end))
		body.isCut(t)
		for i, answer := range h.answers {
			// It may have given up on the AS before: then a deletion is left to the outbox.
			if a := <-answer; a.err == nil && a.Status != []int{503, 503, 204}[i] {
				t.Errorf("%s was answered: %v", h.calls[i].Method, a.Response)
			}
		}
		if err := p.AS.ResetFaults(t.Context()); err != nil {
			t.Fatal(err)
		}
		restart(t, p, func() error { return nil })
		r, err := p.Make(t.Context(), body.call)
		answered(t, r, err, 201, "") // at once: nothing of it had begun
		h.areSettled(t, p, r.Text("client_id"))
	})
}

// TestStopWhileTheServerHangs: the outbox waits for the AS, but not for ever, and goes
// on after the next start.
func TestStopWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Binary: crashing(t)}))
	revocation := holdsRevocation(t, p)
	if left := hasStopped(t, p, stopping(t, p, ways[0].end)); left["outbox"] != 1 {
		t.Errorf("left for the next start: %v", left)
	}
	if err := p.AS.ResetFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	restart(t, p, func() error { return nil })
	err := story.Eventually(t.Context(), time.Minute, func() error {
		asked, err := p.AS.RequestsTo(t.Context(), http.MethodPost, revocation)
		if list := listed(t, p, "backlog"); err == nil && (len(asked) < 2 || list[0]["waiting"] != 0.0) {
			err = fmt.Errorf("%v, asked %d times", list, len(asked))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
