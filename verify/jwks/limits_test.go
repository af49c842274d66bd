package jwks_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// sourcesOf are the software sources at the directory's host.
func sourcesOf(t *testing.T, d *directory) *jwks.Sources {
	t.Helper()
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	return jwks.NewSources(client(t, jwks.Options{PrivateRanges: true}, d), []string{u.Hostname()}, d.clock)
}

// However large the JWKS are that software publishes, together they hold no more
// than 64 MiB, and it is the least used that are forgotten.
func TestSourcesSize(t *testing.T) {
	const size, room = 512 << 10, 64 << 20 / (512 << 10)
	large := set("a") + strings.Repeat(" ", size-len(set("a")))
	d := newDirectory(t, text(large, "max-age=3600"))
	sources := sourcesOf(t, d)
	keys := func(i int, asked int) {
		t.Helper()
		d.want(t, mustSource(t, sources, fmt.Sprintf("%s/%d", d.URL, i)).Keys, "a", int32(asked))
	}
	for i := range room {
		keys(i, i+1)
	}
	for i := range room {
		keys(i, room) // all are held
	}
	keys(room, room+1) // and one more takes the place of the first
	for i := room; i > 0; i-- {
		keys(i, room+1)
	}
	keys(0, room+2)
	keys(1, room+2) // the last one to be asked for before
	keys(room, room+3)
}

// Whoever has many valid statements makes one fetch for each, good or bad, and no
// more until its time has come.
func TestManyEndpoints(t *testing.T) {
	for name, answer := range map[string]string{"good": set("a"), "useless": "<html>"} {
		d := newDirectory(t, text(answer, "max-age=3600"))
		sources := sourcesOf(t, d)
		for range 3 {
			for i := range 200 {
				for _, kid := range []string{"a", "b", ""} {
					err := signed(t, kid).VerifyWith(context.Background(), mustSource(t, sources, fmt.Sprintf("%s/%d", d.URL, i)))
					if want := name == "good" && kid != "b"; (err == nil) != want {
						t.Fatalf("%s, endpoint %d, kid %q: %v", name, i, kid, err)
					}
				}
			}
		}
		if n := d.asked.Load(); n != 200 {
			t.Errorf("%s: %d fetches for 200 endpoints", name, n)
		}
	}
}

// The name of a source is kept too.
func TestLongEndpoint(t *testing.T) {
	sources := jwks.NewSources(client(t, jwks.Options{}), []string{"keystore.example"}, nil)
	longest := "https://keystore.example/" + strings.Repeat("x", 2048-len("https://keystore.example/"))
	if _, err := sources.Source(longest); err != nil {
		t.Error(err)
	}
	if _, err := sources.Source(longest + "x"); err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("got %v", err)
	}
}
