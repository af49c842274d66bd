// Package e2e_test runs the whole product: the gateway as a process, in front of
// authorization servers that others wrote.
package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// open sets a stage for a test; its log is shown when the test fails.
func open(t *testing.T, o story.Options) *story.Stage {
	t.Helper()
	binary, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	o.Binary, o.Dir = binary, t.TempDir()
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
		if t.Failed() {
			t.Logf("the gateway's log:\n%s\nthe authorization server's log:\n%s", s.Gateway.Log(), s.AS.Log())
		}
	})
	return s
}

func TestStory(t *testing.T) {
	for _, kind := range authserverprocess.Kinds {
		for _, tokens := range []string{"opaque", "jwt"} {
			t.Run(string(kind)+"/"+tokens, func(t *testing.T) {
				t.Parallel()
				play := &story.Play{Stage: open(t, story.Options{Kind: kind, AccessTokens: tokens})}
				for _, step := range story.Steps {
					if !t.Run(step.Title, func(t *testing.T) {
						if err := step.Run(play, t.Context()); err != nil {
							t.Fatal(err)
						}
					}) {
						t.Fatal("the story cannot go on")
					}
				}
			})
		}
	}
}
