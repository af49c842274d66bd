// Package e2e_test runs the whole product: the gateway as a process, in front of
// authorization servers that others wrote.
package e2e_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

// shownLog is how much of the gateway's log a failed test shows.
const shownLog = 16 << 10

// open sets a stage for a test; its logs are shown when the test fails. Whatever
// a test does, no secret and no token may be in the gateway's log, and what its
// TPPs are answered is as the official files have it. A test may have a binary and a
// folder of its own.
func open(t *testing.T, o story.Options) *story.Stage {
	t.Helper()
	if o.Binary == "" {
		var err error
		if o.Binary, err = gateway.Build(); err != nil {
			t.Fatal(err)
		}
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Answered = watch(t).check
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := story.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		holdsLog(t, s)
	})
	return s
}

// holdsLog holds that nothing is in the gateway's log that must not be, and shows the logs
// of a test that has failed.
func holdsLog(t *testing.T, s *story.Stage) {
	t.Helper()
	log := s.Gateway.Log()
	if slices.ContainsFunc(s.Secrets(), func(secret string) bool { return strings.Contains(log, secret) }) {
		t.Error("a secret or a token is in the gateway's log")
	}
	for _, fault := range []string{"DATA RACE", "panic:", `"level":"panic"`, "goroutine "} {
		if at := strings.Index(log, fault); at >= 0 {
			t.Errorf("the gateway's log has %q:\n%s", fault, log[at:min(len(log), at+shownLog)])
		}
	}
	if t.Failed() {
		t.Logf("the gateway's log:\n%s", log[max(0, len(log)-shownLog):])
		if s.AS != nil {
			t.Logf("the authorization server's log:\n%s", s.AS.Log())
		}
	}
}

// learn is a play that knows the endpoints.
func learn(t *testing.T, s *story.Stage) *story.Play {
	t.Helper()
	p := &story.Play{Stage: s}
	if err := p.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStory(t *testing.T) {
	for _, kind := range authserverprocess.Kinds {
		for _, tokens := range []string{"opaque", "jwt"} {
			t.Run(string(kind)+"/"+tokens, func(t *testing.T) {
				t.Parallel()
				o := story.Options{Kind: kind, AccessTokens: tokens}
				if kind == authserverprocess.GoOIDC {
					o.Binary = raceDetecting(t)
				}
				play := &story.Play{Stage: open(t, o)}
				for _, step := range slices.Concat(story.Steps, story.Operations) {
					if !t.Run(step.Title, func(t *testing.T) {
						if err := step.Run(play, t.Context()); err != nil {
							t.Fatal(err)
						}
					}) {
						t.Fatal("the story cannot go on")
					}
				}
				left(t, play)
			})
		}
	}
}

// left holds what is in the registry after the story: the one client of the last
// step, and of all others, refused or deleted, nothing but what keeps ids, tokens
// and requests from being used again. A gateway that was killed after the last 201,
// and stopped right after its start, may still have the token to revoke: it does so
// at the next start.
func left(t *testing.T, p *story.Play) {
	t.Helper()
	if err := p.Gateway.Stop(); err != nil {
		t.Fatal(err)
	}
	count := entries(t, p.Stage)
	if count["outbox"] > 0 {
		revoked(t, p)
		count = entries(t, p.Stage)
	}
	// Three clients were registered, two deleted; one request more changed a client. That
	// makes six entries of the audit trail.
	// The store itself has one (its keyset's); the one software and the one organisation have a record each of what they have and write.
	// Three tokens were tried on clients that are not theirs, or gone. A token is
	// remembered under one to three keys, as many as it has spellings.
	want := map[string]int{"audit": 6, "history": 6, "discovery": 1, "client": 1, "document": 1, "certificate": 1, "index": 5, "id": 3, "jti": 4, "software": 1, "store": 1, "written": 1, "discovered": 1, "used": 1}
	if n := count["token"]; n < 6 || n > 18 {
		t.Errorf("six tokens are remembered under %d keys", n)
	}
	delete(count, "token")
	// Key sets are kept behind the requests: of the directory and the software, and of an
	// authorization server whose tokens are verified here.
	if n := count["jwks"]; n < 2 || n > 3 {
		t.Errorf("got %d key sets that are kept, want 2 or 3", n)
	}
	delete(count, "jwks")
	// A gateway that was up for a minute has noted since when it knows who is used, and when it
	// looks at clients.
	delete(count, "pass")
	count["store"] = min(count["store"], 1)
	if !maps.Equal(count, want) {
		t.Errorf("the registry holds %v, want %v", count, want)
	}
}

// revoked starts the gateway until it has asked the AS to revoke a token.
func revoked(t *testing.T, p *story.Play) {
	t.Helper()
	endpoint, err := url.Parse(p.Endpoint("revocation_endpoint"))
	if err == nil {
		err = errors.Join(p.AS.ResetRequests(t.Context()), p.Gateway.Restart(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	err = story.Eventually(t.Context(), 20*time.Second, func() error {
		seen, err := p.AS.RequestsTo(t.Context(), http.MethodPost, endpoint.Path)
		if err == nil && len(seen) == 0 {
			err = errors.New("what was left in the outbox is not done")
		}
		return err
	})
	if err = errors.Join(err, p.Gateway.Stop()); err != nil {
		t.Fatal(err)
	}
}

// entries counts what is in the registry of a gateway that was stopped.
func entries(t *testing.T, s *story.Stage) map[string]int {
	t.Helper()
	store, err := badger.Open(badger.Options{Dir: filepath.Join(s.Dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	err = store.View(t.Context(), func(r registry.Reader) error {
		entries, err := r.Scan("", "", 1000)
		for _, e := range entries {
			prefix, _, _ := strings.Cut(e.Key, "/")
			count[prefix]++
		}
		return err
	})
	if err = errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return count
}
