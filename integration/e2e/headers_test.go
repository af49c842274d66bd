package e2e_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
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

// TestForgedCertificateHeaders: Caddy's proxy neither removes the certificate that the gateway
// sets, nor adds one from a trailer. The site has a handle block, which must not go round the
// directive. All spellings and tricks are in the tables of gateway.
func TestForgedCertificateHeaders(t *testing.T) {
	once(t, story.Options{Edits: []gateway.Edit{gateway.At("reverse_proxy").Wrap("handle", "/default/*")}}, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(p.Endpoint("token_endpoint"))
		if err != nil {
			t.Fatal(err)
		}
		forged, form := clientCert(p.Other), "grant_type=client_credentials&scope=&client_id="+url.QueryEscape(id)
		begin := "POST " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
		for name, raw := range map[string]string{
			"named in Connection": begin + fmt.Sprintf("Client-Cert: %s\r\nConnection: keep-alive, CLIENT-CERT , x\r\nConnection: client-cert\r\nContent-Length: %d\r\n\r\n%s", forged, len(form), form),
			"in the trailer":      begin + fmt.Sprintf("Transfer-Encoding: chunked\r\nTrailer: Client-Cert\r\n\r\n%x\r\n%s\r\n0\r\nClient-Cert: %s\r\n\r\n", len(form), form, forged),
		} {
			if err := p.AS.ResetRequests(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := speak(t, p, raw); !strings.HasPrefix(status, "200") {
				t.Errorf("%s: status %s, want 200", name, status)
			}
			seen, err := p.Seen(t.Context())
			if err != nil || len(seen) != 1 {
				t.Fatalf("%s: the authorization server saw %d requests, %v", name, len(seen), err)
			}
			want := map[string]string{"client-cert": clientCert(p.Acme), "client-cert-chain": certChain(p.Acme)}
			for field, values := range seen[0].Header {
				lower := strings.ToLower(field)
				if (strings.Contains(lower, "cert") || lower == "trailer") && (len(values) != 1 || values[0] != want[lower]) {
					t.Errorf("%s: the authorization server saw %s: %.40q, want %.40q", name, field, values, want[lower])
				}
				delete(want, lower)
			}
			if len(want) > 0 {
				t.Errorf("%s: the authorization server did not see %.40q", name, want)
			}
		}
	})
}

// TestChangedCertificateHeader: what a later handler of the site makes of the header that
// the gateway sets is of that request alone.
func TestChangedCertificateHeader(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{
		gateway.At("reverse_proxy").Wrap("handle"), gateway.At("handle").Add("request_header Client-Cert ^ changed"),
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
