package authserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// of is a client of another organisation for each number.
func of(t *testing.T, n int) *registry.Client {
	c := tpp(t)
	c.OrgID = fmt.Sprint("org", n)
	return c
}

// TestBreaker: an AS that is down for everybody is left alone for a while.
func TestBreaker(t *testing.T) {
	for _, test := range []struct {
		name  string
		down  http.HandlerFunc
		trips bool
	}{
		{"no answer", dropped, true},
		{"bad gateway", answer(502, ""), true},
		{"maintenance", answer(503, ""), true},
		{"gateway timeout", answer(504, ""), true},
		{"an error of its own", answer(500, ""), false},
		{"too many requests", answer(429, ""), false},
		{"garbage", answer(201, "<p>"), false},
		{"refused", answer(400, `{"error":"invalid_client_metadata"}`), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, test.down)
			for i := range 2 * authserver.TripAfter {
				_, err := e.Create(t.Context(), of(t, i))
				if err == nil {
					t.Fatal("created")
				}
				if errors.Is(err, authserver.ErrOpen) {
					if e.refused(err, refusal.Unavailable); errors.Is(err, registry.ErrLost) {
						t.Error("what was never sent cannot be lost")
					}
				}
			}
			want := 2 * authserver.TripAfter
			if test.trips {
				want = authserver.TripAfter
			}
			if got := len(e.to(register)); got != want {
				t.Errorf("asked %d times, want %d", got, want)
			}
			if logged := strings.Contains(e.log.String(), "circuit breaker"); logged != test.trips {
				t.Errorf("logged: %v", logged)
			}
			// The others' tokens are checked all the same.
			e.on(introspect, answer(200, `{"active":true,"client_id":"a"}`))
			if _, err := e.CheckToken(t.Context(), "token"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBreakerOfOneOrganisation: an AS that fails for one organisation, whatever way and
// however often, goes on working for the others.
func TestBreakerOfOneOrganisation(t *testing.T) {
	for name, down := range map[string]http.HandlerFunc{"no answer": dropped, "bad gateway": answer(502, ""), "maintenance": answer(503, "")} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(register, down)
			for range 4 * authserver.TripAfter {
				if _, err := e.Create(t.Context(), of(t, 1)); err == nil {
					t.Fatal("created")
				}
			}
			if got := len(e.to(register)); got != 4*authserver.TripAfter {
				t.Errorf("asked %d times, want %d", got, 4*authserver.TripAfter)
			}
			if strings.Contains(e.log.String(), "circuit breaker") {
				t.Errorf("one organisation has tripped it: %s", e.log)
			}
			// With those of others it is one of those that have failures in common.
			for i := range authserver.TripAfter - authserver.MostOfOne {
				if _, err := e.Create(t.Context(), of(t, 2+i)); errors.Is(err, authserver.ErrOpen) {
					t.Errorf("tripped after %d of others", i)
				}
			}
			if _, err := e.Create(t.Context(), of(t, 9)); !errors.Is(err, authserver.ErrOpen) {
				t.Errorf("%v, want an open breaker", err)
			}
		})
	}
}

// TestBreakerOfTokens: the same of exchanges about tokens, by whoever presents them.
func TestBreakerOfTokens(t *testing.T) {
	e := newEdge(t, nil)
	e.on(introspect, dropped)
	e.on(revoke, dropped)
	check := func(sender string) error {
		_, err := e.CheckToken(authserver.WithSender(t.Context(), sender), "token")
		return err
	}
	for range 2 * authserver.TripAfter {
		if err := check("a"); errors.Is(err, authserver.ErrOpen) {
			t.Fatal("one sender has tripped it")
		}
	}
	for range 2 * authserver.TripAfter {
		if err := e.Revoke(t.Context(), registry.Revocation{Token: "t", Organisation: "b"}); errors.Is(err, authserver.ErrOpen) {
			break
		}
	}
	if err := check("c"); !errors.Is(err, authserver.ErrOpen) {
		t.Errorf("%v, want an open breaker: two have failures in common", err)
	}
}

// TestBreakerOfConnections: a connection that is never had has nothing to do with who
// asks, nor has anything with fair_share off.
func TestBreakerOfConnections(t *testing.T) {
	for name, off := range map[string]bool{"no connection": false, "fair_share off": true} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.FairShareOff = off })
			if _, err := e.Metadata(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.on(register, dropped)
			if !off {
				e.https.Close()
			}
			for i := range authserver.TripAfter {
				if _, err := e.Create(t.Context(), of(t, 1)); err == nil || errors.Is(err, authserver.ErrOpen) {
					t.Fatalf("exchange %d: %v", i, err)
				}
			}
			if _, err := e.Create(t.Context(), of(t, 1)); !errors.Is(err, authserver.ErrOpen) {
				t.Errorf("%v, want an open breaker", err)
			}
		})
	}
}

