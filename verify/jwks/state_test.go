package jwks_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestState is what operators are shown, before there are keys, with them, and after a failure.
func TestState(t *testing.T) {
	d := newDirectory(t, text(set("a", "b"), "max-age=3600"))
	s := source(t, d)
	s.Of("org1")
	if got := s.State(); got.URL != d.URL || got.Organisation != "org1" || got.Keys != 0 || !got.Fetched.IsZero() || !got.Fresh.IsZero() || !got.Tried.IsZero() || got.Failed != nil {
		t.Errorf("%+v, want nothing but the URL and the organisation", got)
	}
	began := d.clock()
	if !s.RefreshNow(t.Context()) {
		t.Error("not fetched")
	}
	want := jwks.State{URL: d.URL, Organisation: "org1", Keys: 2, KeyIDs: []string{"a", "b"}, Fetched: began, Fresh: began.Add(time.Hour), Until: began.Add(time.Hour + jwks.MaxStale), Tried: began}
	if got := s.State(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	d.set(status(500))
	if s.RefreshNow(t.Context()) {
		t.Error("fetched once more within 30 seconds")
	}
	d.wait(jwks.RefreshEvery)
	if !s.RefreshNow(t.Context()) {
		t.Error("not fetched after 30 seconds")
	}
	got := s.State()
	if got.Failed == nil || !strings.Contains(got.Failed.Error(), "500") || got.Keys != 2 || !got.Fetched.Equal(began) || !got.Next.Equal(d.clock().Add(jwks.FirstPause)) {
		t.Errorf("%+v, want the keys of before, and the error", got)
	}
}

// TestStateHasAHundredKeyIDs at most, and names no key without one.
func TestStateHasAHundredKeyIDs(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint("k", i))
	}
	d := newDirectory(t, text(set(many...), ""))
	s := source(t, d)
	s.RefreshNow(t.Context())
	if got := s.State(); got.Keys != 100 || len(got.KeyIDs) != jwks.MaxShownKeyIDs {
		t.Errorf("%d keys, %d ids; want 100", got.Keys, len(got.KeyIDs))
	}
}

// TestRefreshAtOnce: many operators have one fetch.
func TestRefreshAtOnce(t *testing.T) {
	d := newDirectory(t, text(set("a"), ""))
	s := source(t, d)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { s.RefreshNow(t.Context()) })
	}
	group.Wait()
	if n := d.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// TestAllSources are those of allowed hosts that were used, by URL.
func TestAllSources(t *testing.T) {
	s := jwks.NewSources(client(t, jwks.Options{}), []string{"keys.example"}, nil)
	for _, endpoint := range []string{"https://keys.example/b", "https://keys.example/a", "https://other.example/c"} {
		_, _ = s.Source(endpoint)
	}
	var urls []string
	for _, source := range s.All() {
		urls = append(urls, source.URL())
	}
	if want := []string{"https://keys.example/a", "https://keys.example/b"}; !slices.Equal(urls, want) {
		t.Errorf("%q, want %q", urls, want)
	}
}
