package caddymodule

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// TestForwardProxyURL: what is written, and what its placeholders stand for. No error has
// anything of either.
func TestForwardProxyURL(t *testing.T) {
	for name, value := range map[string]string{
		"USER": "gateway", "PASSWORD": "s3cret:@/?#%41", "BOTH": "gateway:s3cret", "LINE": "s3cret\n", "CONTROL": "s3\x01cret", "COLON": "s3cret:s3cret",
		"ALL": "https://gate%40way:s3cret%3A@proxy.example:8443/", "NONE": "http://proxy.example", "BAD": "s3cret://gateway:s3cret@proxy.example", "PATH": "http://s3cret:s3cret@proxy.example/s3cret", "BROKEN": "http://s3cret:%zz@proxy.example:s3cret", "BARE": "s3cret",
	} {
		t.Setenv("DCR_TEST_"+name, value)
	}
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, at, user, password, want string }{
		{"http://proxy.example:3128", "http://proxy.example:3128", "", "", ""},
		{"https://proxy.example/", "https://proxy.example", "", "", ""},
		{"http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "", "", ""},
		{"http://10.0.0.1:3128", "http://10.0.0.1:3128", "", "", ""},
		{"http://{env.DCR_TEST_USER}:{env.DCR_TEST_PASSWORD}@proxy.example:3128", "http://proxy.example:3128", "gateway", "s3cret:@/?#%41", ""},
		{"http://gateway:{env.DCR_TEST_PASSWORD}@proxy.example:3128", "http://proxy.example:3128", "gateway", "s3cret:@/?#%41", ""},
		{"http://gateway:{file." + file + "}@proxy.example:3128", "http://proxy.example:3128", "gateway", "s3cret", ""},
		{"http://gateway:{env.DCR_TEST_LINE}@proxy.example:3128", "http://proxy.example:3128", "gateway", "s3cret", ""},
		{"http://{env.DCR_TEST_BOTH}@proxy.example:3128", "http://proxy.example:3128", "gateway", "s3cret", ""},
		{"{env.DCR_TEST_ALL}", "https://proxy.example:8443", "gate@way", "s3cret:", ""},
		{"{env.DCR_TEST_NONE}", "http://proxy.example", "", "", ""},
		{"{env.DCR_TEST_UNSET}", "", "", "", "proxy: "},
		{"{env.DCR_TEST_BAD}", "", "", "", "must be http or https"},
		{"{env.DCR_TEST_PATH}", "", "", "", "must be http or https"},
		{"{env.DCR_TEST_BROKEN}", "", "", "", "must be http or https"},
		{"{env.DCR_TEST_BARE}", "", "", "", "must be http or https"},
		{"http://gateway:{env.DCR_TEST_UNSET}@proxy.example", "", "", "", "proxy: the password"},
		{"http://{env.DCR_TEST_UNSET}:{env.DCR_TEST_PASSWORD}@proxy.example", "", "", "", "proxy: the user"},
		{"http://{env.DCR_TEST_COLON}:{env.DCR_TEST_PASSWORD}@proxy.example", "", "", "", "must not have a colon"},
		{"http://gateway:{env.DCR_TEST_CONTROL}@proxy.example", "", "", "", "control character"},
		{"http://gateway:s3cret@proxy.example", "", "", "", "password must be a placeholder"},
		{"http://gateway:s3cret{env.DCR_TEST_USER}@proxy.example", "", "", "", "password must be a placeholder"},
		{"http://gateway:{header.s3cret}@proxy.example", "", "", "", "password must be a placeholder"},
		{"http://{env.DCR_TEST_USER}:s3cret@proxy.example", "", "", "", "password must be a placeholder"},
		{"http://{env.DCR_TEST_USER}s3cret@proxy.example", "", "", "", "must be a placeholder"},
		{"http://s3cret@proxy.example", "", "", "", "must be a placeholder"},
		{"http://s3cret:@proxy.example", "", "", "", "must be a placeholder"},
		{"http://:s3cret@proxy.example", "", "", "", "must be a placeholder"},
		{"http://s3cret/x:{env.DCR_TEST_PASSWORD}@proxy.example", "", "", "", "must be http or https"},
		{"http://@proxy.example", "", "", "", "must be http or https"},
		{"http://s3cret:s3cret@proxy.example/s3cret", "", "", "", "must be http or https"},
		{"http://proxy.example/?s3cret", "", "", "", "must be http or https"},
		{"http://proxy.example:0", "", "", "", "must be http or https"},
		{"http://proxy.example:65536", "", "", "", "must be http or https"},
		{"http://", "", "", "", "must be http or https"},
		{"http://:3128", "", "", "", "must be http or https"},
		{"proxy.example:3128", "", "", "", "must be http or https"},
		{"socks5://s3cret.example", "", "", "", "must be http or https"},
		{"", "", "", "", "must be http or https"},
	} {
		p := &ForwardProxy{URL: c.url}
		err := p.provision(caddy.Context{})
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v, want %q", c.url, err, c.want)
			}
		case err != nil:
			t.Errorf("%s: %v", c.url, err)
		case p.proxy.URL.String() != c.at || p.proxy.User != c.user || p.proxy.Password != c.password:
			t.Errorf("%s: got %+v, want %s, %s, %s", c.url, p.proxy, c.at, c.user, c.password)
		case p.URL != c.url:
			t.Errorf("got %s in the configuration, want %s", p.URL, c.url)
		}
	}
}

