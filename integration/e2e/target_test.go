package e2e_test

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/internal/targettest"
)

// TestRequestTargets: over every HTTP that Caddy serves, a target that some server reads in
// another way reaches the AS in no other, and none of its endpoints that count without a
// check. All such targets are in the tables of gateway, over HTTP/1.1.
func TestRequestTargets(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		internal, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		site, err := url.Parse(p.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		token := strings.TrimPrefix(p.Endpoint("token_endpoint"), siteOf(p))
		// Nobody: without a certificate the guard lets no request of a registered client pass.
		config := &tls.Config{RootCAs: p.Directory.Roots(), ServerName: "localhost"}
		header := [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}
		for protocol := range rawProtocols {
			answered := 0
			for _, target := range []string{
				"x:http:" + token, "x:" + internal, "https://other.example" + token, "https://" + site.Host + "." + internal, "http://u@" + site.Host + token,
				"//evil" + token, "/x/..//evil" + token, "/x/.." + internal, "*", token + "?#", token + "#", token + "\\",
			} {
				if err := p.AS.ResetRequests(t.Context()); err != nil {
					t.Fatal(err)
				}
				r := rawRequest{method: "POST", target: target, authority: site.Host, header: header, body: "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id)}
				status, body, err := sendRaw(t, protocol, site.Host, config, r)
				if err == nil {
					answered++
				}
				what := fmt.Sprintf("%s POST %q (%s)", rawProtocols[protocol].name, target, status)
				if strings.Contains(string(body), "access_token\":") || strings.HasPrefix(status, "2") {
					t.Errorf("%s: answered with %s", what, body)
				}
				seen, err := p.AS.Requests(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, got := range seen {
					if err := targettest.OneReading(got.Target, token, internal); err != nil {
						t.Errorf("%s: the authorization server saw %q: %v", what, got.Target, err)
					}
				}
			}
			if answered == 0 {
				t.Errorf("%s: nothing was answered at all", rawProtocols[protocol].name)
			}
		}
	})
}

// TestAbsoluteForm: a target with the site's own host is one of this site, and leaves
// without it; one with another host is of nobody here.
func TestAbsoluteForm(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		site, err := url.Parse(p.Issuer)
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{RootCAs: p.Directory.Roots(), ServerName: "localhost", Certificates: []tls.Certificate{p.Acme.Transport}}
		r := rawRequest{
			method: "POST", authority: site.Host, header: [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}},
			body: "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id), target: p.Endpoint("token_endpoint") + "?x=y",
		}
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		status, body, err := sendRaw(t, 0, site.Host, config, r)
		if err != nil || status != "200" {
			t.Fatalf("got %s %s, %v, want 200", status, body, err)
		}
		seen, err := p.Seen(t.Context())
		if err != nil || len(seen) != 1 || seen[0].Target != strings.TrimPrefix(r.target, siteOf(p)) {
			t.Errorf("the authorization server saw %+v, %v", seen, err)
		}
		// What this site is not, no site is: Caddy has none of that name.
		r.target = strings.Replace(r.target, "localhost", "other.example", 1)
		if status, body, err := sendRaw(t, 0, site.Host, config, r); err == nil && status != "421" {
			t.Errorf("another host: got %s %s, want 421", status, body)
		}
		for protocol, methods := range [][]rawRequest{
			{{method: "TRACE", target: "/x"}, {method: "trace", target: "/x"}, {method: "TRACK", target: "/x"}, {method: "CONNECT", target: site.Host}, {method: "CONNECT", target: "/x"}},
			{{method: "TRACE", target: "/x"}, {method: "CONNECT"}, {method: "CONNECT", target: "/x", protocol: "websocket"}},
			{{method: "TRACE", target: "/x"}, {method: "CONNECT"}, {method: "CONNECT", target: "/x", protocol: "websocket"}},
		} {
			for _, r := range methods {
				if err := p.AS.ResetRequests(t.Context()); err != nil {
					t.Fatal(err)
				}
				r.authority = site.Host
				status, body, err := sendRaw(t, protocol, site.Host, config, r)
				if err == nil && status != "405" && status != "400" {
					t.Errorf("%s %s %s: got %s %s, want 400 or 405", rawProtocols[protocol].name, r.method, r.target, status, body)
				}
				if seen, err := p.AS.Requests(t.Context()); err != nil || len(seen) > 0 {
					t.Errorf("%s %s: the authorization server saw %v, %v", rawProtocols[protocol].name, r.method, seen, err)
				}
			}
		}
	})
}
