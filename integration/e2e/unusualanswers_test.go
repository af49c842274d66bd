package e2e_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// oddAnswers is a server behind the site's reverse_proxy that answers as the request's
// header X-Odd says, in every way that an authorization server may not mean to.
type oddAnswers struct {
	*httptest.Server
	// ended counts the answers without an end that were stopped.
	ended chan struct{}
}

// newOddAnswers speaks HTTP/1.1 alone: where an answer ends in the middle over HTTP/2, the
// race detector finds Caddy's proxy 2.11.9 reading and writing one flag of the request's
// body (bodyNopCloserIfNotRead).
func newOddAnswers(t *testing.T) *oddAnswers {
	t.Helper()
	o := &oddAnswers{ended: make(chan struct{}, 16)}
	o.Server = httptest.NewUnstartedServer(o)
	o.StartTLS()
	t.Cleanup(o.Close)
	return o
}

func (o *oddAnswers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-As", "of the AS")
	status, how, _ := strings.Cut(r.Header.Get("X-Odd"), " ")
	code, _ := strconv.Atoi(status)
	const active = `{"active":true,"client_id":"elsewhere"}`
	switch how {
	case "large":
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"active":true,"x":"`+strings.Repeat("x", 300<<10)+`"}`)
	case "endless":
		w.WriteHeader(code)
		for _, err := io.WriteString(w, `{"active":true,"x":"`); err == nil && r.Context().Err() == nil; {
			_, err = io.WriteString(w, strings.Repeat("x", 32<<10))
		}
		o.ended <- struct{}{}
	case "broken", "broken without a length":
		if how == "broken" {
			header.Set("Content-Length", "1000")
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, active)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "hints":
		header.Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		header.Del("Link")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, active)
	case "trailers", "trailers that were not announced":
		header.Set("Trailer", "X-Late")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, active)
		_ = http.NewResponseController(w).Flush()
		header.Set("X-Late", "late")
		if how != "trailers" {
			header.Set(http.TrailerPrefix+"X-Later", "later")
		}
	case "flushed":
		w.WriteHeader(code)
		for part := range strings.SplitSeq(active, ",") {
			_ = http.NewResponseController(w).Flush()
			if strings.HasPrefix(part, `"`) {
				part = "," + part
			}
			_, _ = io.WriteString(w, part)
		}
	case "switched":
		o.switchProtocols(w)
	default:
		w.WriteHeader(code)
		_, _ = io.WriteString(w, active)
	}
}

// switchProtocols echoes what comes after an upgrade.
func (o *oddAnswers) switchProtocols(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nX-As: of the AS\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	_ = rw.Flush()
	_, _ = io.Copy(conn, rw)
}

// before puts the server before the AS for requests with X-Odd.
func (o *oddAnswers) before(t *testing.T) gateway.Edit {
	t.Helper()
	roots := filepath.Join(t.TempDir(), "odd.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return gateway.At("reverse_proxy").Before("header Strict-Transport-Security max-age=63072000", "@odd header X-Odd *",
		"reverse_proxy @odd "+o.URL+" {", "\ttransport http {", "\t\ttls_trust_pool file "+roots, "\t}", "}")
}

// odd is one request that is answered oddly, and what its sender is to get.
type odd struct {
	how    string
	status int
	body   string // begins so; "" for any
}

// unavailableBody are the first bytes of the gateway's own refusal.
const unavailableBody = `{"error":"temporarily_unavailable",`

