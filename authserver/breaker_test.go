package authserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestBreaker: an AS that is down is left alone for a while, and then one exchange tries.
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
			e.SetBreakerPause(time.Hour)
			e.on(register, test.down)
			for range 2 * authserver.TripAfter {
				_, err := e.Create(t.Context(), tpp(t))
				if err == nil {
					t.Fatal("created")
				}
				if len(e.to(register)) == authserver.TripAfter && errors.Is(err, gobreaker.ErrOpenState) {
					if e.refused(err, verify.Unavailable); errors.Is(err, registry.ErrLost) {
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

func TestBreakerTriesAgain(t *testing.T) {
	e := newEdge(t, nil)
	e.SetBreakerPause(time.Millisecond)
	e.on(introspect, answer(503, ""))
	for range authserver.TripAfter {
		if _, err := e.CheckToken(t.Context(), "token"); err == nil {
			t.Fatal("active")
		}
	}
	e.on(introspect, answer(200, `{"active":true,"client_id":"a"}`))
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, err := e.CheckToken(t.Context(), "token")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// What the caller gives up says nothing of the AS.
func TestBreakerOfImpatientCallers(t *testing.T) {
	e := newEdge(t, nil)
	e.SetBreakerPause(time.Hour)
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

// An AS that hangs does not collect requests without end.
func TestNoMoreAtWork(t *testing.T) {
	e := newEdge(t, nil)
	if _, err := e.Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	arrived := make(chan struct{}, authserver.MaxAtWork)
	e.on(introspect, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		answer(200, `{"active":true,"client_id":"a"}`)(w, r)
	})
	var group sync.WaitGroup
	for range authserver.MaxAtWork {
		group.Go(func() {
			if _, err := e.CheckToken(t.Context(), "token"); err != nil {
				t.Error(err)
			}
		})
	}
	for range authserver.MaxAtWork {
		<-arrived
	}
	_, err := e.CheckToken(t.Context(), "token")
	e.refused(err, verify.Unavailable)
	close(release)
	group.Wait()
	if _, err := e.CheckToken(t.Context(), "token"); err != nil {
		t.Error(err)
	}
}