// TestForwardProxyConfigurations: in JSON nothing loads that does not in a Caddyfile.
func TestForwardProxyConfigurations(t *testing.T) {
	for _, c := range []struct{ workspace, server, statement, want string }{
		{`"proxy":{"url":"http://proxy.example"},`, ``, ``, ""},
		{`"proxy":{"url":"http://gateway:s3cret@proxy.example"},`, ``, ``, "must be a placeholder"},
		{`"proxy":{"url":"http://proxy.example"},`, ``, `,"private_addresses":true`, "private_addresses"},
		{`"proxy":{"url":"http://proxy.example"},`, ``, `,"private_addresses":true,"proxy":{"off":true}`, ""},
		{``, ``, `,"private_addresses":true,"proxy":{"url":"http://proxy.example"}`, "private_addresses"},
		{``, ``, `,"proxy":{"url":"http://proxy.example","off":true}`, "proxy off"},
		{``, ``, `,"proxy":{}`, "must be http or https"},
		{`"proxy":{"off":true},`, ``, ``, "must be left out, because the workspace has no proxy"},
		{``, `,"proxy":{"off":true}`, ``, "authorization_server: proxy off: must be left out, because the workspace's proxy is never used for the authorization server"},
		{`"signed_request_body":{"proxy":{"url":"http://proxy.example"}},`, ``, ``, "signed_request_body: proxy is for jwks_uri"},
		{``, ``, `,"jwks_hosts":["1.2.3.4"],"proxy":{"url":"http://proxy.example"}`, "is an address"},
		{``, `,"proxy":{"url":"http://proxy.example"}`, ``, "port 9443"},
		{`"proxy":{"url":"http://proxy.example","trust_pool":{"provider":"file","pem_files":["x.pem"]}},`, ``, ``, "trust_pool is for an https proxy"},
		{`"proxy":{"url":"https://proxy.example","trust_pool":{"provider":"file","pem_files":["x.pem"]}},`, ``, ``, "x.pem"},
		{`"signed_request_body":{"jwks_uri":"https://keys.example/k","private_addresses":true,"proxy":{"url":"http://proxy.example"}},`, ``, ``, "signed_request_body: private_addresses"},
		{`"proxy":{"url":"http://proxy.example"},"crl":[{"from":["http://crl.example/a.crl"]}],`, ``, ``, "crl: http://crl.example/a.crl: "},
		{`"proxy":{"url":"http://proxy.example"},"crl":[{"from":["https://crl.example/a.crl"],"private_addresses":true}],`, ``, ``, "crl: private_addresses"},
		{`"proxy":{"url":"http://proxy.example"},"crl":[{"from":["http://crl.example/a.crl"],"proxy":{"off":true}},{"from":["https://crl.example/a.crl"]}],`, ``, ``, ""},
		{`"crl":[{"from":["http://crl.example/a.crl"],"proxy":{"url":"http://proxy.example"}}],`, ``, ``, "crl: http://crl.example/a.crl: "},
	} {
		err := validateJSON(t, `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"openbanking_dcr",`+c.workspace+`"workspace":"w",`+
			`"authorization_server":{"url":"https://as.example:9443/w","provision":{"method":"rfc7591"}`+c.server+`},`+
			`"software_statements":[{"issuer":"x","jwks_uri":"https://directory.example/k"`+c.statement+`}]}]}]}}}}}`)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%+v: got %v, want %q, without the password", c, err, c.want)
		}
	}
}

