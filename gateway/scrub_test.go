package gateway

import (
	"net/http"
	"strings"
	"testing"
)

func TestForgedHeaders(t *testing.T) {
	for _, name := range []string{
		"Client-Cert", "client-cert", "CLIENT_CERT", "Client-Cert-Chain", "Client.Cert", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert",
		"X-Forwarded-Tls-Client-Cert-Info", "X-SSL-Client-Cert", "X-Ssl-Cert", "SSL_CLIENT_CERT", "Ssl-Client-S-Dn", "SSL_CLIENT_VERIFY",
		"X-Client-Cert", "X-ClientCert", "X-Client-Dn", "X-Amzn-Mtls-Clientcert", "X-ARR-ClientCert", "X-Goog-Client-Cert-Present", "X-Tls-Client-Cert",
		"WL-Proxy-Client-Cert", "$WSCC", "X-WSO2-Mutual-Auth-Cert", "X-WSO2-Client-Certificate", "CF-Client-Cert-Der-Base64", "SSLClientCertB64", "X-Forwarded-Ssl-Client-Cert",
		"X-Original-Url", "x_original_uri", "X-Rewrite-URL", "X-Original-Host", "X-HTTP-Method-Override", "X-Method-Override",
		"Client!Cert", "X~Ssl~Client", "Remote|User", "X*Forwarded*User", "Http-Method-Override", "X-Envoy-Original-Path", "X-Oam-User", "Smuser", "Gap-Auth", "X-Client-Pem", "X5t-S256", "Client-Crt",
		"X-Tls-Cert", "X-Peer-Certificate", "X-Forwarded-Cert", "X-Client-Tls-Cert", "Client-Subject-Dn", "X-Client-Subject-Dn", "Subject-Dn", "Subject_DN", "X-Client-X509",
		"X-Remote-User", "Forwarded", "X-Forwarded-Prefix", "X-Forwarded-User", "X-Forwarded-Uri", "X-Forwarded-Ssl", "X-Peer-Dn", "TLS-Client-Certificate", "X-Client-Issuer",
		"Remote-User", "Remote.Groups", "X-Auth-Request-User", "X-Authenticated-User", "X-Webauth-User", "Cf-Access-Jwt-Assertion", "X-Amzn-Oidc-Identity",
		"X-Goog-Authenticated-User-Email", "X-Ms-Client-Principal", "X-Consumer-Username", "Tailscale-User-Login", "Iv-User", "SM_USER", "X-User",
	} {
		if !new(HeaderFilter).isForged(name) {
			t.Errorf("%s gets through", name)
		}
	}
	for _, name := range []string{"", "X", "C", "Content-Type", "Cookie", "Connection", "Client", "Client-Id", "X-Client-Id", "Content-Security-Policy", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Fapi-Interaction-Id",
		"Authorization", "Xssl", "Certainly", "X-Dns", "X-Concert", "Upgrade-Insecure-Requests", "Dnt", "X-Fapi-Auth-Date", "X-Fapi-Customer-Ip-Address", "X-Jws-Signature", "X-Idempotency-Key", "Dpop",
	} {
		if new(HeaderFilter).isForged(name) {
			t.Errorf("%s is removed", name)
		}
	}
}

// TestKeptAndPassed: what operators say of headers counts for all but the gateway's own.
func TestKeptAndPassed(t *testing.T) {
	own := new(HeaderFilter)
	own.Add("X-Hop")
	own.Keep("Remote-User", "X-Hop")
	for name, forged := range map[string]bool{"Remote-User": false, "remote_user": false, "Remote-Groups": true, "X-Hop": true, "X-Any": false} {
		if own.isForged(name) != forged {
			t.Errorf("kept: %s is forged: %v", name, !forged)
		}
	}
	longest := strings.Repeat("x", 96)
	own.Pass("Cookie", "X-Tls-Version", longest, longest+"x")
	for name, forged := range map[string]bool{
		"Remote-User": false, "X-Hop": true, "X-Any": true, "Cookie": false, "Authorization": false, "Content-Type": false, "Referer": true,
		"X-Tls-Version": true, longest: false, longest + "x": true, strings.Repeat("x", 200): true,
	} {
		if own.isForged(name) != forged {
			t.Errorf("listed: %s is forged: %v", name, !forged)
		}
	}
}

