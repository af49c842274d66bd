package jwks_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// keeper keeps sets in memory, beyond the sources.
type keeper struct {
	mu   sync.Mutex
	sets map[string]jwks.Kept
}

func newKeeper() *keeper { return &keeper{sets: map[string]jwks.Kept{}} }

func (k *keeper) Keep(set jwks.Kept) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sets[set.URL] = set
}

func (k *keeper) Kept(_ context.Context, url string) (jwks.Kept, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set, ok := k.sets[url]
	return set, ok
}

// TestKeysSurviveARestart: what counts while the server is down counts after a restart,
// until the same moment, and no longer.
func TestKeysSurviveARestart(t *testing.T) {
	for name, age := range map[string]time.Duration{"15 minutes": jwks.DefaultAge, "a day": jwks.MaxAge} {
		t.Run(name, func(t *testing.T) {
			kept := newKeeper()
			d := newDirectory(t, text(set("a"), fmt.Sprintf("max-age=%d", int(age.Seconds()))))
			start := func() *jwks.Source { return source(t, d).KeptBy(kept) }
			d.want(t, start().Keys, "a", 1)
			d.set(status(503))
			d.wait(time.Hour)
			s := start()
			d.want(t, s.Keys, "a", 2)
			d.want(t, s.Keys, "a", 2)
			if err := signed(t, "a").VerifyWith(t.Context(), start()); err != nil {
				t.Error(err)
			}
			d.wait(age + jwks.MaxStale - time.Hour - 1)
			d.want(t, start().Keys, "a", 4)
			d.wait(1)
			d.want(t, start().Keys, "", 5)
			d.want(t, s.Keys, "", 6)
		})
	}
}

// The server is asked again as if it had been down before the restart, and what it says
// then counts.
func TestKeptKeysAreReplaced(t *testing.T) {
	kept := newKeeper()
	d := newDirectory(t, text(set("a"), "max-age=60"))
	d.want(t, source(t, d).KeptBy(kept).Keys, "a", 1)
	d.wait(time.Hour)
	d.set(status(503))
	s := source(t, d).KeptBy(kept)
	d.want(t, s.Keys, "a", 2)
	d.set(text(set("b"), "max-age=60"))
	d.wait(time.Second - 1)
	d.want(t, s.Keys, "a", 2)
	d.wait(1)
	d.want(t, s.Keys, "b", 3)
	d.set(status(503))
	d.want(t, source(t, d).KeptBy(kept).Keys, "b", 4) // a is withdrawn, also after a restart
}

// A server that answers is believed, whatever is kept.
func TestKeptKeysDoNotCountBesideTheServer(t *testing.T) {
	kept := newKeeper()
	d := newDirectory(t, text(set("a"), "max-age=3600"))
	d.want(t, source(t, d).KeptBy(kept).Keys, "a", 1)
	d.set(text(set("b"), "max-age=3600"))
	d.want(t, source(t, d).KeptBy(kept).Keys, "b", 2)
}

// What is kept counts for its own URL, and only in its time.
func TestKeptKeysThatDoNotCount(t *testing.T) {
	d := newDirectory(t, status(503))
	now := d.clock()
	good := jwks.Kept{URL: d.URL, Body: []byte(set("a")), Fetched: now.Add(-time.Hour), Fresh: now}
	for name, change := range map[string]func(*jwks.Kept){
		"":                      func(*jwks.Kept) {},
		"another URL's":         func(k *jwks.Kept) { k.URL += "/other" },
		"damaged":               func(k *jwks.Kept) { k.Body = k.Body[:10] },
		"fetched in the future": func(k *jwks.Kept) { k.Fetched, k.Fresh = now.Add(time.Minute), now.Add(time.Hour) },
		"fresh for too long":    func(k *jwks.Kept) { k.Fresh = now.Add(jwks.MaxAge) },
		"fresh before":          func(k *jwks.Kept) { k.Fresh = now.Add(-2 * time.Hour) },
		"too old":               func(k *jwks.Kept) { k.Fetched, k.Fresh = now.Add(-25*time.Hour), now.Add(-24*time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			one := good
			change(&one)
			want := ""
			if name == "" {
				want = "a"
			}
			d.want(t, source(t, d).KeptBy(&keeper{sets: map[string]jwks.Kept{d.URL: one}}).Keys, want, d.asked.Load()+1)
		})
	}
}

// The sets of software are kept with whose they are, and so are those of revoked keys,
// the empty one too: it says that none is revoked.
func TestSoftwareKeysAreKept(t *testing.T) {
	var mu sync.Mutex
	answers := map[string]string{"/keys": set("a"), "/none": `{"keys":[]}`, "/revoked": set("r")}
	d := newDirectory(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprint(w, answers[r.URL.Path])
	})
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	kept := newKeeper()
	c := client(t, jwks.Options{PrivateRanges: true}, d)
	source := func(s *jwks.Sources, path string) verify.KeySource {
		return verify.KeysOf(mustSource(t, s.KeptBy(kept), d.URL+path), "org1")
	}
	keys := func() *jwks.Sources { return jwks.NewSources(c, []string{u.Hostname()}, d.clock) }
	revoked := func() *jwks.Sources { return jwks.NewRevokedSources(c, []string{u.Hostname()}, d.clock) }
	d.want(t, source(keys(), "/keys").Keys, "a", 1)
	d.want(t, source(revoked(), "/revoked").Keys, "r", 2)
	if _, err := source(revoked(), "/none").Keys(t.Context()); err != nil {
		t.Error(err)
	}
	for url, set := range kept.sets {
		if set.URL != url || set.Organisation != "org1" || !set.Software {
			t.Errorf("%+v, want the software's set of org1 at %s", set, url)
		}
	}
	d.set(status(503))
	d.want(t, source(keys(), "/keys").Keys, "a", 4)
	d.want(t, source(revoked(), "/revoked").Keys, "r", 5)
	none, err := source(revoked(), "/none").Keys(t.Context())
	if err != nil || none == nil || len(none) != 0 {
		t.Errorf("%v, %v; want an empty list", none, err)
	}
}
