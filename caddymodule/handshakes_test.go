package caddymodule

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"
)

// issuing makes certificates.
type issuing struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuing(t *testing.T, name string) *issuing {
	t.Helper()
	return (&issuing{t: t}).issuing(name)
}

// issuing makes an authority for some usages, all if none is named.
func (i *issuing) issuing(name string, usages ...x509.ExtKeyUsage) *issuing {
	i.t.Helper()
	pair := i.issue(name, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, usages
	})
	return &issuing{t: i.t, cert: pair.Leaf, key: pair.PrivateKey.(*ecdsa.PrivateKey)}
}

func (i *issuing) issue(name string, change func(*x509.Certificate)) *tls.Certificate {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, DNSNames: []string{"localhost"},
	}
	if change != nil {
		change(template)
	}
	parent, by := i.cert, i.key
	chain := [][]byte{nil}
	if parent == nil {
		parent, by = template, key
	} else {
		chain = append(chain, parent.Raw)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		i.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	chain[0] = der
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) lines(t *testing.T) (lines []map[string]any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for line := range strings.Lines(b.text.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, members)
	}
	return lines
}

func newHandshakes(t *testing.T, atOnce int) (*Handshakes, *lockedBuffer) {
	t.Helper()
	log := new(lockedBuffer)
	h := &Handshakes{AtOnce: atOnce, Timeout: caddy.Duration(10 * time.Second)}
	if err := h.prepare(slog.New(slog.NewJSONHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	return h, log
}

// TestRefusedHandshakes: the log says why a certificate was refused, by whom it is, and
// of its holder no more than hashes; of other failures nothing.
func TestRefusedHandshakes(t *testing.T) {
	bank, foreign := newIssuing(t, "Bank's directory"), newIssuing(t, "Foreign CA")
	roots := x509.NewCertPool()
	roots.AddCert(bank.cert)
	server := bank.issue("localhost", nil)
	public := bank.issuing("Public CA", x509.ExtKeyUsageServerAuth)
	const holder = "Secret Holder"
	for _, c := range []struct {
		name    string
		present *tls.Certificate
		mode    tls.ClientAuthType
		verify  func([][]byte, [][]*x509.Certificate) error
		reason  string // "" is no line
		issuer  string
	}{
		{"good", bank.issue(holder, nil), tls.RequireAndVerifyClientCert, nil, "", ""},
		{"none, and none is demanded", nil, tls.VerifyClientCertIfGiven, nil, "", ""},
		{"none", nil, tls.RequireAndVerifyClientCert, nil, reasonMissing, ""},
		{"foreign", foreign.issue(holder, nil), tls.VerifyClientCertIfGiven, nil, reasonUnknownAuthority, "CN=Foreign CA"},
		{"self-signed", newIssuing(t, holder).issue(holder, nil), tls.VerifyClientCertIfGiven, nil, reasonUnknownAuthority, ""},
		{"expired", bank.issue(holder, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), tls.VerifyClientCertIfGiven, nil, reasonExpired, "CN=Bank's directory"},
		{"of tomorrow", bank.issue(holder, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}), tls.VerifyClientCertIfGiven, nil, reasonNotYetValid, "CN=Bank's directory"},
		{"for servers", bank.issue(holder, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), tls.VerifyClientCertIfGiven, nil, reasonUsage, "CN=Bank's directory"},
		{"for clients, of an authority for servers", public.issue(holder, nil), tls.VerifyClientCertIfGiven, nil, reasonUsage, "CN=Public CA"},
		{"what a module refuses", bank.issue(holder, nil), tls.VerifyClientCertIfGiven, func([][]byte, [][]*x509.Certificate) error { return errors.New("not on the list") }, reasonInvalid, "CN=Bank's directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, log := newHandshakes(t, 8)
			before := refusedOf(t, c.reason)
			client := &tls.Config{RootCAs: roots, ServerName: "localhost"}
			if c.present != nil {
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.present, nil }
			}
			err := h.handshake(t, &tls.Config{Certificates: []tls.Certificate{*server}, ClientCAs: roots, ClientAuth: c.mode, VerifyPeerCertificate: c.verify}, client)
			if (err == nil) != (c.reason == "") {
				t.Errorf("the handshake ends with %v", err)
			}
			lines := log.lines(t)
			if c.reason == "" {
				if len(lines) != 0 {
					t.Errorf("got the lines %v, want none", lines)
				}
				return
			}
			if len(lines) != 1 || lines[0]["reason"] != c.reason || lines[0]["level"] != "WARN" || lines[0]["remote"] != "127.0.0.1" || lines[0]["server_name"] != "localhost" {
				t.Fatalf("logged %v, want the reason %s", lines, c.reason)
			}
			if cause := fmt.Sprint(lines[0]["cause"]); c.reason == reasonUsage && cause != "its extended key usage, or that of an authority between, does not allow client authentication" {
				t.Errorf("the cause is %s", cause)
			}
			if text := fmt.Sprint(lines[0]); c.name != "self-signed" && strings.Contains(text, holder) {
				t.Errorf("the line names the holder: %s", text)
			}
			if c.present != nil && (lines[0]["certificate"] != hashOf(c.present.Leaf.Raw) || lines[0]["subject_sha256"] != hashOf(c.present.Leaf.RawSubject)) {
				t.Errorf("got %v, want the hashes of the certificate and its subject", lines[0])
			}
			if c.issuer != "" && lines[0]["issuer"] != c.issuer {
				t.Errorf("the issuer is %v, want %s", lines[0]["issuer"], c.issuer)
			}
			if n := refusedOf(t, c.reason) - before; n != 1 {
				t.Errorf("got %v counted, want 1", n)
			}
		})
	}
}

