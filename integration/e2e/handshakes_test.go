package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// watching puts listener wrappers into the Caddyfile.
func watching(wrappers ...string) []gateway.Edit {
	return []gateway.Edit{gateway.GlobalOptions("servers {", "\tlistener_wrappers {", "\t}", "}"), gateway.At("listener_wrappers").Add(wrappers...)}
}

const refusedInHandshake = "refused a client certificate in the TLS handshake"

// handshake makes one with a certificate, nil for none, on a connection of its own that
// begins with text, and returns what comes of a request over it.
func handshake(t *testing.T, p *story.Play, certificate *tls.Certificate, text string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostOf(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: p.Directory.Roots(), ServerName: "localhost"}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	over := tls.Client(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		return err
	}
	if _, err := io.WriteString(over, "GET "+story.Prefix+"/.well-known/openid-configuration HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(over)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		err = fmt.Errorf("got %s, want HTTP/1.1 200", answer)
	}
	return err
}

func hostOf(t *testing.T, p *story.Play) string {
	t.Helper()
	u, err := url.Parse(p.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + u.Port()
}

// TestHandshakesInTheLog: a client whose certificate is refused before there is a request
// is in the log, with the reason.
func TestHandshakesInTheLog(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: watching("openbanking_dcr")}))
	expired, err := p.Acme.IssueTransport(directory.TransportOptions{Change: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	// As public authorities issue them: for servers alone.
	public, err := p.Acme.IssueTransport(directory.TransportOptions{Unpublished: true, Change: func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}})
	if err != nil {
		t.Fatal(err)
	}
	stranger := p.Stranger.Transport
	for _, c := range []struct {
		name        string
		certificate *tls.Certificate
		reason      string // "" is no line, and an answer
		alert       string // what the TPP sees of it
	}{
		{"good", &p.Acme.Transport, "", ""}, {"none", nil, "", ""},
		{"foreign", &stranger, "unknown_authority", "unknown certificate authority"}, {"expired", &expired, "expired", "expired certificate"},
		{"of a public authority", &public, "usage", "bad certificate"},
	} {
		if err := handshake(t, p, c.certificate, ""); (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), "remote error: tls: "+c.alert) {
			t.Errorf("%s: %v, want the alert %q", c.name, err, c.alert)
		}
		if c.reason == "" {
			continue
		}
		want := map[string]string{"msg": refusedInHandshake, "reason": c.reason, "issuer": "*", "subject_sha256": "*", "certificate": "*", "remote": "127.0.0.1", "server_name": "localhost"}
		if err := story.Eventually(t.Context(), 10*time.Second, func() error { return logged(p, want) }); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	reload(t, p, gateway.At("client_auth", "mode").Set("require_and_verify"))
	if err := handshake(t, p, nil, ""); err == nil {
		t.Error("answered without a certificate")
	}
	if err := story.Eventually(t.Context(), 10*time.Second, func() error {
		return logged(p, map[string]string{"msg": refusedInHandshake, "reason": "missing", "remote": "127.0.0.1"})
	}); err != nil {
		t.Error(err)
	}
	if text := metrics(t, p); !strings.Contains(text, `caddy_openbanking_dcr_refused_certificates_total{reason="expired"} 1`) || !strings.Contains(text, "caddy_openbanking_dcr_unobserved_handshakes_total 0") {
		t.Errorf("the metrics are %s", text)
	}
	if log := p.Gateway.Log(); strings.Contains(log, p.Stranger.SoftwareID) {
		t.Error("the log names the holder of the certificate")
	}
}

// TestHandshakesChangeNothing: HTTP/2 works through the wrapper, slow clients hold up
// nobody, and the story goes on.
func TestHandshakesChangeNothing(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: watching("openbanking_dcr {", "\tat_once 4", "\ttimeout 2s", "}")}))
	var slow []net.Conn
	for range 20 {
		conn, err := net.Dial("tcp", hostOf(t, p))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		slow = append(slow, conn)
	}
	options := p.ClientOptions()
	options.HTTP2, options.Certificate, options.NoKeepAlive = true, &p.Acme.Transport, true
	http2 := tpp.NewClient(options)
	defer http2.Close()
	for range 5 {
		r, err := http2.HTTP.Get(p.Issuer + "/.well-known/openid-configuration")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusOK || r.ProtoMajor != 2 {
			t.Errorf("got %s %s, want 200 over HTTP/2", r.Status, r.Proto)
		}
	}
	id, token := registered(t, p)
	r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
	answered(t, r, err, http.StatusOK, "")
	// The place of this address is one of the slow clients', which is cut off in the end.
	cut := make(chan error, len(slow))
	for _, conn := range slow {
		go func() {
			_, err := conn.Read(make([]byte, 1))
			cut <- err
		}()
	}
	select {
	case err := <-cut:
		if err == nil {
			t.Error("a slow client is told something")
		}
	case <-time.After(30 * time.Second):
		t.Error("no slow client is cut off within 30 s")
	}
}

// TestHandshakesBehindProxyProtocol: the line has the address that the load balancer
// tells, and whoever does not send one holds up nobody.
func TestHandshakesBehindProxyProtocol(t *testing.T) {
	t.Parallel()
	p := &story.Play{Stage: open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: watching("proxy_protocol {", "\tallow 127.0.0.1/32", "}", "tls", "openbanking_dcr")})}
	const header = "PROXY TCP4 192.0.2.7 127.0.0.1 40000 443\r\n"
	silent, err := net.Dial("tcp", hostOf(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := handshake(t, p, &p.Acme.Transport, header); err != nil {
		t.Error(err)
	}
	stranger := p.Stranger.Transport
	if err := handshake(t, p, &stranger, header); err == nil {
		t.Error("answered with a foreign certificate")
	}
	if err := story.Eventually(t.Context(), 10*time.Second, func() error {
		return logged(p, map[string]string{"msg": refusedInHandshake, "reason": "unknown_authority", "remote": "192.0.2.7"})
	}); err != nil {
		t.Error(err)
	}
}
