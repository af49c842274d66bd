package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// explained is what a request leaves that was refused at its second step.
func explained(code string) *registry.Explanation {
	checks := new(trace.Trace)
	checks.Begin("client_certificate", "client_certificate", "RFC 8705 2.1", nil)
	checks.Begin("access_token", "access_token", "RFC 7662", nil)
	e := registry.Explain("default/obuk", "register", time.Now(), checks, refusal.New(refusal.InvalidToken, "access_token", "access token: expired; get a new one"))
	e.SupportCode = code
	return e
}

func TestExplanations(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		want := explained("code-1")
		x.KeepExplanation("one", func() *registry.Explanation { return want })
		x.keeps("two", "code-1")
		x.keeps("one", "code-2")
		time.Sleep(time.Second)
		list, err := x.Explanations(x.t.Context(), "code-1")
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v; want two", list, err)
		}
		got := list[0]
		if got.Outcome != registry.Refused || got.Status != 401 || got.Error != "invalid_token" || got.Rule != "access_token" || !strings.HasPrefix(got.ErrorDescription, "access token: expired") ||
			!got.At.Equal(want.At) || len(got.Steps) != 2 || got.Steps[0].Verdict != trace.Passed || got.Steps[1].Verdict != trace.Refused {
			t.Errorf("%+v, want a refusal by access_token in two steps, at %v", got, want.At)
		}
		if _, err := x.Explanations(x.t.Context(), "code"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
		all, cursor := 0, ""
		for pages := 0; pages == 0 || cursor != ""; pages++ {
			list, next, err := x.KeptExplanations(x.t.Context(), "default/obuk", cursor, 2)
			if err != nil || pages > 3 {
				t.Fatalf("page %d: %+v, %v", pages, list, err)
			}
			all, cursor = all+len(list), next
		}
		other, _, err := x.KeptExplanations(x.t.Context(), "default/other", "", 10)
		if all != 3 || err != nil || len(other) != 0 {
			t.Errorf("%d in pages, and %+v, %v", all, other, err)
		}
		time.Sleep(8 * 24 * time.Hour)
		if list, err := x.Explanations(x.t.Context(), "code-1"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("after a week: %+v, %v", list, err)
		}
	})
}

// TestExplanationOfAnEarlierVersion has its error_description under another name.
func TestExplanationOfAnEarlierVersion(t *testing.T) {
	kept := `{"workspace":"default/obuk","operation":"register","at":"2026-03-01T12:00:00Z","outcome":"refused","status":401,"error":"invalid_token","told":"access token: expired",` +
		`"steps":[{"step":"access_token","rule":"access_token","verdict":"refused","told":"access token: expired","reason":"exp"}]}`
	var e registry.Explanation
	if err := json.Unmarshal([]byte(kept), &e); err != nil {
		t.Fatal(err)
	}
	if e.ErrorDescription != "access token: expired" || len(e.Steps) != 1 || e.Steps[0].ErrorDescription != e.ErrorDescription || e.Steps[0].Reason != "exp" || e.Status != 401 {
		t.Errorf("got %+v, want the error_description in it and in its step", e)
	}
	written, err := json.Marshal(&e)
	if want := strings.ReplaceAll(kept, `"told"`, `"error_description"`); err != nil || string(written) != want {
		t.Errorf("got %s, %v, want %s", written, err, want)
	}
}

// keeps keeps one explanation.
func (x *fixture) keeps(sender, code string) {
	x.KeepExplanation(sender, func() *registry.Explanation { return explained(code) })
}

// A flood writes over its own explanations and loses its own: the store does not grow
// with it, and others have their turns.
func TestExplanationsAreBounded(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		for i := range 1000 {
			x.keeps("", fmt.Sprint("flood-", i))
			time.Sleep(300 * time.Millisecond)
		}
		if keys := x.keys("explanation/"); len(keys) != 16 || x.LostExplanations() != 0 {
			t.Errorf("%d explanations of strangers, %d lost", len(keys), x.LostExplanations())
		}
		if _, err := x.Explanations(t.Context(), "flood-999"); err != nil {
			t.Error(err)
		}
		// The store has other work: so many wait, and the writer has some in its hands.
		busy, release, done := make(chan struct{}, 1), make(chan struct{}), make(chan error)
		go func() {
			done <- x.store.Update(x.t.Context(), func(registry.Writer) error {
				select {
				case busy <- struct{}{}:
				default:
				}
				<-release
				return nil
			})
		}()
		wait.For(x.t, busy, "the store to be busy")
		for i := range 1000 {
			x.keeps("", fmt.Sprint("burst-", i))
		}
		if n := x.LostExplanations(); n < 1000-8 || n > 1000-4 {
			t.Errorf("%d lost of 1000 while nothing can be written", n)
		}
		x.keeps("somebody", "code")
		close(release)
		if err := wait.For(x.t, done, "the update"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if _, err := x.Explanations(t.Context(), "code"); err != nil {
			t.Error(err)
		}
		for size, want := range map[int]error{56 << 10: nil, 56<<10 + 1: registry.ErrNotFound} {
			code := fmt.Sprint("size-", size)
			x.KeepExplanation("somebody", func() *registry.Explanation {
				e := explained(code)
				text, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				e.ErrorDescription += strings.Repeat("x", size-len(code+"\n")-len(text))
				return e
			})
			time.Sleep(time.Second)
			if list, err := x.Explanations(t.Context(), code); !errors.Is(err, want) {
				t.Errorf("an explanation of %d bytes: %d, %v; want %v", size, len(list), err, want)
			}
		}
	})
}

// A flood costs a bounded number of writes.
func TestExplanationsAtAPace(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		for range 10 * 20 {
			for i := range 50 {
				x.keeps(fmt.Sprint("sender-", i), "flood")
			}
			time.Sleep(50 * time.Millisecond)
		}
		list, err := x.Explanations(t.Context(), "flood")
		if err != nil || len(list) > 10*4*8+8 || len(list) < 200 {
			t.Errorf("%d written in ten seconds, %v", len(list), err)
		}
	})
}

// What waits is written before the store is closed.
func TestExplanationsAtClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		r, err := registry.Open(t.Context(), registry.Options{Store: outliving{store}, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 8 {
			r.KeepExplanation([]string{"", "one"}[i%2], func() *registry.Explanation { return explained(fmt.Sprint("code-", i)) })
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err = registry.Open(t.Context(), registry.Options{Store: store, Sealer: plain{}}); err != nil {
			t.Fatal(err)
		}
		found := 0
		for i := range 8 {
			if list, err := r.Explanations(t.Context(), fmt.Sprint("code-", i)); err == nil {
				found += len(list)
			}
		}
		if found != 8 {
			t.Errorf("%d of 8", found)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// outliving is a store that its registry does not close.
type outliving struct{ registry.Store }

func (outliving) Close() error { return nil }
