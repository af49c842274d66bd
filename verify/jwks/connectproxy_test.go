package jwks_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// connectProxy is a forward proxy. Every host that it is asked for is at one server.
type connectProxy struct {
	net.Listener
	server string
	// answer takes the place of its own answer, nil for a tunnel.
	answer func(net.Conn)

	mu    sync.Mutex
	asked []*http.Request
}

func newConnectProxy(t *testing.T, server *directory) *connectProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &connectProxy{Listener: l, server: server.Listener.Addr().String()}
	t.Cleanup(func() { p.Close() })
	return p
}

// starts serves with what was set before.
func (p *connectProxy) starts(t *testing.T) *connectProxy {
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := p.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); p.serve(conn) })
		}
	})
	t.Cleanup(func() { p.Close(); wait.ForGroup(t, &serving, "the end of the proxy's connections") })
	return p
}

func (p *connectProxy) serve(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, r)
	p.mu.Unlock()
	if p.answer != nil {
		p.answer(conn)
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	back := make(chan struct{})
	go func() { defer close(back); io.Copy(conn, server); conn.Close() }()
	io.Copy(server, conn)
	server.Close()
	<-back
}

func (p *connectProxy) requests() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// targets are what it was asked for.
func (p *connectProxy) targets() (hosts []string) {
	for _, r := range p.requests() {
		hosts = append(hosts, r.Method+" "+r.RequestURI)
	}
	return hosts
}

func (p *connectProxy) proxy() *jwks.Proxy {
	return &jwks.Proxy{URL: &url.URL{Scheme: "http", Host: p.Addr().String()}}
}

// through is a client that may ask a proxy for the directory, whose certificate is for
// example.com, and for example.net.
func through(t *testing.T, p *jwks.Proxy, d *directory) *jwks.Client {
	t.Helper()
	return client(t, jwks.Options{Proxy: p, ProxyHosts: []string{"example.com", "example.net"}, Timeout: time.Minute}, d)
}

const target = "https://example.com/keys"

// TestProxy: the proxy is asked for the server by name, and only for that; what goes
// through the tunnel it cannot read, and connections are kept.
func TestProxy(t *testing.T) {
	d := newDirectory(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.URL, " ", r.Header.Get("Proxy-Authorization"))
	})
	p := newConnectProxy(t, d).starts(t)
	by := p.proxy()
	by.User, by.Password = "gateway", "pass:word"
	c := through(t, by, d)
	for range 2 {
		if res, err := c.Get(context.Background(), target); err != nil || string(res.Body) != "example.com /keys " {
			t.Fatalf("got %+v, %v", res, err)
		}
	}
	if got := p.targets(); !slices.Equal(got, []string{"CONNECT example.com:443"}) {
		t.Fatalf("the proxy was asked for %q", got)
	}
	r := p.requests()[0]
	if got := r.Header.Get("Proxy-Authorization"); got != "Basic Z2F0ZXdheTpwYXNzOndvcmQ=" || r.Host != "example.com:443" || len(r.Header) != 1 {
		t.Errorf("the proxy was told %q of %s", r.Header, r.Host)
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("%d connections to the proxy of the environment", n)
	}
}

