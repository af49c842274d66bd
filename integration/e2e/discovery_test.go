package e2e_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestDiscovery: the document is at every address where software looks for it,
// needs no certificate, and can be cached.
func TestDiscovery(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		client := tpp.NewClient(tpp.ClientOptions{Roots: p.Directory.Roots(), HTTP2: true})
		defer client.Close()
		origin := strings.TrimSuffix(p.Issuer, story.Prefix)
		first, err := client.Discover(t.Context(), p.Issuer)
		if err != nil || first.Status != http.StatusOK {
			t.Fatalf("got %v, %v, want 200", first, err)
		}
		tag := first.Header.Get("ETag")
		if tag == "" || first.Header.Get("Cache-Control") == "" || first.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got the header fields %v, want an ETag, Cache-Control and JSON", first.Header)
		}
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			method, path string
			header       http.Header
			status       int
		}{
			{"GET", story.Prefix + "/.well-known/oauth-authorization-server", nil, 200},
			{"GET", "/.well-known/oauth-authorization-server" + story.Prefix, nil, 200},
			{"GET", "/.well-known/openid-configuration" + story.Prefix, nil, 200},
			{"HEAD", story.Prefix + "/.well-known/openid-configuration", nil, 200},
			{"GET", story.Prefix + "/.well-known/openid-configuration", http.Header{"If-None-Match": {tag}}, 304},
			{"GET", story.Prefix + "/.well-known/openid-configuration", http.Header{"If-None-Match": {`"other", W/` + tag}}, 304},
			{"HEAD", story.Prefix + "/.well-known/openid-configuration", http.Header{"If-None-Match": {"*"}}, 304},
			{"GET", story.Prefix + "/.well-known/openid-configuration", http.Header{"If-None-Match": {`"other"`}}, 200},
			{"POST", story.Prefix + "/.well-known/openid-configuration", nil, 405},
			{"GET", story.Prefix + "/.WELL-known/openid-configuration", nil, 404},
			{"GET", story.Prefix + "/.well-known/openid-configuration/", nil, 404},
		} {
			r, err := client.Do(t.Context(), c.method, origin+c.path, c.header, nil)
			if err != nil || r.Status != c.status {
				t.Errorf("%s %s %v: got %v, %v, want %d", c.method, c.path, c.header, r, err, c.status)
				continue
			}
			switch {
			case c.status == 200 && c.method == "GET" && !bytes.Equal(r.Body, first.Body):
				t.Errorf("%s is another document", c.path)
			case c.method == "HEAD" && len(r.Body) > 0, c.status == 304 && len(r.Body) > 0:
				t.Errorf("%s %s has a body", c.method, c.path)
			case c.status < 400 && r.Header.Get("ETag") != tag:
				t.Errorf("%s %s: got the ETag %s, want %s", c.method, c.path, r.Header.Get("ETag"), tag)
			}
		}
		seen, err := p.Seen(t.Context())
		if err != nil || len(seen) > 0 {
			t.Errorf("the authorization server was asked %d times, %v", len(seen), err)
		}
	})
}