// outside is an https server that is all there is outside, and the forward proxy that
// leads to it as example.com.
type outside struct {
	server *httptest.Server
	proxy  net.Listener
	roots  string

	mu sync.Mutex
	// asked are the tunnels, fetched what the server was asked for.
	asked, fetched []string
	// status is what the proxy answers, 0 for a tunnel.
	status int
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{proxy: l, roots: filepath.Join(t.TempDir(), "roots.pem")}
	o.server = httptest.NewTLSServer(o)
	t.Cleanup(o.server.Close)
	if err := os.WriteFile(o.roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); o.tunnel(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); o.server.CloseClientConnections(); serving.Wait() })
	return o
}

func (o *outside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.fetched = append(o.fetched, strings.Replace(r.Host, o.server.Listener.Addr().String(), "dialled", 1)+r.URL.Path)
	o.mu.Unlock()
	if r.URL.Path == "/w/.well-known/openid-configuration" {
		io.WriteString(w, `{"issuer":"https://bank.example/w","registration_endpoint":"https://bank.example/w/reg"}`)
		return
	}
	unreadable := `{"kid":"unreadable"},`
	if r.URL.Path == "/revoked" { // where it would count
		unreadable = ""
	}
	io.WriteString(w, `{"keys":[`+unreadable+`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`) // RFC 7515 appendix A.3.1
}

func (o *outside) tunnel(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return
	}
	o.mu.Lock()
	o.asked = append(o.asked, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
	status := o.status
	o.mu.Unlock()
	if status != 0 {
		(&http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1}).Write(conn)
		return
	}
	to, err := net.Dial("tcp", o.server.Listener.Addr().String())
	if err != nil {
		return
	}
	io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(conn, to); conn.Close() }()
	io.Copy(to, conn)
	to.Close()
}

// seen are the tunnels and what was fetched, once each, since the last call.
func (o *outside) seen() (asked, fetched []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked = slices.Compact(slices.Sorted(slices.Values(o.asked)))
	fetched = slices.Compact(slices.Sorted(slices.Values(o.fetched)))
	o.asked, o.fetched = nil, nil
	return asked, fetched
}

func (o *outside) answers(status int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.status = status
}