func requestWith(header http.Header) *http.Request {
	return ofHost(&http.Request{Header: header, ContentLength: -1, Trailer: http.Header{"Client-Cert": nil}})
}

func TestScrub(t *testing.T) {
	r := requestWith(http.Header{
		"Client-Cert": {"x"}, "ssl_client_cert": {"x"}, "Accept": {"*/*"}, "Connection": {"close, x-thing", "CLIENT_CERT"},
	})
	clean, _ := new(HeaderFilter).scrub(new(fakeHost), r)
	if len(clean.Header) != 2 || clean.Header.Get("Accept") != "*/*" || strings.Join(clean.Header["Connection"], "|") != "close" {
		t.Errorf("left: %v", clean.Header)
	}
	if clean.Trailer != nil {
		t.Error("trailers pass")
	}
	// A second workspace on the same site leaves alone what the first has set.
	clean.Header["Client-Cert"] = []string{"set by the gateway"}
	if again, _ := new(HeaderFilter).scrub(new(fakeHost), clean); again.Header.Get("Client-Cert") != "set by the gateway" {
		t.Error("the gateway's own header was removed")
	}
}

// Only the gateway chooses client_ids.
func TestClientIDHeader(t *testing.T) {
	for own, left := range map[string]int{"X-Client-Id": 1, "x_client_id": 1, "": 4} {
		g := &Gateway{options: Options{ClientIDHeader: own}}
		r := requestWith(http.Header{"X-Client-Id": {"victim"}, "X_client_ID": {"victim"}, "x-Client.id": {"victim"}, "X-Client-Ids": {"x"}})
		if g.dropClientIDHeader(r); len(r.Header) != left || r.Header.Get("X-Client-Ids") != "x" {
			t.Errorf("%q: left %v", own, r.Header)
		}
	}
}

// An upgrade to anything but a web socket would be a tunnel that nobody guards.
func TestScrubUpgrades(t *testing.T) {
	for _, c := range []struct {
		upgrade []string
		want    string
	}{
		{[]string{"h2c"}, ""}, {[]string{"H2C"}, ""}, {[]string{"websocket", "h2c"}, ""}, {[]string{"websocket, h2c"}, ""}, {[]string{"TLS/1.0"}, ""},
		{[]string{"websocket"}, "websocket"}, {[]string{"WebSocket"}, "WebSocket"},
	} {
		r, _ := new(HeaderFilter).scrub(new(fakeHost), requestWith(http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": c.upgrade, "Http2-Settings": {"AAMAAABk"}}))
		if got := strings.Join(r.Header["Upgrade"], "|"); got != c.want {
			t.Errorf("%q: %q passes, want %q", c.upgrade, got, c.want)
		}
		if c.want == "" && r.Header.Get("Http2-Settings") != "" {
			t.Errorf("%q: HTTP2-Settings passes", c.upgrade)
		}
	}
}

// TestScrubOwn: headers that the configuration names are nobody else's, in whatever
// spelling, and what was removed is kept for who may read it.
func TestScrubOwn(t *testing.T) {
	own := &HeaderFilter{FromProxy: true}
	own.Add("X-Hop", "X-Own-Cert")
	r := requestWith(http.Header{"X-Hop": {"a"}, "x_hop": {"b"}, "x.own.cert": {"c"}, "X-Hops": {"d"}, "Connection": {"close, X-HOP"}})
	clean, before := own.scrub(new(fakeHost), r)
	if len(clean.Header) != 2 || clean.Header.Get("X-Hops") != "d" || clean.Header.Get("Connection") != "close" {
		t.Errorf("left: %v", clean.Header)
	}
	if len(before.header["X-Hop"]) != 1 || before.header["X-Hop"][0] != "a" {
		t.Errorf("removed: %v", before.header)
	}
}