// ask sends it with a client, and holds the answer.
func (c odd) ask(t *testing.T, client *http.Client, endpoint, form, token string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Odd", c.how)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(r)
	if err != nil {
		t.Errorf("%s: no answer: %v", c.how, err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != c.status || !strings.HasPrefix(string(body), c.body) {
		t.Errorf("%s: %d %.100q, %v, want %d %s", c.how, res.StatusCode, body, err, c.status, c.body)
		return
	}
	own := strings.HasPrefix(string(body), `{"error":`) && res.Header.Get("x-fapi-interaction-id") != ""
	if hsts := res.Header["Strict-Transport-Security"]; len(hsts) != 1 || hsts[0] != "max-age=63072000" {
		t.Errorf("%s: Strict-Transport-Security is %q: what earlier handlers of the site have set is gone, want one", c.how, hsts)
	}
	if own && (res.Header.Get("X-As") != "" || res.StatusCode == 503 && res.Header.Get("Retry-After") == "") {
		t.Errorf("%s: the gateway's refusal has %v", c.how, res.Header)
	}
	if !own && res.Header.Get("X-As") != "of the AS" {
		t.Errorf("%s: the AS's answer has %v", c.how, res.Header)
	}
	if late := res.Header.Get("X-Late") + res.Header.Get("X-Later"); late != "" {
		t.Errorf("%s: a trailer is a header field: %v", c.how, res.Header)
	}
}

// stopped waits until a server's answer without an end was stopped.
func (o *oddAnswers) stopped(t *testing.T) {
	t.Helper()
	select {
	case <-o.ended:
	case <-time.After(10 * time.Second):
		t.Error("the answer without an end goes on 10 s after the refusal")
	}
}

// TestUnreadableIntrospectionAnswersAreRefused: what the gateway cannot read whole it refuses, over every
// HTTP, and the site's own header fields stay.
func TestUnreadableIntrospectionAnswersAreRefused(t *testing.T) {
	t.Parallel()
	o := newOddAnswers(t)
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{o.before(t)}}))
	for _, protocol := range protocols {
		client, end := protocol.client(&tls.Config{RootCAs: p.Directory.Roots()})
		for _, c := range []odd{
			{"200 whole", 200, `{"active":true`},
			{"200 large", 503, unavailableBody},
			{"200 endless", 503, unavailableBody},
			{"200 broken", 503, unavailableBody},
			{"200 broken without a length", 503, unavailableBody},
			{"500 broken", 503, unavailableBody},
			{"200 hints", 200, `{"active":true`},
			{"200 trailers", 200, `{"active":true`},
			{"200 trailers that were not announced", 200, `{"active":true`},
			{"200 flushed", 200, `{"active":true,"client_id":"elsewhere"}`},
			{"401 whole", 401, `{"active":true`},
			{"304 whole", 304, ""},
		} {
			t.Run(protocol.name+"/"+c.how, func(t *testing.T) {
				c.ask(t, client, p.Endpoint("introspection_endpoint"), "token=x", "")
				if c.how == "200 endless" {
					o.stopped(t)
				}
			})
		}
		end()
	}
	says(t, p.Gateway, "is larger than the 262144 bytes that are read", "broke off")
	// Userinfo, for a token that the AS calls inactive.
	client, end := protocols[0].client(&tls.Config{RootCAs: p.Directory.Roots()})
	defer end()
	for _, c := range []odd{
		{"401 whole", 401, `{"active":true`}, {"401 large", 503, unavailableBody}, {"401 broken", 503, unavailableBody}, {"200 large", 503, unavailableBody}, {"200 whole", 401, `{"error":"invalid_token"`},
	} {
		c.ask(t, client, p.Endpoint("userinfo_endpoint"), "", "inactive")
	}
}

// TestUnreadableTokenAnswersAreRefused is the same where the gateway binds the tokens of the answer.
func TestUnreadableTokenAnswersAreRefused(t *testing.T) {
	t.Parallel()
	o := newOddAnswers(t)
	s := open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{
		bridge, gateway.At("token_endpoint_auth").Add("bind_access_tokens"), o.before(t),
	}})
	unbound := map[string]any{"tls_client_certificate_bound_access_tokens": false}
	if err := s.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: "openid-configuration", After: true, Times: -1, Set: unbound}); err != nil {
		t.Fatal(err)
	}
	p := learn(t, s)
	form := "grant_type=client_credentials&client_id=" + registers(t, p, p.Client(p.Acme), nil).Text("client_id")
	client, end := protocols[1].client(&tls.Config{RootCAs: p.Directory.Roots(), Certificates: []tls.Certificate{p.Acme.Transport}})
	defer end()
	for _, c := range []odd{
		{"200 whole", 200, `{"active":true`},
		{"200 large", 503, unavailableBody},
		{"200 endless", 503, unavailableBody},
		{"200 broken", 503, unavailableBody},
		{"400 large", 503, unavailableBody},
		{"200 trailers", 200, `{"active":true`},
		{"200 hints", 200, `{"active":true`},
		{"401 large", 503, unavailableBody},
		{"401 endless", 503, unavailableBody},
		{"401 broken", 503, unavailableBody},
		{"403 whole", 403, `{"active":true`},
	} {
		t.Run(c.how, func(t *testing.T) {
			c.ask(t, client, p.Endpoint("token_endpoint"), form, "")
			if strings.HasSuffix(c.how, "endless") {
				o.stopped(t)
			}
		})
	}
}