// TestProxyOverTLS: an https proxy is verified with its own roots, and the server within
// with the client's. The gateway's certificate is for the server alone.
func TestProxyOverTLS(t *testing.T) {
	d := newDirectory(t, text("arrived", ""))
	other := newDirectory(t, nil)
	identity := other.TLS.Clone()
	identity.ClientAuth = tls.RequestClientCert
	sent := 0
	identity.VerifyConnection = func(s tls.ConnectionState) error { sent += len(s.PeerCertificates); return nil }
	p := newConnectProxy(t, d)
	p.Listener = tls.NewListener(p.Listener, identity)
	p.starts(t)
	by := p.proxy()
	by.URL.Scheme = "https"
	if res, err := through(t, by, d).Get(context.Background(), target); err == nil || !strings.Contains(err.Error(), "the proxy https://") {
		t.Errorf("a proxy of an unknown CA was believed: %+v, %v", res, err)
	}
	by.Roots = x509.NewCertPool()
	by.Roots.AddCert(d.Certificate()) // all of httptest's have one
	roots := by.Roots
	own := &tls.Certificate{Certificate: [][]byte{d.Certificate().Raw}, PrivateKey: identity.Certificates[0].PrivateKey}
	c := jwks.NewClient(jwks.Options{Roots: roots, Proxy: by, ProxyHosts: []string{"example.com"}, Certificate: func() *tls.Certificate { return own }})
	defer c.CloseIdle()
	if res, err := c.Get(context.Background(), target); err != nil || string(res.Body) != "arrived" {
		t.Errorf("got %+v, %v", res, err)
	}
	if sent != 0 {
		t.Error("the proxy was shown the gateway's certificate")
	}
}

// TestProxyThatBreaksTLS: the certificate must be the server's. A proxy that answers for
// it has another one, whether for its own name or not.
func TestProxyThatBreaksTLS(t *testing.T) {
	d, other := newDirectory(t, text("x", "")), newDirectory(t, text("y", ""))
	for name, roots := range map[string][]*directory{"of another CA": nil, "of another host": {d}} {
		p := newConnectProxy(t, other).starts(t)
		url := target
		if roots != nil {
			url = "https://example.net/keys"
		}
		c := client(t, jwks.Options{Proxy: p.proxy(), ProxyHosts: []string{"example.com", "example.net"}}, roots...)
		res, err := c.Get(context.Background(), url)
		var failed *jwks.ProxyError
		if err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %+v, %v; want an error about the certificate", name, res, err)
		}
	}
	if n := other.asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

