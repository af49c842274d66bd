package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// certificateSpellings are headers that stand for all those of the tables of gateway: one of
// each reason why it is removed.
var certificateSpellings = []string{"client-cert", "Client_Cert", "X-SSL-Client-Verify", "X-Forwarded-Client-Cert", "Remote-User", "X-Own-Cert", "x_own_cert", "X-Hop-Secret"}

// protocol is one version of HTTP to the gateway.
type protocol struct {
	name   string
	client func(*tls.Config) (*http.Client, func())
}

var protocols = []protocol{
	{"HTTP/1.1", func(c *tls.Config) (*http.Client, func()) {
		t := &http.Transport{TLSClientConfig: c}
		return &http.Client{Transport: t, Timeout: 30 * time.Second}, t.CloseIdleConnections
	}},
	{"HTTP/2.0", func(c *tls.Config) (*http.Client, func()) {
		t := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
		return &http.Client{Transport: t, Timeout: 30 * time.Second}, t.CloseIdleConnections
	}},
	{"HTTP/3.0", func(c *tls.Config) (*http.Client, func()) {
		t := &http3.Transport{TLSClientConfig: c}
		return &http.Client{Transport: t, Timeout: 30 * time.Second}, func() { _ = t.Close() }
	}},
}

// TestSpoofedHeaders: over every HTTP that Caddy serves, in headers and in trailers: the AS
// sees the certificate of the connection where it is to, and nothing else that looks like one.
func TestSpoofedHeaders(t *testing.T) {
	once(t, story.Options{
		// A name of its own, and a secret, which nobody else may send either.
		Edits:       []gateway.Edit{gateway.At("authorization_server").Add("client_certificate header rfc9440 X-Own-Cert", "shared_header X-Hop-Secret {env.HOP_SECRET}"), gateway.Unlimited},
		Environment: map[string]string{"HOP_SECRET": "a-secret-of-the-hop-to-the-AS"},
	}, func(t *testing.T, p *story.Play) {
		forged := clientCert(p.Other)
		for _, protocol := range protocols {
			client, end := protocol.client(&tls.Config{RootCAs: p.Directory.Roots(), Certificates: []tls.Certificate{p.Acme.Transport}})
			for _, at := range []struct{ method, url, body, wants string }{
				{"POST", p.Endpoint("token_endpoint"), "grant_type=client_credentials&client_id=unknown", clientCert(p.Acme)},
				{"GET", p.Endpoint("jwks_uri"), "", ""},
				{"POST", p.Issuer + "/nothing", "x=y", ""},
			} {
				if err := p.AS.ResetRequests(t.Context()); err != nil {
					t.Fatal(err)
				}
				r, err := http.NewRequestWithContext(t.Context(), at.method, at.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				if at.body != "" { // without a length, so that trailers can follow
					r.Body = io.NopCloser(strings.NewReader(at.body))
					r.Trailer = http.Header{"Client-Cert": {forged}, "X-Own-Cert": {forged}}
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				}
				r.Header.Set("X-Harmless", "passes")
				for _, name := range certificateSpellings {
					r.Header[name] = []string{"forged"}
				}
				for _, name := range []string{"Client-Cert", "X-Own-Cert", "x_own_cert"} {
					r.Header[name] = []string{forged}
				}
				res, err := client.Do(r)
				if err != nil {
					t.Fatalf("%s %s: %v", protocol.name, at.url, err)
				}
				answer, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.Proto != protocol.name {
					t.Fatalf("got %s, want %s", res.Proto, protocol.name)
				}
				sawOnly(t, p, fmt.Sprintf("%s %s (%d %s)", protocol.name, at.url, res.StatusCode, answer), at.wants)
			}
			end()
		}
	})
}

// sawOnly holds the one request that the AS has seen: it carries the certificate wants,
// the gateway's secret, and nothing of what was forged.
func sawOnly(t *testing.T, p *story.Play, name, wants string) {
	t.Helper()
	seen, err := p.AS.Requests(t.Context())
	if err != nil || len(seen) != 1 {
		t.Fatalf("%s: the authorization server saw %d requests, %v", name, len(seen), err)
	}
	header := seen[0].Header
	if header.Get("X-Harmless") != "passes" || header.Get("X-Own-Cert") != wants || header.Get("X-Hop-Secret") != "a-secret-of-the-hop-to-the-AS" {
		t.Errorf("%s: the authorization server saw %v", name, header)
	}
	for field, values := range header {
		own := strings.EqualFold(field, "X-Own-Cert") || strings.EqualFold(field, "X-Hop-Secret")
		for _, spelling := range certificateSpellings {
			if strings.EqualFold(field, spelling) && !own {
				t.Errorf("%s: the authorization server saw %s", name, field)
			}
		}
		if len(values) != 1 || strings.Contains(values[0], "forged") || strings.Contains(values[0], clientCert(p.Other)) || strings.EqualFold(field, "Trailer") {
			t.Errorf("%s: the authorization server saw %s: %.40q", name, field, values)
		}
	}
}
