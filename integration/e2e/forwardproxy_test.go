package e2e_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// keystore is the directory's server at keystore.example:443, where nobody comes but
// through its proxy.
type keystore struct {
	proxy  net.Listener
	server *httptest.Server
	// password is what the proxy lets in.
	password string

	mu      sync.Mutex
	tunnels []string
}

func newKeystore(t *testing.T, p *story.Play, password string) *keystore {
	t.Helper()
	certificate, err := p.Directory.ServerCertificate("keystore.example")
	if err != nil {
		t.Fatal(err)
	}
	k := &keystore{password: password}
	k.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys := p.Acme.JWKS()
		if r.URL.Path == "/directory.jwks" {
			keys = p.Directory.JWKS()
		}
		if err := json.NewEncoder(w).Encode(keys); err != nil {
			t.Log(err)
		}
	}))
	k.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	k.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	k.server.StartTLS()
	t.Cleanup(k.server.Close)
	if k.proxy, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := k.proxy.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); k.serve(conn) })
		}
	})
	t.Cleanup(func() { k.proxy.Close(); k.server.CloseClientConnections(); serving.Wait() })
	return k
}

func (k *keystore) serve(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	k.mu.Lock()
	k.tunnels = append(k.tunnels, r.Method+" "+r.RequestURI)
	k.mu.Unlock()
	basic := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	if user, password, _ := basic.BasicAuth(); user != "gateway" || password != k.password {
		io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"proxy\"\r\n\r\n")
		return
	}
	server, err := net.Dial("tcp", k.server.Listener.Addr().String())
	if err != nil {
		return
	}
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { io.Copy(conn, server); conn.Close() }()
	io.Copy(server, conn)
	server.Close()
}

// asked are the tunnels that it was asked for, once each.
func (k *keystore) asked() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(k.tunnels)))
}

// TestForwardProxy: a TPP registers where the directory is reached through a forward proxy
// alone; the AS is not, and the proxy of the environment is not asked. What a statement
// must not name and what is wrong with the proxy is in the log, with the cure.
func TestForwardProxy(t *testing.T) {
	t.Parallel()
	environment, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer environment.Close()
	var others sync.WaitGroup
	others.Go(func() {
		for {
			conn, err := environment.Accept()
			if err != nil {
				return
			}
			t.Error("the proxy of the environment was asked")
			conn.Close()
		}
	})
	defer func() { environment.Close(); others.Wait() }()
	password := rand.Text()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Environment: map[string]string{
		"PROXY_PASSWORD": password, "WRONG_PASSWORD": rand.Text(), "HTTPS_PROXY": "http://" + environment.Addr().String(), "ALL_PROXY": "http://" + environment.Addr().String(),
	}}))
	k := newKeystore(t, p, password)
	through := func(variable string) {
		t.Helper()
		reload(t, p, gateway.Workspace("proxy http://gateway:{env."+variable+"}@"+k.proxy.Addr().String()),
			gateway.At("jwks_uri").Set("https://keystore.example/directory.jwks"), gateway.At("software_statement", "private_addresses").Remove())
	}
	registersAt := func(endpoint string, status int, code string) {
		t.Helper()
		statement, err := p.Acme.Statement(map[string]any{"software_jwks_endpoint": endpoint})
		if err != nil {
			t.Fatal(err)
		}
		r := answered(t, registers(t, p, p.Client(p.Acme), map[string]any{"software_statement": statement}), nil, status, code)
		if text := r.Text("error_description"); strings.Contains(text, "proxy") || strings.Contains(text, k.proxy.Addr().String()) {
			t.Errorf("the TPP is told %s", text)
		}
	}
	through("PROXY_PASSWORD")
	registersAt("https://keystore.example/acme.jwks", http.StatusCreated, "")
	for _, endpoint := range []string{"https://keystore.example:8443/acme.jwks", "https://127.0.0.1/acme.jwks", "https://elsewhere.example/acme.jwks"} {
		registersAt(endpoint, http.StatusBadRequest, "unapproved_software_statement")
	}
	says(t, p.Gateway, "port 8443, only 443 is asked for", "host elsewhere.example is not allowed", "a proxy is asked for host names at port 443 alone")
	through("WRONG_PASSWORD")
	registersAt("https://keystore.example/acme.jwks?2", http.StatusServiceUnavailable, "temporarily_unavailable")
	says(t, p.Gateway, "answered 407 Proxy Authentication Required to CONNECT keystore.example:443", "correct the credentials in proxy")
	if asked := k.asked(); !slices.Equal(asked, []string{"CONNECT keystore.example:443"}) {
		t.Errorf("the proxy was asked for %q", asked)
	}
}
