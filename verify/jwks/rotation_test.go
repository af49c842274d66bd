package jwks_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// traffic verifies a JWS of each kid, many times, at once, and tells how many
// times each kid failed.
func traffic(t *testing.T, source verify.KeySource, each int, kids ...string) map[string]int {
	t.Helper()
	failed := map[string]int{}
	var mu sync.Mutex
	var start, done sync.WaitGroup
	start.Add(1)
	for _, kid := range kids {
		jws := signed(t, kid)
		for range each {
			done.Go(func() {
				start.Wait()
				if err := jws.VerifyWith(context.Background(), source); err != nil {
					mu.Lock()
					defer mu.Unlock()
					failed[kid]++
				}
			})
		}
	}
	start.Done()
	wait.ForGroup(t, &done, "the verification of all tokens")
	return failed
}

// Whatever the interleaving: a directory rotates its key under traffic, in the
// usual order, and no request that should be accepted is refused. Each step costs
// one fetch.
func TestRotation(t *testing.T) {
	const each = 16
	for round := range 10 {
		d := newDirectory(t, text(set("old"), "max-age=3600"))
		s := source(t, d)
		step := func(name string, fetches int32, wrong int, kids ...string) {
			t.Helper()
			for kid, n := range traffic(t, s, each, kids...) {
				if kid != "wrong" || n != wrong {
					t.Errorf("round %d, %s: kid %s failed %d times of %d", round, name, kid, n, each)
				}
			}
			if n := d.asked.Load(); n != fetches {
				t.Fatalf("round %d, %s: %d fetches, want %d", round, name, n, fetches)
			}
		}
		step("before", 1, 0, "old")
		d.wait(jwks.RefreshEvery)
		d.set(text(set("old", "new"), "max-age=3600"))
		step("the old key needs no fetch", 1, 0, "old")
		step("the new key is there at once", 2, 0, "old", "new")
		d.set(text(set("new"), "max-age=3600"))
		step("the old key counts until its set has ended", 2, 0, "old", "new")
		step("an unknown key so soon causes nothing", 2, each, "new", "wrong")
		d.wait(time.Hour)
		step("the new set alone", 3, 0, "new")
		if failed := traffic(t, s, each, "old")["old"]; failed != each {
			t.Errorf("round %d: the old key verified %d times after its end", round, each-failed)
		}
		step("and it causes no fetch", 3, 0, "new")
		d.wait(jwks.RefreshEvery)
		step("an unknown key is asked for once", 4, each, "new", "wrong")
		step("and not again", 4, each, "new", "wrong")
	}
}

// A new key that comes while the server is down is refused, and never with the
// word that it is unknown for good where there is no key at all.
func TestRotationWhileDown(t *testing.T) {
	d := newDirectory(t, text(set("old"), "max-age=3600"))
	s := source(t, d)
	traffic(t, s, 1, "old")
	d.set(status(http.StatusServiceUnavailable))
	d.wait(jwks.RefreshEvery)
	if failed := traffic(t, s, 16, "old", "new"); failed["old"] != 0 || failed["new"] != 16 || d.asked.Load() != 2 {
		t.Errorf("failed %v, %d fetches", failed, d.asked.Load())
	}
	d.wait(time.Hour + jwks.MaxStale)
	for kid := range map[string]bool{"old": true, "new": true} {
		err := signed(t, kid).VerifyWith(context.Background(), s)
		if e := refusal.From(err); err == nil || e.Status() != 503 || e.RetryAfter < time.Second {
			t.Errorf("kid %s: %v", kid, err)
		}
	}
	if n := d.asked.Load(); n != 3 {
		t.Errorf("%d fetches", n)
	}
}

// All who wait for the one fetch share its outcome, also when it is slow and
// when it fails.
func TestWaitersShareOutcome(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		failed int
	}{
		"keys":  {text(set("a"), ""), 0},
		"error": {status(500), 16},
	} {
		t.Run(name, func(t *testing.T) {
			arrived, release := make(chan struct{}), make(chan struct{})
			d := newDirectory(t, func(w http.ResponseWriter, r *http.Request) {
				close(arrived) // a second request would panic here
				<-release
				tc.answer(w, r)
			})
			s := source(t, d)
			outcome := make(chan map[string]int)
			go func() { outcome <- traffic(t, s, 16, "a") }()
			wait.For(t, arrived, "the request")
			close(release)
			if failed := wait.For(t, outcome, "the callers"); failed["a"] != tc.failed {
				t.Errorf("%d failed", failed["a"])
			}
			if n := d.asked.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
		})
	}
}

// A caller that decided to fetch before another's attempt ended, and comes after
// it, takes its outcome, good or bad.
func TestLateCaller(t *testing.T) {
	d := newDirectory(t, text(set("a"), ""))
	s := source(t, d)
	having := func(tries uint64) func(context.Context) ([]verify.Key, error) {
		return func(ctx context.Context) ([]verify.Key, error) { return s.Fetch(ctx, tries) }
	}
	d.want(t, having(0), "a", 1)
	d.set(text(set("b"), ""))
	d.want(t, having(0), "a", 1)
	d.want(t, having(1), "b", 2)
	d.set(status(500))
	d.want(t, having(2), "", 3)
	d.set(text(set("c"), ""))
	d.want(t, having(2), "", 3)
	d.want(t, having(3), "c", 4)
}
