package jwks_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// verifiedBy is the key that has verified a JWS of the kid.
func verifiedBy(t *testing.T, kid string) verify.Key {
	t.Helper()
	keys, err := verify.ParseJWKS([]byte(set(kid)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signed(t, kid).VerifiedBy(context.Background(), verify.FixedKeys(keys))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// checks asks whether the key is revoked; want is "", "revoked" or "unavailable".
func (d *directory) checks(t *testing.T, k verify.Key, source verify.KeySource, want string, asked int32) {
	t.Helper()
	err, got := k.CheckRevoked(context.Background(), source), ""
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "has revoked"):
		got = "revoked"
	case refusal.From(err).Status() == 503 && refusal.From(err).RetryAfter >= time.Second:
		got = "unavailable"
	}
	if got != want {
		t.Errorf("got %v, want %q", err, want)
	}
	if n := d.asked.Load(); n != asked {
		t.Errorf("the server was asked %d times, want %d", n, asked)
	}
}

// The empty set is cached as any other, a key that comes into it is noticed, and
// while the server is down the last set counts, for a bounded time.
func TestRevokedSource(t *testing.T) {
	d := newDirectory(t, status(500))
	s := jwks.NewRevokedSource(client(t, jwks.Options{PrivateRanges: true}, d), d.URL, d.clock)
	k := verifiedBy(t, "a")
	d.checks(t, k, s, "unavailable", 1)
	d.checks(t, k, s, "unavailable", 1)
	d.set(text(set(), "max-age=3600"))
	d.wait(jwks.RefreshEvery)
	d.checks(t, k, s, "", 2)
	d.checks(t, k, s, "", 2)
	d.set(text(set("b"), "max-age=3600")) // the same key under another kid
	d.wait(time.Hour)
	d.checks(t, k, s, "revoked", 3)
	d.set(text(set(), "max-age=3600"))
	d.wait(time.Hour)
	d.checks(t, k, s, "", 4)
	d.set(status(503))
	d.wait(time.Hour)
	d.checks(t, k, s, "", 5) // the empty set is one, and stale
	d.checks(t, k, s, "", 5)
	d.wait(jwks.MaxStale)
	d.checks(t, k, s, "unavailable", 6)
	for _, useless := range []http.HandlerFunc{text("<html>", ""), text(`{}`, ""), text(`{"keys":[{}]}`, ""), status(404), status(204)} {
		asked := d.asked.Load()
		d.set(useless)
		d.wait(jwks.RefreshEvery)
		d.checks(t, k, s, "unavailable", asked+1)
	}
}

// Sets of revoked keys are sought at allowed hosts only, and a set of keys does
// not stand for one of revoked keys at the same address.
func TestRevokedSources(t *testing.T) {
	d := newDirectory(t, text(set(), ""))
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, jwks.Options{PrivateRanges: true}, d)
	sources := jwks.NewRevokedSources(c, []string{u.Hostname()}, d.clock)
	source := mustSource(t, sources, d.URL+"/0015/revoked.jwks")
	d.checks(t, verifiedBy(t, "a"), source, "", 1)
	if mustSource(t, sources, d.URL+"/0015/revoked.jwks") != source {
		t.Error("a second source of one endpoint")
	}
	for _, endpoint := range []string{"https://evil.example/revoked.jwks", "http://" + u.Host + "/revoked.jwks", ""} {
		if _, err := sources.Source(endpoint); err == nil {
			t.Errorf("%q is allowed", endpoint)
		}
	}
	if _, err := mustSource(t, jwks.NewSources(c, []string{u.Hostname()}, d.clock), d.URL+"/0015/revoked.jwks").Keys(context.Background()); err == nil {
		t.Error("the empty set passed for a set of keys")
	}
}
