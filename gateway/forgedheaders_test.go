package gateway

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// asHeader is a certificate as RFC 9440 writes it.
func asHeader(c tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
}

// oneRequest is a request as it is written, with a form as its body where there is one.
func oneRequest(method, path, form string, fields ...string) string {
	lines := append([]string{method + " " + path + " HTTP/1.1", "Host: " + stageHost}, fields...)
	if form != "" {
		lines = append(lines, "Content-Type: "+formType)
	}
	if form != "" && !strings.Contains(strings.Join(fields, "\n"), "chunked") {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(form)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + form
}

// TestForgedCertificateHeaders: no spelling of a certificate header gets from outside to the
// AS, on any path, and no trick removes the one that the gateway sets.
func TestForgedCertificateHeaders(t *testing.T) {
	s := newStage(t, nil)
	id, _ := s.registered(s.acme, nil)
	forged, me := asHeader(s.other.transport), endpoints["userinfo_endpoint"]
	form := "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id)
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\nClient-Cert: %s\r\n\r\n", len(form), form, forged)
	for _, c := range []struct {
		name, method, raw string
		status            int
		cert              bool // the AS sees the certificate of the connection
	}{
		{"token endpoint", "POST", oneRequest("POST", tokenPath, form, "Client-Cert: "+forged, "X-SSL-Client-Cert: "+forged, "X-Forwarded-Client-Cert: x", "SSL_CLIENT_CERT: x"), 200, true},
		{"named in Connection", "POST", oneRequest("POST", tokenPath, form, "Connection: close, Client-Cert"), 200, true},
		{"named in Connection twice", "POST", oneRequest("POST", tokenPath, form, "Connection: keep-alive, CLIENT-CERT , x", "Connection: client-cert"), 200, true},
		{"in the trailer", "POST", oneRequest("POST", tokenPath, chunked, "Transfer-Encoding: chunked", "Trailer: Client-Cert"), 200, true},
		{"in a trailer that was not announced", "POST", oneRequest("POST", tokenPath, chunked, "Transfer-Encoding: chunked"), 200, true},
		{"an unguarded path", "GET", oneRequest("GET", "/default/obuk/nothing", "", "Client-Cert: "+forged, "x-ssl-client-verify: SUCCESS"), 200, false},
		{"an unguarded path, in the trailer", "POST", oneRequest("POST", "/default/obuk/nothing", chunked, "Transfer-Encoding: chunked", "Trailer: Client-Cert"), 200, false},
		{"userinfo", "GET", oneRequest("GET", me, "", "Client-Cert: "+forged, "Authorization: Bearer nothing"), 401, true},
		{"userinfo, named in Connection", "GET", oneRequest("GET", me, "", "Connection: close, Client-Cert", "Authorization: Bearer nothing"), 401, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := s.raw(&s.acme.transport, c.method, c.raw)
			s.must(err)
			seen := s.as.passed()
			if a.status != c.status || len(seen) != 1 {
				t.Fatalf("got %s, the authorization server saw %+v, want %d and one request", a, seen, c.status)
			}
			want := map[bool][]string{true: {asHeader(s.acme.transport)}}[c.cert]
			if got := seen[0].header["Client-Cert"]; !slices.Equal(got, want) {
				t.Errorf("the authorization server saw Client-Cert: %.40q, want %.40q", got, want)
			}
			for name, values := range seen[0].header {
				if lower := strings.ToLower(name); strings.Contains(lower, "cert") && name != "Client-Cert" || strings.Contains(lower, "ssl") {
					t.Errorf("the authorization server saw %s: %.40q", name, values)
				}
			}
			for option := range strings.SplitSeq(strings.Join(seen[0].header["Connection"], ","), ",") {
				if option = strings.TrimSpace(option); option != "" && option != "close" && option != "keep-alive" { // a proxy removes what it names
					t.Errorf("Connection names %q", option)
				}
			}
			if len(seen[0].trailer) > 0 {
				t.Errorf("the authorization server saw the trailer %v", seen[0].trailer)
			}
		})
	}
}

