package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func kids(keys []verify.Key) string {
	list := make([]string, len(keys))
	for i, k := range keys {
		list[i] = k.ID
	}
	return strings.Join(list, " ")
}

// source is one on the directory, with its clock.
func source(t *testing.T, d *directory) *jwks.Source {
	t.Helper()
	return jwks.NewSource(client(t, jwks.Options{PrivateRanges: true}, d), d.URL, d.clock)
}

// want asks for keys and checks them, and how often the server was asked in all.
func (d *directory) want(t *testing.T, f func(context.Context) ([]verify.Key, error), want string, asked int32) {
	t.Helper()
	keys, err := f(context.Background())
	switch {
	case want == "" && err == nil:
		t.Errorf("got %s, want an error", kids(keys))
	case want != "" && (err != nil || kids(keys) != want):
		t.Errorf("got %q, %v, want %q", kids(keys), err, want)
	}
	if n := d.asked.Load(); n != asked {
		t.Errorf("the server was asked %d times, want %d", n, asked)
	}
}

func TestKeysAreCached(t *testing.T) {
	for name, tc := range map[string]struct {
		cacheControl string
		age          time.Duration
	}{
		"no header":       {"", jwks.DefaultAge},
		"no-store":        {"no-store", jwks.DefaultAge},
		"negative":        {"max-age=-1", jwks.DefaultAge},
		"max-age":         {"public, max-age=3600", time.Hour},
		"max-age of 0":    {"max-age=0", jwks.MinAge},
		"max-age of ages": {"max-age=31536000", jwks.MaxAge},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t, text(set("a"), tc.cacheControl))
			s := source(t, d)
			if d.asked.Load() != 0 {
				t.Error("fetched before it was asked")
			}
			d.want(t, s.Keys, "a", 1)
			d.set(text(set("b"), tc.cacheControl))
			d.wait(tc.age - 1)
			d.want(t, s.Keys, "a", 1)
			d.wait(1)
			d.want(t, s.Keys, "b", 2)
		})
	}
}

// A header may come in several lines, and means the same (RFC 9110 5.3).
func TestCacheControlLines(t *testing.T) {
	d := newDirectory(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Cache-Control"] = []string{"public", "max-age=7200", "max-age=3600"}
		fmt.Fprint(w, set("a"))
	})
	s := source(t, d)
	d.want(t, s.Keys, "a", 1)
	d.wait(time.Hour - 1)
	d.want(t, s.Keys, "a", 1)
	d.wait(1)
	d.want(t, s.Keys, "a", 2)
}

func TestAge(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 7, "no-cache": 7, "max-age": 7, "max-age=": 7, "max-age=x": 7, "max-age=-1": 7, "max-age=1.5": 7, "s-maxage=90": 7, "max-age=99999999999999999999": 7,
		"max-age=90": 90 * time.Second, "MAX-AGE=90": 90 * time.Second, `max-age="90"`: 90 * time.Second, "public,max-age=90 , x": 90 * time.Second,
		"no-store": 7, "no-store, max-age=3600": 7, "max-age=3600, no-cache": 7, "max-age=x, max-age=90": 7, "max-age=0": time.Minute, "max-age=90, max-age=60": time.Minute,
		"max-age=60, max-age=90": time.Minute, "max-age=90,max-age=3600": 90 * time.Second, "private, must-revalidate, max-age=90": 90 * time.Second, "x-max-age=90": 7, "max-age =90": 7,
		"max-age=1": time.Minute, "max-age=60": time.Minute, "max-age=3600": time.Hour, "max-age=3601": time.Hour, "max-age=2147483647": time.Hour,
	} {
		if got := jwks.Age(http.Header{"Cache-Control": {header}}, 7, time.Minute, time.Hour); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

// Whatever makes the answer useless, the keys before it stay, for a bounded time.
func TestStaleKeys(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"status 500":     status(500),
		"status 404":     status(404),
		"not JSON":       text("<html>", ""),
		"no keys":        text(`{"keys":[]}`, ""),
		"no usable key":  text(`{"keys":[{"kty":"AKP"}]}`, ""),
		"a private key":  text(`{"keys":[{"kty":"oct","k":"AAAA"}]}`, ""),
		"too many keys":  text(set(make([]string, 101)...), ""),
		"too many bytes": text(strings.Repeat(" ", jwks.DefaultMaxBytes)+set("b"), ""),
		"another origin": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://other.example/", http.StatusFound)
		},
		"connection ends": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000") // a GET without any answer would be repeated by net/http
			fmt.Fprint(w, set("b"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t, answer)
			s := source(t, d)
			d.want(t, s.Keys, "", d.asked.Load()+1) // cold: an error, and none invented
			d.wait(jwks.RefreshEvery)
			d.set(text(set("a"), "max-age=3600"))
			d.want(t, s.Keys, "a", 2)
			d.set(answer)
			d.wait(time.Hour)
			d.want(t, s.Keys, "a", 3)
			d.wait(jwks.MaxStale - 1)
			d.want(t, s.Keys, "a", 4)
			d.wait(1)
			d.want(t, s.Keys, "", 4)
			d.wait(jwks.RefreshEvery)
			d.want(t, s.Keys, "", 5)
			d.set(text(set("b"), ""))
			d.wait(jwks.RefreshEvery)
			d.want(t, s.Keys, "b", 6)
		})
	}
}