// TestBridgeWithholdsAnswersAboutItsSecret: what may be about the secret is held back, as much of it as is
// looked at; everything else passes as it comes.
func TestBridgeWithholdsAnswersAboutItsSecret(t *testing.T) {
	t.Parallel()
	o := newOddAnswers(t)
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{bridge, o.before(t)}}))
	id := registers(t, p, p.Client(p.Acme), nil).Text("client_id")
	form := "grant_type=client_credentials&client_id=" + id
	for _, protocol := range protocols {
		client, end := protocol.client(&tls.Config{RootCAs: p.Directory.Roots(), Certificates: []tls.Certificate{p.Acme.Transport}})
		for _, c := range []odd{
			{"200 whole", 200, `{"active":true`},
			{"200 large", 200, `{"active":true`},
			{"200 hints", 200, `{"active":true`},
			{"200 trailers", 200, `{"active":true`},
			{"200 trailers that were not announced", 200, `{"active":true`},
			{"200 flushed", 200, `{"active":true,"client_id":"elsewhere"}`},
			{"401 whole", 503, unavailableBody},
			{"401 large", 503, unavailableBody},
			{"401 endless", 503, unavailableBody},
			{"401 broken", 503, unavailableBody},
			{"401 hints", 503, unavailableBody},
			{"403 whole", 403, `{"active":true`},
			{"403 large", 403, `{"active":true`},
			{"403 broken", 503, unavailableBody},
			{"403 trailers", 403, `{"active":true`},
		} {
			t.Run(protocol.name+"/"+c.how, func(t *testing.T) {
				c.ask(t, client, p.Endpoint("token_endpoint"), form, "")
				if c.how == "401 endless" {
					o.stopped(t)
				}
			})
		}
		end()
	}
}

// TestUpgradedConnections: a web socket of a path that is nobody's passes; where the
// gateway must read the answer there is none.
func TestUpgradedConnections(t *testing.T) {
	t.Parallel()
	o := newOddAnswers(t)
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: []gateway.Edit{o.before(t)}}))
	for _, c := range []struct {
		method, url, body string
		status            int
	}{
		{"GET", p.Issuer + "/socket", "", 101},
		{"POST", p.Endpoint("introspection_endpoint"), "token=x", 503},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: p.Directory.Roots()}}).DialContext(t.Context(), "tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(rawTimeout)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Odd: 101 switched\r\n"+
			"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", c.method, u.Path, u.Host, len(c.body), c.body)
		from := bufio.NewReader(conn)
		res, err := http.ReadResponse(from, &http.Request{Method: c.method})
		if err != nil || res.StatusCode != c.status {
			t.Fatalf("%s: %v, %v, want %d", c.url, res, err, c.status)
		}
		if c.status != http.StatusSwitchingProtocols {
			body, err := io.ReadAll(res.Body)
			if err != nil || !strings.HasPrefix(string(body), unavailableBody) || res.Header.Get("X-As")+res.Header.Get("Upgrade") != "" {
				t.Errorf("%s: got %v %s, %v, want %s, and no header field of the AS", c.url, res.Header, body, err, unavailableBody)
			}
			continue
		}
		if got, err := echoed(conn, from, "ping"); err != nil || got != "ping" {
			t.Errorf("%s: after the upgrade: got %q, %v, want ping", c.url, got, err)
		}
	}
}

// echoed is what comes back of text.
func echoed(conn net.Conn, from io.Reader, text string) (string, error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	got := make([]byte, len(text))
	_, err := io.ReadFull(from, got)
	return string(got), err
}
