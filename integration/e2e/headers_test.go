package e2e_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// clientCert is the software's certificate as RFC 9440 writes it.
func clientCert(s *tpp.Software) string {
	return ":" + base64.StdEncoding.EncodeToString(s.Transport.Certificate[0]) + ":"
}

// certChain is what comes with it: the authority that has issued it, without the root.
func certChain(s *tpp.Software) string {
	return ":" + base64.StdEncoding.EncodeToString(s.Transport.Certificate[1]) + ":"
}

func basic(id, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id) + ":" + url.QueryEscape(secret)))
}

// TestForgedCertificateHeaders: no spelling of a certificate header gets from
// outside to the AS, on any path, and no trick removes the one that the gateway
// sets. The site has a handle block, which must not go round the directive.
func TestForgedCertificateHeaders(t *testing.T) {
	each(t, story.Options{Replace: []gateway.Replacement{
		{Old: "\treverse_proxy https://as.internal:9443\n", New: "\thandle /default/* {\n\t\treverse_proxy https://as.internal:9443\n\t}\n"},
	}}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		forged := clientCert(p.Other)
		request := func(method, target, body string, extra ...string) string {
			u, err := url.Parse(target)
			if err != nil {
				t.Fatal(err)
			}
			lines := []string{method + " " + u.RequestURI() + " HTTP/1.1", "Host: " + u.Host}
			if body != "" {
				lines = append(lines, "Content-Type: application/x-www-form-urlencoded")
			}
			lines = append(lines, extra...)
			if body != "" && !strings.Contains(strings.Join(extra, "\n"), "chunked") {
				lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
			}
			return strings.Join(lines, "\r\n") + "\r\n\r\n" + body
		}
		form := "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id)
		chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\nClient-Cert: %s\r\n\r\n", len(form), form, forged)
		for _, c := range []struct {
			name string
			raw  string
			want string // status line
			cert bool   // the AS sees the certificate of the connection
		}{
			{"token endpoint", request("POST", p.Endpoint("token_endpoint"), form, "Client-Cert: "+forged, "X-SSL-Client-Cert: "+forged, "X-Forwarded-Client-Cert: x", "SSL_CLIENT_CERT: x"), "200", true},
			{"named in Connection", request("POST", p.Endpoint("token_endpoint"), form, "Connection: close, Client-Cert"), "200", true},
			{"named in Connection twice", request("POST", p.Endpoint("token_endpoint"), form, "Connection: keep-alive, CLIENT-CERT , x", "Connection: client-cert"), "200", true},
			{"in the trailer", request("POST", p.Endpoint("token_endpoint"), chunked, "Transfer-Encoding: chunked", "Trailer: Client-Cert"), "200", true},
			{"an unguarded path", request("GET", p.Issuer+"/nothing", "", "Client-Cert: "+forged, "x-ssl-client-verify: SUCCESS"), "404", false},
			{"userinfo", request("GET", p.Endpoint("userinfo_endpoint"), "", "Client-Cert: "+forged, "Authorization: Bearer nothing"), "401", true},
			{"userinfo, named in Connection", request("GET", p.Endpoint("userinfo_endpoint"), "", "Connection: close, Client-Cert", "Authorization: Bearer nothing"), "401", true},
		} {
			t.Run(c.name, func(t *testing.T) {
				if err := p.AS.ResetRequests(t.Context()); err != nil {
					t.Fatal(err)
				}
				status := speak(t, p, c.raw)
				if !strings.HasPrefix(status, c.want) {
					t.Errorf("status %s, want %s", status, c.want)
				}
				seen, err := p.Seen(t.Context())
				seen = slices.DeleteFunc(seen, func(r authserverprocess.Request) bool { // the gateway asks whose token it is
					return strings.HasSuffix(p.Endpoint("introspection_endpoint"), r.Path)
				})
				if err != nil || len(seen) != 1 {
					t.Fatalf("the authorization server saw %d requests, %v", len(seen), err)
				}
				for name, values := range seen[0].Header {
					lower := strings.ToLower(name)
					if c.cert && len(values) == 1 && (lower == "client-cert" && values[0] == clientCert(p.Acme) || lower == "client-cert-chain" && values[0] == certChain(p.Acme)) {
						continue
					}
					if strings.Contains(lower, "cert") || strings.Contains(lower, "ssl") || lower == "trailer" {
						t.Errorf("the authorization server saw %s: %.40q", name, values)
					}
				}
				if c.cert && seen[0].Header.Get("Client-Cert") == "" {
					t.Error("the authorization server was not given the certificate")
				}
			})
		}
	})
}

// TestChangedCertificateHeader: what a later handler of the site makes of the header that
// the gateway sets is of that request alone.
func TestChangedCertificateHeader(t *testing.T) {
	t.Parallel()
	const proxy = "\treverse_proxy https://as.internal:9443\n"
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Replace: []gateway.Replacement{
		{Old: proxy, New: "\thandle {\n\t\trequest_header Client-Cert ^ changed\n\t" + proxy + "\t}\n"},
	}}))
	for range 2 {
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Client(p.Acme).Do(t.Context(), http.MethodGet, p.Endpoint("userinfo_endpoint"), nil, nil); err != nil {
			t.Fatal(err)
		}
		seen, err := p.Seen(t.Context())
		if err != nil || len(seen) != 1 || seen[0].Header.Get("Client-Cert") != "changed"+clientCert(p.Acme) {
			t.Fatalf("the authorization server saw %+v, %v", seen, err)
		}
	}
}

// speak sends raw bytes over Acme's mTLS and returns the status of the answer.
func speak(t *testing.T, p *story.Play, raw string) string {
	t.Helper()
	u, err := url.Parse(p.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: p.Directory.Roots(), Certificates: []tls.Certificate{p.Acme.Transport}}}
	conn, err := dialer.DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	return r.Status
}