// While the server is down it is asked after 1, 2, 4, 8 and 16 seconds, and then once per
// RefreshEvery, by whomever.
func TestAttemptsWhileDown(t *testing.T) {
	d := newDirectory(t, status(503))
	s := source(t, d)
	d.want(t, s.Keys, "", 1)
	asked := int32(1)
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		for range 5 {
			d.want(t, s.Keys, "", asked)
			d.want(t, s.Refresh, "", asked)
		}
		d.wait(pause*time.Second - 1)
		d.want(t, s.Keys, "", asked)
		d.wait(1)
		asked++
		d.want(t, s.Keys, "", asked)
	}
}

// A server that was down for a moment is asked again after a moment, and one success
// makes the next pause the first one again.
func TestASuccessEndsThePause(t *testing.T) {
	d := newDirectory(t, status(503))
	s := source(t, d)
	d.want(t, s.Keys, "", 1)
	d.wait(time.Second)
	d.want(t, s.Keys, "", 2)
	d.set(text(set("a"), "max-age=60"))
	d.wait(2 * time.Second)
	d.want(t, s.Keys, "a", 3)
	d.set(status(503))
	d.wait(time.Minute)
	d.want(t, s.Keys, "a", 4)
	d.set(text(set("b"), ""))
	d.wait(time.Second - 1)
	d.want(t, s.Keys, "a", 4)
	d.wait(1)
	d.want(t, s.Keys, "b", 5)
}

// Early attempts are shared out: one organisation with many URLs makes no more of them
// than one URL does, and all organisations together no more than their bound. What is
// over comes as often as it did before there were any.
func TestEarlyAttemptsAreBounded(t *testing.T) {
	d := newDirectory(t, status(503))
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	sources := jwks.NewSources(client(t, jwks.Options{PrivateRanges: true}, d), []string{u.Hostname()}, d.clock)
	ask := func(organisation string, urls int) {
		t.Helper()
		for i := range urls {
			source := verify.KeysOf(mustSource(t, sources, fmt.Sprint(d.URL, "/", organisation, "/", i)), organisation)
			if _, err := source.Keys(t.Context()); err == nil {
				t.Error("there are keys")
			}
		}
	}
	ask("hostile", 100)
	first := d.asked.Load()
	for range 28 {
		d.wait(time.Second)
		ask("hostile", 100)
	}
	if n := d.asked.Load() - first; first != 100 || n != 5 {
		t.Errorf("%d first attempts, %d early ones, want 100 and 5", first, n)
	}
	ask("other", 1)
	d.wait(time.Second)
	before := d.asked.Load()
	ask("other", 1)
	if n := d.asked.Load() - before; n != 1 {
		t.Error("another organisation waits because of the first")
	}
	d.wait(jwks.RefreshEvery)
	before = d.asked.Load()
	ask("hostile", 100)
	if n := d.asked.Load() - before; n != 100 {
		t.Errorf("%d attempts after %v, want each URL's", n, jwks.RefreshEvery)
	}
	for i := range 30 {
		ask(fmt.Sprint("org", i), 5)
	}
	d.wait(time.Second)
	before = d.asked.Load()
	for i := range 30 {
		ask(fmt.Sprint("org", i), 5)
	}
	if n := d.asked.Load() - before; n != 64 {
		t.Errorf("%d early attempts of all, want 64", n)
	}
}