// workspace is one with words for the workspace and in its blocks. Of what has a proxy
// the address is that of example.com, of what has none that of the server.
func (o *outside) workspace(t *testing.T, words map[string]string) *Handler {
	t.Helper()
	of := strings.NewReplacer("PROXY", "proxy http://gateway:{env.DCR_TEST_PROXY}@"+o.proxy.Addr().String())
	block := func(name string) (address, word string) {
		if own := words[name]; name != "as" && own == "" && words["workspace"] != "" || strings.HasPrefix(own, "PROXY") {
			return "https://example.com", of.Replace(own)
		} else if name == "as" {
			return o.server.URL, own
		} else {
			return o.server.URL, "private_addresses\n" + own
		}
	}
	as, asWord := block("as")
	directory, directoryWord := block("directory")
	requests, requestsWord := block("requests")
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(`{
	admin off
	log {
		output discard
	}
}
http://127.0.0.1:0 {
	openbanking_dcr w {
		`+of.Replace(words["workspace"])+`
		authorization_server `+as+`/w {
			provision rfc7591
			trust_pool file `+o.roots+`
			`+asWord+`
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri `+directory+`/directory
			trust_pool file `+o.roots+`
			revoked_keys
			`+directoryWord+`
		}
		signed_request_body jwks_uri `+requests+`/requests {
			trust_pool file `+o.roots+`
			`+requestsWord+`
		}
	}
}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(adapted), "s3cret") {
		t.Errorf("the configuration is %s", adapted)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		t.Fatal(err)
	}
	app, err := ctx.App("openbanking_dcr")
	if err != nil {
		t.Fatal(err)
	}
	h := app.(*App).workspaces[0]
	if strings.Contains(string(h.source), "s3cret") {
		t.Errorf("the configuration is %s", h.source)
	}
	return h
}

// TestForwardProxy: the workspace's proxy is the way to all keys, a directory's to those of
// the directory and of its software, and neither to the AS, which has one of its own.
func TestForwardProxy(t *testing.T) {
	t.Setenv("DCR_TEST_PROXY", "s3cret")
	for _, c := range []struct {
		name                    string
		words                   map[string]string
		as, directory, requests string
	}{
		{"none", nil, "dialled", "dialled", "dialled"},
		{"of the workspace", map[string]string{"workspace": "PROXY"}, "dialled", "example.com", "example.com"},
		{"of the directory", map[string]string{"directory": "PROXY"}, "dialled", "example.com", "dialled"},
		{"of the workspace, not of the directory", map[string]string{"workspace": "PROXY", "directory": "proxy off"}, "dialled", "dialled", "example.com"},
		{"of the requests' keys", map[string]string{"requests": "PROXY"}, "dialled", "dialled", "example.com"},
		{"of the AS", map[string]string{"as": "PROXY"}, "example.com", "dialled", "dialled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOutside(t)
			h := o.workspace(t, c.words)
			issuer := h.rules.Issuers[0]
			told := []prometheus.Counter{leftOutCount.WithLabelValues("software_statement"), leftOutCount.WithLabelValues("signed_request_body")}
			before := []float64{counterValue(t, told[0]), counterValue(t, told[1])}
			origin := o.server.URL
			if c.directory == "example.com" {
				origin = "https://example.com"
			}
			software, err := issuer.SoftwareKeys(origin + "/software")
			if err != nil {
				t.Fatal(err)
			}
			revoked, err := issuer.RevokedKeys(origin + "/revoked")
			if err != nil {
				t.Fatal(err)
			}
			for name, source := range map[string]verify.KeySource{"directory": issuer.Keys, "software": software, "revoked": revoked, "requests": h.rules.Keys} {
				if keys, err := source.Keys(t.Context()); err != nil || len(keys) != 1 {
					t.Errorf("%s: got %d keys, %v, want 1", name, len(keys), err)
				}
			}
			for i, want := range []float64{2, 1} { // of the directory and of its software
				if n := counterValue(t, told[i]) - before[i]; n != want {
					t.Errorf("told of %v keys that do not count, want %v", n, want)
				}
			}
			if _, err := h.as.Metadata(t.Context()); err != nil {
				t.Errorf("the AS: %v", err)
			}
			want := []string{c.as + "/w/.well-known/openid-configuration", c.directory + "/directory", c.directory + "/software", c.directory + "/revoked", c.requests + "/requests"}
			slices.Sort(want)
			asked, fetched := o.seen()
			if !slices.Equal(fetched, want) {
				t.Errorf("fetched %q, want %q", fetched, want)
			}
			if c.words == nil != (len(asked) == 0) || len(asked) > 0 && !slices.Equal(asked, []string{"CONNECT example.com:443 Basic Z2F0ZXdheTpzM2NyZXQ="}) {
				t.Errorf("the proxy was asked for %q", asked)
			}
		})
	}
}

// TestHostsThroughProxy: the proxy is asked for jwks_hosts, and for the servers of CRLs.
func TestHostsThroughProxy(t *testing.T) {
	t.Setenv("DCR_TEST_PROXY", "s3cret")
	o := newOutside(t)
	h := o.workspace(t, map[string]string{"workspace": "PROXY\n\t\tcrl https://crl.example/a.crl", "directory": "PROXY\n\t\t\tjwks_hosts keys.example"})
	software, err := h.rules.Issuers[0].SoftwareKeys("https://keys.example/software")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := software.Keys(t.Context()); err == nil { // the certificate is that of example.com
		t.Errorf("got %v", keys)
	}
	h.crls.Ready(t.Context())
	asked, _ := o.seen()
	for _, host := range []string{"crl.example", "keys.example"} {
		if want := "CONNECT " + host + ":443 Basic Z2F0ZXdheTpzM2NyZXQ="; !slices.Contains(asked, want) {
			t.Errorf("the proxy was asked for %q, want %q", asked, want)
		}
	}
}

// TestChecksThroughProxy: what is tried at the start goes the same way, and tells the proxy
// from the server, with a cure for each.
func TestChecksThroughProxy(t *testing.T) {
	t.Setenv("DCR_TEST_PROXY", "s3cret")
	o := newOutside(t)
	for _, c := range []struct {
		name   string
		change func(*SoftwareStatement)
		status int
		error  string
		cure   string
	}{
		{"all right", nil, 0, "", ""},
		{"credentials", nil, 407, "answered 407 Proxy Authentication Required to CONNECT example.com:443", "correct the credentials in proxy"},
		{"refused there", nil, 403, "answered 403 Forbidden", "let the proxy make tunnels (CONNECT) to example.com:443"},
		{"not reached from there", nil, 502, "answered 502 Bad Gateway", "let the proxy reach example.com:443"},
		{"too slow there", nil, 504, "answered 504", "let the proxy reach example.com:443"},
		{"another CA", func(s *SoftwareStatement) {
			s.keys.client = jwks.NewClient((&ForwardProxy{proxy: &jwks.Proxy{URL: s.Proxy.proxy.URL}}).options(jwks.Options{}, "example.com"))
		}, 0, "signed by unknown authority", "have the proxy pass TLS to this host through"},
		{"another host", func(s *SoftwareStatement) { s.keys.url = "https://other.example/keys" }, 0, "host other.example is not allowed", "a proxy is asked for host names at port 443 alone"},
		{"another port", func(s *SoftwareStatement) { s.keys.url = "https://example.com:8443/keys" }, 0, "port 8443, only 443", "a proxy is asked for host names at port 443 alone"},
		{"no TLS at the proxy", func(s *SoftwareStatement) { s.Proxy.proxy.URL.Scheme = "https" }, 0, "the proxy https://127.0.0.1", "it does not speak TLS"},
		{"nobody there", func(*SoftwareStatement) { o.proxy.Close() }, 0, "connection refused", "start the proxy"},
	} {
		h := o.workspace(t, map[string]string{"directory": "PROXY"})
		s := h.SoftwareStatements[0]
		if c.change != nil {
			c.change(s)
		}
		o.answers(c.status)
		p := newProbing(t, s.keys.probe("WORD"))
		p.runs(1)
		text := p.log.String()
		if c.error == "" && text != "" || !strings.Contains(text, c.error) || !strings.Contains(text, c.cure) {
			t.Errorf("%s: logged %s, want %q and %q", c.name, text, c.error, c.cure)
		}
		if strings.Contains(text, "s3cret") || strings.Contains(text, "Z2F0ZXdheTpzM2NyZXQ") {
			t.Errorf("%s: logged %s", c.name, text)
		}
	}
}

// TestProxyCure: the log of a request that was answered with 503, or refused for where its
// keys are, has the cure, without the credentials.
func TestProxyCure(t *testing.T) {
	t.Setenv("DCR_TEST_PROXY", "s3cret")
	o := newOutside(t)
	o.answers(407)
	issuer := o.workspace(t, map[string]string{"directory": "PROXY"}).rules.Issuers[0]
	_, failed := issuer.Keys.Keys(t.Context())
	_, refused := issuer.SoftwareKeys("https://example.com:8443/software")
	for cause, want := range map[error]string{failed: "correct the credentials in proxy", refused: "a proxy is asked for host names", errors.New("another"): ""} {
		if cure := proxyCure(cause); !strings.HasPrefix(cure, want) || (want == "") != (cure == "") || strings.Contains(cure+cause.Error(), "s3cret") {
			t.Errorf("%v: %q, want %q", cause, cure, want)
		}
	}
}