// trip opens the breaker of registrations, and waits until exchanges are tried.
func (e *edge) trip() {
	e.t.Helper()
	e.on(register, dropped)
	for i := range authserver.TripAfter {
		if _, err := e.Create(e.t.Context(), of(e.t, i)); err == nil {
			e.t.Fatal("created")
		}
	}
	if _, err := e.Create(e.t.Context(), of(e.t, 1)); !errors.Is(err, authserver.ErrOpen) {
		e.t.Fatalf("%v, want an open breaker", err)
	}
	e.later(authserver.OpenFor)
}

// TestBreakerTriesAgain: whatever the trials of one organisation come to, those of
// another one close the breaker.
func TestBreakerTriesAgain(t *testing.T) {
	e := newEdge(t, nil)
	e.trip()
	try := func(n int) error {
		_, err := e.Create(t.Context(), of(t, n))
		return err
	}
	if err := try(1); err == nil || errors.Is(err, authserver.ErrOpen) {
		t.Fatalf("the first trial: %v", err)
	}
	if err := try(1); !errors.Is(err, authserver.ErrTrials) {
		t.Fatalf("an organisation whose trial has failed: %v", err)
	}
	e.later(authserver.OpenFor)
	if err := try(1); errors.Is(err, authserver.ErrTrials) {
		t.Fatalf("after a while it may try again: %v", err)
	}
	e.on(register, answer(400, `{"error":"invalid_client_metadata"}`))
	for n := range 3 {
		if err := try(2 + n); refusal.From(err).Kind != refusal.InvalidClientMetadata {
			t.Errorf("organisation %d: %v", 2+n, err)
		}
	}
	if err := try(1); refusal.From(err).Kind != refusal.InvalidClientMetadata {
		t.Errorf("the one that failed: %v", err)
	}

	// Trials that fail for two are the AS's.
	e.trip()
	for n := range 2 {
		if err := try(1 + n); errors.Is(err, authserver.ErrOpen) || errors.Is(err, authserver.ErrTrials) {
			t.Errorf("trial %d: %v", n, err)
		}
	}
	if err := try(3); !errors.Is(err, authserver.ErrOpen) {
		t.Errorf("%v, want an open breaker", err)
	}
}

// TestBreakerTrialsThatHang: one that hangs is no obstacle, and no more are at work than
// a few.
func TestBreakerTrialsThatHang(t *testing.T) {
	e := newEdge(t, func(e *edge, o *authserver.Options) { o.Client = e.client(wait.Limit) })
	e.trip()
	arrived, release := make(chan struct{}, authserver.TrialsAtOnce), make(chan struct{})
	e.on(register, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		dropped(w, r)
	})
	var group sync.WaitGroup
	hang := func(n int) {
		group.Go(func() {
			if _, err := e.Create(t.Context(), of(t, n)); err == nil {
				t.Error("created")
			}
		})
		wait.For(t, arrived, fmt.Sprint("the trial of organisation ", n))
	}
	defer func() { wait.ForGroup(t, &group, "the end of the trials") }()
	defer close(release)
	for n := range authserver.TrialsAtOnce - 1 {
		hang(n)
	}
	if _, err := e.Create(t.Context(), of(t, 0)); !errors.Is(err, authserver.ErrTrials) {
		t.Errorf("another trial of one that hangs: %v", err)
	}
	hang(authserver.TrialsAtOnce)
	if _, err := e.Create(t.Context(), of(t, 9)); !errors.Is(err, authserver.ErrTrials) {
		t.Errorf("one trial too many: %v", err)
	}
	release <- struct{}{} // one of them ends
	wait.Until(t, "a place for another trial", func() bool {
		e.on(register, answer(400, `{"error":"invalid_client_metadata"}`))
		_, err := e.Create(t.Context(), of(t, 9))
		return refusal.From(err).Kind == refusal.InvalidClientMetadata
	})
}

// What the caller gives up says nothing of the AS.
func TestCancelledCallsDoNotOpenTheBreaker(t *testing.T) {
	e := newEdge(t, nil)
	arrived := make(chan struct{})
	e.on(introspect, func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	for range 2 * authserver.TripAfter {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		if _, err := e.CheckToken(ctx, "token"); err == nil {
			t.Fatal("active")
		}
		cancel()
	}
	e.on(introspect, answer(200, `{"active":true,"client_id":"a"}`))
	if _, err := e.CheckToken(t.Context(), "token"); err != nil {
		t.Error(err)
	}
}
