package e2e_test

import (
	"crypto/tls"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// targetsBefore stand before a path that counts.
func targetsBefore(host string) []string {
	return []string{
		"x:", "x:/", "x:http:", "x:http:/", "x:http://any.host", "x:http://" + host, "x:https:", "x://" + host, "http:", "http:/", "http://", "https:", "https:/", "https://",
		"//", "///", "//evil", "//" + host, "/.//evil", "/x/..//evil", "/./", "/x/..", "/%2e", "/%2e%2e/", "/%2f", "\\", "/\\", "/%5c", "/;x", "/%00", "/%20", "/%c0%af", "/%ef%bc%8f", "\t", " ",
		"http://u@" + host, "https://other.example", "https://" + host + ".", "https://" + host + "/x/..", "https://" + host + "//evil", "https://" + host + "\\", "https://" + host + "@evil",
		"*", "*/", "?", "/?", "#", "/#", "/x?y#", "%2f", ":", ":443", host, "data:", "file://", "ws://" + host, "/\x01", "/\x7f", "/\xff", "/\xc0\xaf",
	}
}

// targetsAfter follow a path that counts.
var targetsAfter = []string{"?#", "#", "#?x", "%23", "%3f", "/.", "/..;/", "%2e", "%00", "%20", "%C2%A0", "\\", ";", "/", "//", "%e2%80%8b"}

// TestRequestTargets: whatever a request line says, over every HTTP, the AS sees no
// request at its token, registration or userinfo endpoint that was not checked, and
// every target that it sees has one reading.
func TestRequestTargets(t *testing.T) {
	each(t, story.Options{Replace: []gateway.Replacement{gateway.Unlimited}}, func(t *testing.T, p *story.Play) {
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
		token, userinfo := strings.TrimPrefix(p.Endpoint("token_endpoint"), siteOf(p)), strings.TrimPrefix(p.Endpoint("userinfo_endpoint"), siteOf(p))
		var targets []string
		for _, path := range []string{token, internal, userinfo, strings.TrimPrefix(p.Register, siteOf(p))} {
			for _, before := range targetsBefore(site.Host) {
				targets = append(targets, before+path)
			}
			for _, after := range targetsAfter {
				targets = append(targets, path+after)
			}
		}
		// Nobody: without a certificate the guard lets no request of a registered client pass.
		config := &tls.Config{RootCAs: p.Directory.Roots(), ServerName: "localhost"}
		header := [][2]string{{"Content-Type", "application/x-www-form-urlencoded"}}
		for protocol := range rawProtocols {
			answered := 0
			for _, target := range targets {
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
					if err := oneReading(got.Target, token, internal, userinfo); err != nil {
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

// oneReading holds a target that the AS has seen.
func oneReading(target string, guarded ...string) error {
	asTarget, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	asReference, err := url.Parse(target)
	if err != nil {
		return err
	}
	if asTarget.Host != "" || asTarget.Opaque != "" || asReference.Host != "" || asReference.Fragment != "" || asTarget.EscapedPath() != asReference.EscapedPath() {
		return fmt.Errorf("it is %#v for one reader and %#v for another", asTarget, asReference)
	}
	resolved := (&url.URL{Scheme: "https", Host: "as.internal"}).ResolveReference(asReference)
	for _, path := range guarded {
		if got := strings.ToLower(strings.TrimRight(resolved.Path, "/")); got == strings.ToLower(path) {
			return fmt.Errorf("it leads to %s", path)
		}
	}
	return nil
}

// TestAbsoluteForm: a target with the site's own host is one of this site, and leaves
// without it; one with another host is of nobody here.
func TestAbsoluteForm(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
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
			t.Fatalf("%s %s, %v", status, body, err)
		}
		seen, err := p.Seen(t.Context())
		if err != nil || len(seen) != 1 || seen[0].Target != strings.TrimPrefix(r.target, siteOf(p)) {
			t.Errorf("the authorization server saw %+v, %v", seen, err)
		}
		// What this site is not, no site is: Caddy has none of that name.
		r.target = strings.Replace(r.target, "localhost", "other.example", 1)
		if status, body, err := sendRaw(t, 0, site.Host, config, r); err == nil && status != "421" {
			t.Errorf("another host: %s %s", status, body)
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
					t.Errorf("%s %s %s: %s %s", rawProtocols[protocol].name, r.method, r.target, status, body)
				}
				if seen, err := p.AS.Requests(t.Context()); err != nil || len(seen) > 0 {
					t.Errorf("%s %s: the authorization server saw %v, %v", rawProtocols[protocol].name, r.method, seen, err)
				}
			}
		}
	})
}
