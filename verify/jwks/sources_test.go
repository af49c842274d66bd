package jwks_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestSourcesHosts(t *testing.T) {
	sources := jwks.NewSources(client(t, jwks.Options{}), []string{"keystore.example", "other.example"}, nil)
	for _, tc := range []struct {
		name, endpoint string
		ok             bool
	}{
		{"allowed", "https://keystore.example/0015/65d1.jwks", true},
		{"second", "https://other.example/0015/65d1.jwks", true},
		{"port", "https://keystore.example:8443/x", true},
		{"capitals", "https://KeyStore.Example/x", true},
		{"query", "https://keystore.example/x?y=z", true},
		{"another host", "https://evil.example/x", false},
		{"below an allowed one", "https://a.keystore.example/x", false},
		{"ends like an allowed one", "https://evilkeystore.example/x", false},
		{"begins like an allowed one", "https://keystore.example.evil.example/x", false},
		{"allowed as user", "https://keystore.example@evil.example/x", false},
		{"user", "https://a@keystore.example/x", false},
		{"user and password", "https://a:b@keystore.example/x", false},
		{"fragment", "https://keystore.example/x#y", false},
		{"trailing dot", "https://keystore.example./x", false},
		{"http", "http://keystore.example/x", false},
		{"file", "file://keystore.example/x", false},
		{"opaque", "https:keystore.example/x", false},
		{"no scheme", "//keystore.example/x", false},
		{"no host", "https:///x", false},
		{"relative", "/x", false},
		{"empty", "", false},
		{"address", "https://127.0.0.1/x", false},
		{"backslash", `https://evil.example\@keystore.example/x`, false},
		{"line end", "https://keystore.example/x\r\nHost: evil", false},
		{"bad escape", "https://keystore.example/%zz", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if s, err := sources.Source(tc.endpoint); (err == nil) != tc.ok || (s != nil) != tc.ok {
				t.Errorf("got %v, %v", s, err)
			}
			// What was refused once must not come from the cache.
			if _, err := sources.Source(tc.endpoint); (err == nil) != tc.ok {
				t.Errorf("second time: %v", err)
			}
		})
	}
	if _, err := jwks.NewSources(client(t, jwks.Options{}), nil, nil).Source("https://keystore.example/x"); err == nil {
		t.Error("no host is allowed, and one was")
	}
}

func mustSource(t *testing.T, s *jwks.Sources, endpoint string) verify.KeySource {
	t.Helper()
	source, err := s.Source(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestSourcesAreShared(t *testing.T) {
	sources := jwks.NewSources(client(t, jwks.Options{}), []string{"keystore.example"}, nil)
	var all [32]verify.KeySource
	var done sync.WaitGroup
	for i := range all {
		done.Go(func() { all[i], _ = sources.Source("https://keystore.example/x") })
	}
	wait.ForGroup(t, &done, "the sources of all callers")
	for _, s := range all {
		if s == nil || s != all[0] {
			t.Fatal("callers got different sources of one endpoint")
		}
	}
	if mustSource(t, sources, "https://keystore.example/y") == all[0] {
		t.Error("two endpoints have one source")
	}
}

// The cache is bounded, and the least used goes first.
func TestSourcesBound(t *testing.T) {
	sources := jwks.NewSources(client(t, jwks.Options{}), []string{"keystore.example"}, nil)
	of := func(name string) verify.KeySource {
		return mustSource(t, sources, "https://keystore.example/"+name)
	}
	used, other, unused := of("used"), of("other"), of("unused")
	for i := range 4093 {
		of(fmt.Sprint(i))
		of("used")
	}
	if of("other") != other {
		t.Error("one of 4096 was forgotten")
	}
	of("one more")
	if of("used") != used || of("other") != other {
		t.Error("one in use was forgotten")
	}
	if of("unused") == unused {
		t.Error("more than 4096 are kept")
	}
}

// The list allows a name, never an address: with the strict client an allowed
// name that points inwards is not dialled, and the TPP learns no address.
func TestSourcesFetch(t *testing.T) {
	d := newDirectory(t, text(set("a"), ""))
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	open := jwks.NewSources(client(t, jwks.Options{PrivateRanges: true}, d), []string{u.Hostname()}, d.clock)
	d.want(t, mustSource(t, open, d.URL+"/0015/65d1.jwks").Keys, "a", 1)

	strict := mustSource(t, jwks.NewSources(client(t, jwks.Options{}, d), []string{u.Hostname()}, d.clock), d.URL)
	if _, err := strict.Keys(context.Background()); !errors.Is(err, jwks.ErrAddress) {
		t.Errorf("got %v", err)
	}
	e := refusal.From(signed(t, "a").VerifyWith(context.Background(), strict))
	if e.Kind != refusal.Unavailable || !errors.Is(e, jwks.ErrAddress) || strings.Contains(e.Description, u.Hostname()) {
		t.Errorf("got %+v", e)
	}
	if n := d.asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}