// TestProxyGetsNoForbiddenTarget: no address in any spelling, no other port and no other host.
func TestProxyGetsNoForbiddenTarget(t *testing.T) {
	d := newDirectory(t, text("inside", ""))
	p := newConnectProxy(t, d).starts(t)
	hosts := []string{
		"127.0.0.1", "8.8.8.8", "[::1]", "[2606:4700::1111]", "[::ffff:127.0.0.1]", "[fe80::1%25lo]", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x", "a.0x7f", "0X7F.1", "0177.0.0.1",
		"127.1", "127.0.0.1.", "1.2.3.4.5", "a.1", "localhost", "LOCALHOST", "a.localhost", "localhost.", "example.com.", "①②⑦.⓪.⓪.①", "127。0。0。1", "a..b", ".a", "ex ample.com", "example.com%00",
		"example.com%0d%0aX: y", "evil.example", "example.com.evil.example", "xexample.com", "example.com:8443", "example.com:80", "example.com:0443", "example.com:22", "evil@example.com:8443",
	}
	for _, host := range hosts {
		c := client(t, jwks.Options{Proxy: p.proxy(), PrivateRanges: true, ProxyHosts: []string{"example.com", "127.0.0.1", "localhost", "::1", "0", "0x", "0x7f000001", "a.0x7f", "127.0.0.1.", "example.com.", "a.localhost"}}, d)
		if res, err := c.Get(context.Background(), "https://"+host+"/"); err == nil {
			t.Errorf("%s: %+v, want an error", host, res)
		} else if !errors.Is(err, jwks.ErrTarget) && !strings.Contains(err.Error(), "parse") && !strings.Contains(err.Error(), "invalid URL") {
			t.Errorf("%s: %v, want ErrTarget, or an error of the URL", host, err)
		}
	}
	if got := p.targets(); len(got) != 0 {
		t.Errorf("the proxy was asked for %q", got)
	}
	if n := d.asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	for _, host := range []string{"EXAMPLE.com", "example.com:443", "example.com:"} {
		if _, err := through(t, p.proxy(), d).Get(context.Background(), "https://"+host+"/"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, got := range p.targets() {
		if got != "CONNECT example.com:443" {
			t.Errorf("the proxy was asked for %q", got)
		}
	}
}

// TestProxyHostLength: a host name has 253 characters at most, and a label 63 (RFC 1035 2.3.4).
func TestProxyHostLength(t *testing.T) {
	label := func(size int) string { return strings.Repeat("a", size) }
	long := strings.Repeat(label(63)+".", 3)
	for host, want := range map[string]error{
		label(63) + ".example": nil, label(64) + ".example": jwks.ErrTarget, long + label(61): nil, long + label(62): jwks.ErrTarget,
	} {
		if err := jwks.CheckProxyHost(host); !errors.Is(err, want) {
			t.Errorf("%s, of %d characters: got %v, want %v", host, len(host), err, want)
		}
	}
}

// TestEndpointsThroughProxy: an endpoint that the proxy would not be asked for is refused
// before anything is fetched, as one at a host that is not allowed.
func TestEndpointsThroughProxy(t *testing.T) {
	d := newDirectory(t, text(set("a"), ""))
	p := newConnectProxy(t, d).starts(t)
	sources := jwks.NewSources(through(t, p.proxy(), d), []string{"example.com", "127.0.0.1"}, d.clock)
	for endpoint, want := range map[string]string{
		"https://example.com:8443/a": "port 8443, only 443", "https://127.0.0.1/a": "is an address", "https://evil.example/a": "host evil.example is not allowed",
	} {
		if _, err := sources.Source(endpoint); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", endpoint, err, want)
		}
	}
	d.want(t, mustSource(t, sources, target).Keys, "a", 1)
}

// TestProxyFails: what is wrong with the proxy is told apart, names it, and has nothing of
// what it sent or was sent.
func TestProxyFails(t *testing.T) {
	says := func(answer string) func(net.Conn) {
		return func(conn net.Conn) { io.WriteString(conn, answer) }
	}
	for _, tc := range []struct {
		name   string
		answer func(net.Conn)
		status int
		want   string
	}{
		{"wants other credentials", says("HTTP/1.1 407 c2VjcmV0\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"), 407, "407 Proxy Authentication Required"},
		{"lets nobody through", says("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nNo!"), 403, "403 Forbidden"},
		{"cannot reach the server", says("HTTP/1.0 502 Bad\r\n\r\n"), 502, "502 Bad Gateway"},
		{"redirects", says("HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n"), 302, "302 Found"},
		{"closes", func(net.Conn) {}, 0, "closed the connection"},
		{"closes in its answer", says("HTTP/1.1 200 OK\r\nX: c2VjcmV0"), 0, "closed the connection"},
		{"is no proxy", says("SSH-2.0-c2VjcmV0\r\n"), 0, "something else than HTTP"},
		{"echoes", says("HTTP/1.1 200 OK\r\nProxy-Authorization Basic c2VjcmV0\r\n\r\n"), 0, "something else than HTTP"},
		{"sends more", says("HTTP/1.1 200 OK\r\n\r\nc2VjcmV0"), 0, "sent more"},
		{"endless headers", func(conn net.Conn) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			repeatedly(conn, "X: c2VjcmV0\r\n")
		}, 0, "longer than 16384 bytes"},
		{"an endless header", func(conn net.Conn) { repeatedly(conn, "x") }, 0, "longer than 16384 bytes"},
		{"endless hints", func(conn net.Conn) { repeatedly(conn, "HTTP/1.1 103 Early Hints\r\n\r\n") }, 0, "longer than 16384 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, text("x", ""))
			p := newConnectProxy(t, d)
			p.answer = tc.answer
			by := p.starts(t).proxy()
			by.User, by.Password = "gateway", "secret"
			_, err := through(t, by, d).Get(context.Background(), target)
			var failed *jwks.ProxyError
			if !errors.As(err, &failed) || failed.Status != tc.status || failed.Target != "example.com:443" || failed.Proxy != by.URL.String() || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v", err)
			}
			if text := err.Error(); strings.Contains(text, "secret") || strings.Contains(text, "c2VjcmV0") || strings.Contains(text, "gateway") {
				t.Errorf("the error is %s", text)
			}
			if n := d.asked.Load(); n != 0 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}

// TestUnreachableProxyIsNotBypassed: nobody is dialled in the place of a proxy that is down.
func TestUnreachableProxyIsNotBypassed(t *testing.T) {
	d := newDirectory(t, text("x", ""))
	p := newConnectProxy(t, d)
	p.Close()
	_, err := through(t, p.proxy(), d).Get(context.Background(), target)
	if failed := (*jwks.ProxyError)(nil); !errors.As(err, &failed) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	by := &jwks.Proxy{URL: &url.URL{Scheme: "http", Host: "proxy.invalid"}}
	c := through(t, by, d)
	c.Dialer().Resolver = resolver(t, []string{})
	_, err = c.Get(context.Background(), target)
	if failed, unknown := (*jwks.ProxyError)(nil), (*net.DNSError)(nil); !errors.As(err, &failed) || !errors.As(err, &unknown) || unknown.Name != "proxy.invalid" {
		t.Errorf("got %v", err)
	}
}

// TestSilentProxy holds nobody for longer than Timeout, and the error says that it is the
// proxy.
func TestSilentProxy(t *testing.T) {
	for name, begin := range map[string]string{"nothing": "", "a begun answer": "HTTP/1.1 200 OK\r\n", "hints": "HTTP/1.1 103 Early Hints\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDirectory(t, text("x", ""))
			p := newConnectProxy(t, d)
			p.answer = func(conn net.Conn) { io.WriteString(conn, begin); io.Copy(io.Discard, conn) }
			p.starts(t)
			c := client(t, jwks.Options{Proxy: p.proxy(), ProxyHosts: []string{"example.com"}, Timeout: time.Second}, d)
			_, err := c.Get(context.Background(), target)
			if failed := (*jwks.ProxyError)(nil); !errors.As(err, &failed) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestBoundsThroughProxy: size, time, redirects and compression are bounded as without one.
func TestBoundsThroughProxy(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "x")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"long", text(strings.Repeat("x", 1001), ""), "longer than 1000 bytes"},
		{"long headers", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 65<<10)) }, "headers exceeded"},
		{"endless", hang, "deadline exceeded"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.net/keys", http.StatusFound)
		}, "another origin"},
		{"to another port", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com:8443/keys", http.StatusFound)
		}, "another origin"},
		{"in circles", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) }, "too often"},
		{"compressed", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") }, "encoded"},
		{"another status", status(404), "answered 404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDirectory(t, tc.answer)
			p := newConnectProxy(t, d).starts(t)
			c := client(t, jwks.Options{Proxy: p.proxy(), ProxyHosts: []string{"example.com", "example.net"}, MaxBytes: 1000, Timeout: time.Second}, d)
			_, err := c.Get(context.Background(), target)
			if failed := (*jwks.ProxyError)(nil); err == nil || errors.As(err, &failed) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if got := p.targets(); !slices.Equal(got, []string{"CONNECT example.com:443"}) {
				t.Errorf("the proxy was asked for %q", got)
			}
		})
	}
}

// TestProxyAtPrivateAddress: the operator wrote it; loopback stands for one here. Without
// a proxy the same client would dial nothing there.
func TestProxyAtPrivateAddress(t *testing.T) {
	d := newDirectory(t, text("arrived", ""))
	p := newConnectProxy(t, d).starts(t)
	if _, err := through(t, p.proxy(), d).Get(context.Background(), target); err != nil {
		t.Error(err)
	}
	if _, err := client(t, jwks.Options{}, d).Get(context.Background(), "https://"+p.Addr().String()); !errors.Is(err, jwks.ErrAddress) {
		t.Errorf("got %v", err)
	}
}
