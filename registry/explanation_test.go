package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// explained is what a request leaves that was refused at its second step.
func explained(code string) *registry.Explanation {
	trace := new(verify.Trace)
	trace.Begin("client_certificate", "client_certificate", "RFC 8705 2.1", nil)
	trace.Begin("access_token", "access_token", "RFC 7662", nil)
	e := registry.Explain("default/obuk", "register", time.Now(), trace, verify.Refuse(verify.InvalidToken, "access_token", "access token: expired; get a new one"))
	e.SupportCode = code
	return e
}

func TestExplanations(t *testing.T) {
	run(t, true, func(x *fixture) {
		want := explained("code-1")
		x.KeepExplanation("one", want)
		x.KeepExplanation("two", explained("code-1"))
		x.KeepExplanation("one", explained("code-2"))
		synctest.Wait()
		list, err := x.Explanations(x.t.Context(), "code-1")
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		got := list[0]
		if got.Outcome != registry.Refused || got.Status != 401 || got.Error != "invalid_token" || got.Rule != "access_token" || !strings.HasPrefix(got.Told, "access token: expired") ||
			!got.At.Equal(want.At) || len(got.Steps) != 2 || got.Steps[0].Verdict != verify.VerdictPassed || got.Steps[1].Verdict != verify.VerdictRefused {
			t.Errorf("%+v", got)
		}
		if _, err := x.Explanations(x.t.Context(), "code"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%v", err)
		}
		time.Sleep(8 * 24 * time.Hour)
		if list, err := x.Explanations(x.t.Context(), "code-1"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("after a week: %+v, %v", list, err)
		}
	})
}

// A flood writes over its own explanations: the store does not grow with it, and what
// cannot be written in time is lost and counted.
func TestExplanationsAreBounded(t *testing.T) {
	run(t, true, func(x *fixture) {
		for i := range 1000 {
			x.KeepExplanation("flood", explained(fmt.Sprint("flood-", i)))
			synctest.Wait()
		}
		if keys := x.keys("explanation/"); len(keys) != 16 || x.LostExplanations() != 0 {
			t.Errorf("%d explanations of one sender, %d lost", len(keys), x.LostExplanations())
		}
		if _, err := x.Explanations(t.Context(), "flood-999"); err != nil {
			t.Error(err)
		}
		// The store has other work: so many wait, and the writer has some in its hands.
		busy, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
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
		<-busy
		for i := range 1000 {
			x.KeepExplanation("flood", explained(fmt.Sprint("burst-", i)))
		}
		if n := x.LostExplanations(); n < 1000-64-8 || n > 1000-64 {
			t.Errorf("%d lost of 1000 while nothing can be written", n)
		}
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What waits is written before the store is closed.
func TestExplanationsAtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.Open(memory.Options{})
		r, err := registry.Open(t.Context(), registry.Options{Store: outliving{store}, Sealer: plain{}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			r.KeepExplanation(fmt.Sprint("sender-", i), explained(fmt.Sprint("code-", i)))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err = registry.Open(t.Context(), registry.Options{Store: store, Sealer: plain{}}); err != nil {
			t.Fatal(err)
		}
		found := 0
		for i := range 20 {
			if list, err := r.Explanations(t.Context(), fmt.Sprint("code-", i)); err == nil {
				found += len(list)
			}
		}
		if found != 20 {
			t.Errorf("%d of 20", found)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// outliving is a store that its registry does not close.
type outliving struct{ registry.Store }

func (outliving) Close() error { return nil }