func TestForcedRefresh(t *testing.T) {
	d := newDirectory(t, text(set("a"), "max-age=3600"))
	s := source(t, d)
	d.want(t, s.Keys, "a", 1)
	d.set(text(set("a", "b"), "max-age=3600"))
	d.want(t, s.Refresh, "a", 1) // fetched this very moment
	d.wait(jwks.RefreshEvery - 1)
	d.want(t, s.Refresh, "a", 1)
	d.wait(1)
	d.want(t, s.Refresh, "a b", 2)
	d.set(text(set("c"), ""))
	for range 5 {
		d.want(t, s.Refresh, "a b", 2)
	}
	d.wait(jwks.RefreshEvery)
	d.set(status(500))
	d.want(t, s.Refresh, "a b", 3) // fails, and the keys are fresh still
	d.want(t, s.Refresh, "a b", 3)
	d.want(t, s.Keys, "a b", 3)
}

func TestRefreshWhenCold(t *testing.T) {
	d := newDirectory(t, text(set("a"), ""))
	d.want(t, source(t, d).Refresh, "a", 1)
}

// The whole way: a rotated key verifies after one more fetch, an unknown one does
// not, however often it comes, and without keys the TPP is told to come back.
func TestVerifyWithSource(t *testing.T) {
	d := newDirectory(t, text(set("a"), "max-age=3600"))
	s := source(t, d)
	verifies := func(kid string, want bool, asked int32) {
		t.Helper()
		if err := signed(t, kid).VerifyWith(context.Background(), s); (err == nil) != want {
			t.Errorf("kid %s: %v", kid, err)
		}
		if n := d.asked.Load(); n != asked {
			t.Errorf("kid %s: the server was asked %d times, want %d", kid, n, asked)
		}
	}
	verifies("a", true, 1)
	d.set(text(set("b"), "max-age=3600"))
	verifies("b", false, 1) // too soon
	d.wait(jwks.RefreshEvery)
	verifies("b", true, 2)
	for i := range 10 {
		verifies(fmt.Sprint("x", i), false, 2)
	}
	d.wait(jwks.RefreshEvery)
	verifies("y", false, 3)
	verifies("z", false, 3)
	verifies("b", true, 3)

	down := newDirectory(t, status(500))
	err := signed(t, "a").VerifyWith(context.Background(), source(t, down))
	if e := refusal.From(err); e.Kind != refusal.Unavailable || e.Status() != 503 || e.RetryAfter < time.Second || strings.Contains(e.Description, "127.0.0.1") {
		t.Errorf("got %+v", e)
	}
}

// Whatever the interleaving: callers that come before the first fetch has ended
// cause no second one.
func TestConcurrentCallersShare(t *testing.T) {
	for round := range 30 {
		d := newDirectory(t, text(set("a"), "max-age=3600"))
		s := source(t, d)
		together := func(f func(context.Context) ([]verify.Key, error)) {
			var start, done sync.WaitGroup
			start.Add(1)
			for range 16 {
				done.Go(func() {
					start.Wait()
					if keys, err := f(context.Background()); err != nil || kids(keys) != "a" {
						t.Errorf("got %q, %v", kids(keys), err)
					}
				})
			}
			start.Done()
			wait.ForGroup(t, &done, "the keys of all callers")
		}
		together(s.Keys)
		if n := d.asked.Load(); n != 1 {
			t.Fatalf("round %d: %d fetches for 16 callers of Keys", round, n)
		}
		d.wait(jwks.RefreshEvery)
		together(s.Refresh)
		if n := d.asked.Load(); n != 2 {
			t.Fatalf("round %d: %d fetches for 16 callers of Refresh", round, n-1)
		}
	}
}

// A caller that goes away gets its error at once; its fetch serves the others.
func TestCallerGoesAway(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	d := newDirectory(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, set("a"))
	})
	s := source(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan error)
	go func() {
		_, err := s.Keys(ctx)
		gone <- err
	}()
	wait.For(t, arrived, "the request")
	cancel()
	if err := wait.For(t, gone, "the caller that goes away"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	d.want(t, s.Keys, "a", 1)
}

// A fetch runs in no request's goroutine, where a panic would end the process.
func TestReaderPanics(t *testing.T) {
	d := newDirectory(t, text(set("a"), ""))
	panics := true
	s := jwks.NewSourceOf(client(t, jwks.Options{PrivateRanges: true}, d), d.URL, func(b []byte) ([]verify.Key, []verify.LeftOut, error) {
		if panics {
			panic("over a hostile key")
		}
		return verify.ReadJWKS(b)
	}, d.clock)
	d.want(t, s.Keys, "", 1)
	panics = false
	d.want(t, s.Keys, "", 1)
	d.wait(jwks.RefreshEvery)
	d.want(t, s.Keys, "a", 2)
}