func refusedOf(t *testing.T, reason string) float64 {
	t.Helper()
	var m dto.Metric
	if err := refusedCertificates.WithLabelValues(reason).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// handshake makes one through the wrapper, as net/http does, and returns the server's
// error once the wrapper has done with it.
func (h *Handshakes) handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := h.WrapListener(tls.NewListener(inner, server))
	defer l.Close()
	var done sync.WaitGroup
	done.Go(func() {
		if conn, err := tls.Dial("tcp", l.Addr().String(), client); err == nil {
			_, _ = conn.Read(make([]byte, 1)) // with TLS 1.3 a refusal comes after the client's part
			conn.Close()
		}
	})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	over, ok := conn.(*tls.Conn)
	if !ok {
		t.Fatalf("handed on as %T", conn)
	}
	err = over.HandshakeContext(t.Context())
	for range h.AtOnce { // all places are free again
		h.places <- struct{}{}
	}
	conn.Close()
	within10s(t, "the handshake's end", done.Wait)
	return err
}

// TestSlowHandshakesDoNotHoldUpOthers: while slow clients have every place that one address may
// have, and all places, others are handed on; and in bounded time the places are free.
func TestSlowHandshakesDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHandshakes(t, 4)
		config := &tls.Config{Certificates: []tls.Certificate{*newIssuing(t, "localhost").issue("localhost", nil)}}
		begin := func(from string) (client net.Conn) {
			client, server := net.Pipe()
			h.begin(tls.Server(addressed{server, from}, config))
			synctest.Wait()
			return client
		}
		taken := func(want int) {
			t.Helper()
			if n := len(h.places); n != want {
				t.Errorf("%d places are taken, want %d", n, want)
			}
		}
		slow := []net.Conn{begin("192.0.2.1:1"), begin("192.0.2.1:2"), begin("[2001:db8::1]:1"), begin("[2001:db8::2]:1")}
		taken(2) // an eighth of four is one
		begin("192.0.2.3:1")
		begin("192.0.2.4:1")
		taken(4)
		begin("192.0.2.5:1") // and returns
		taken(4)
		time.Sleep(time.Duration(h.Timeout) + time.Second)
		synctest.Wait()
		taken(0)
		if _, err := slow[0].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a slow client is not cut off: %v", err)
		}
	})
}

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	from string
}

func (a addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a.from))
}

// TestPanickingHandshake: what net/http recovers from does not end the process.
func TestPanickingHandshake(t *testing.T) {
	h, log := newHandshakes(t, 8)
	own, theirs := net.Pipe()
	go func() {
		_ = tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context())
	}()
	h.watch(tls.Server(own, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("at the disco") }}))
	if lines := log.lines(t); len(lines) != 1 || lines[0]["level"] != "ERROR" {
		t.Errorf("got %v, want one line of level ERROR", lines)
	}
}

// TestLinesOfRefusedHandshakes: one address fills no log, all together do not, and what
// was left out is told.
func TestLinesOfRefusedHandshakes(t *testing.T) {
	r, err := newRefusedHandshakes(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	count := func(n int, from func(int) string) (allowed int) {
		for i := range n {
			if r.allows(from(i), now) {
				allowed++
			}
		}
		return allowed
	}
	one := func(int) string { return "192.0.2.1" }
	if n := count(100, one); n != 5 {
		t.Errorf("got %d lines of one address, want 5", n)
	}
	many := func(i int) string { return fmt.Sprint("other-", i) }
	if n := count(1000, many); n != 45 {
		t.Errorf("got %d lines of many, want 45", n)
	}
	now = now.Add(time.Second)
	if n := count(100, one) + count(1000, many); n != 5 {
		t.Errorf("got %d lines of all a second later, want 5", n)
	}
	now = now.Add(9 * time.Second)
	if n := count(100, one); n != 1 {
		t.Errorf("got %d lines of one address ten seconds later, want 1", n)
	}
}

// TestWrapperOrder: before tls the wrapper would see nothing, and that does not load.
func TestWrapperOrder(t *testing.T) {
	t.Setenv("DCR_TEST_SECRET", "x")
	for wrappers, want := range map[string]string{
		"openbanking_dcr": "", "proxy_protocol\n\t\t\ttls\n\t\t\topenbanking_dcr {\n\t\t\t\ttimeout 5s\n\t\t\t\tat_once 100\n\t\t\t}": "",
		"openbanking_dcr\n\t\t\ttls":             "must be after tls",
		"openbanking_dcr\n\t\t\topenbanking_dcr": "written twice",
	} {
		_, err := load(t, site("DIRECTORY", t.TempDir(), "admin off", "admin off\n\tservers {\n\t\tlistener_wrappers {\n\t\t\t"+wrappers+"\n\t\t}\n\t}"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", wrappers, err, want)
		}
	}
}