// certificateSpellings are certificate headers of servers and load balancers, as they are and
// as a server might still take them.
var certificateSpellings = []string{
	"Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "client.cert", "Client-Cert-Chain", "client_cert_chain",
	"X-Forwarded-Client-Cert", "x-forwarded-client-cert", "X_Forwarded_Client_Cert", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info",
	"Ssl-Client-Cert", "SSL_CLIENT_CERT", "ssl-client-verify", "SSL_CLIENT_S_DN", "Ssl-Client-Subject-Dn", "Ssl-Client-Issuer-Dn",
	"X-SSL-Client-Cert", "X-SSL-Cert", "X-SSL-CERT", "x_ssl_client_cert", "X-SSL-Client-Verify", "X-SSL-Client-S-DN", "X-SSL-Client-SHA1",
	"X-Client-Cert", "X-ClientCert", "X-Client-Certificate", "X-Client-DN", "X-Client-S-DN", "X-Client-Verify", "X-Subject-DN", "X-Cert-Hash",
	"X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Leaf", "X-Amzn-Mtls-Clientcert-Subject", "X-Tls-Client-Cert", "X-ARR-ClientCert",
	"X-WSO2-Mutual-Auth-Cert", "X-WSO2-Client-Certificate", "WL-Proxy-Client-Cert", "CF-Client-Cert-Der-Base64", "X-Goog-Client-Cert-Present",
	"X-Tls-Cert", "X-Peer-Certificate", "X-Forwarded-Cert", "X-Client-Tls-Cert", "Client-Subject-Dn", "X-Client-Subject-Dn", "Subject-Dn", "X-Client-X509", "X-Remote-User",
	"Forwarded", "X-Forwarded-Prefix", "X-Forwarded-User", "Remote-User", "X-Original-Url", "X-HTTP-Method-Override",
	"$WSCC", "Cert-Chain", "X-Own-Cert", "x_own_cert", "X-Hop-Secret", "x.hop.secret", "X-Client-Id", "x_client_id",
}

// TestSpoofedHeaders: over HTTP/1.1 and HTTP/2, with and without a client certificate, to
// every kind of address, in headers and in trailers: the AS sees the certificate of the
// connection where it is to, and nothing else that looks like one.
func TestSpoofedHeaders(t *testing.T) {
	const secret = "a-secret-of-the-hop-to-the-AS"
	s := newStage(t, func(_ *stage, o *Options, _ *authserver.Options) {
		var err error
		o.CertificateHeader, err = verify.NewCertificateHeader(verify.FormRFC9440, "X-Own-Cert")
		if err != nil {
			t.Fatal(err)
		}
		o.SharedHeader = SharedHeader{"X-Hop-Secret", secret}
		o.Headers.Add("X-Own-Cert", "X-Own-Cert-Chain", "X-Hop-Secret")
	})
	for protocol, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		for _, certificate := range []*tls.Certificate{&s.acme.transport, nil} {
			client := s.client(certificate)
			if http2 {
				client = s.http2Client(certificate)
			}
			for _, at := range []struct {
				method, path, body string
				cert               bool // the AS is told of the certificate there
			}{
				{"POST", tokenPath, "grant_type=client_credentials&client_id=unknown", true},
				{"GET", endpoints["userinfo_endpoint"], "", true},
				{"GET", endpoints["jwks_uri"], "", false},
				{"POST", "/default/obuk/nothing", "x=y", false},
			} {
				r, err := http.NewRequestWithContext(t.Context(), at.method, stageSite+at.path, nil)
				s.must(err)
				for _, name := range certificateSpellings {
					r.Header[name] = []string{"forged"}
				}
				r.Header["X-Harmless"] = []string{"passes"}
				if at.body != "" { // without a length, so that trailers can follow
					r.Body, r.Header["Content-Type"] = io.NopCloser(strings.NewReader(at.body)), []string{formType}
					r.Trailer = http.Header{"Client-Cert": {"forged"}, "X-Own-Cert": {"forged"}}
				}
				res, err := client.Do(r)
				s.must(err)
				what := fmt.Sprintf("%s %s, with a certificate: %v", res.Proto, at.path, certificate != nil)
				if a := s.readAnswer(res); res.Proto != protocol || a.status != http.StatusOK {
					t.Errorf("%s: got %s, want 200 over %s", what, a, protocol)
				}
				want := http.Header{"X-Harmless": {"passes"}, "X-Hop-Secret": {secret}}
				if at.cert && certificate != nil {
					want["X-Own-Cert"] = []string{asHeader(s.acme.transport)}
				}
				s.sawOnly(what, want)
			}
		}
	}
}

// sawOnly holds the one request that has passed: it has these headers, those that say how a
// body is read, and no others.
func (s *stage) sawOnly(what string, want http.Header) {
	s.t.Helper()
	seen := s.as.passed()
	if len(seen) != 1 {
		s.t.Fatalf("%s: the authorization server saw %+v, want one request", what, seen)
	}
	for name, values := range want {
		if got := seen[0].header[name]; !slices.Equal(got, values) {
			s.t.Errorf("%s: the authorization server saw %s: %.40q, want %.40q", what, name, got, values)
		}
	}
	for name, values := range seen[0].header {
		if _, ok := want[name]; !ok && !slices.Contains([]string{"Accept-Encoding", "User-Agent", "Content-Type"}, name) {
			s.t.Errorf("%s: the authorization server saw %s: %.40q", what, name, values)
		}
	}
	if len(seen[0].trailer) > 0 {
		s.t.Errorf("%s: the authorization server saw the trailer %v", what, seen[0].trailer)
	}
}
