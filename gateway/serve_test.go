package gateway

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestCheckHost: a document that software would not find, or not believe, where it
// is asked for is warned of once, and one that is in its place never.
func TestCheckHost(t *testing.T) {
	for _, c := range []struct {
		issuer, mtls string
		hosts        string // those that ask, in turn
		warnings     int
	}{
		{"https://auth.bank.example/default/obuk", "", "auth.bank.example AUTH.Bank.example auth.bank.example:443", 0},
		{"https://auth.bank.example:443/default/obuk", "", "auth.bank.example auth.bank.example:443", 0},
		{"https://auth.bank.example:8443", "", "auth.bank.example:8443", 0},
		{"https://auth.bank.example", "https://mtls.bank.example", "auth.bank.example mtls.bank.example mtls.bank.example:443", 0},
		{"https://auth.bank.example", "", "auth.bank.example:8443 auth.bank.example:8443", 1},
		{"https://as.internal:9443/default/obuk", "", "auth.bank.example auth.bank.example x", 1},
		{"https://auth.bank.example", "https://mtls.bank.example", "other.bank.example", 1},
	} {
		var log strings.Builder
		g := &Gateway{options: Options{MTLSOrigin: c.mtls}, log: slog.New(slog.NewTextHandler(&log, nil))}
		table := &table{metadata: &authserver.Metadata{Issuer: c.issuer}}
		for host := range strings.FieldsSeq(c.hosts) {
			g.checkHost(table, host)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != c.warnings {
			t.Errorf("issuer %s asked for at %s: %d warnings\n%s", c.issuer, c.hosts, n, &log)
		}
	}
}

// TestRegistryNotReachable: without the registry every registration call, and the
// token endpoint for whoever may be a client of it, is 503 with Retry-After, and
// the reason is for the log.
func TestRegistryNotReachable(t *testing.T) {
	var log strings.Builder
	g := newGuarding(t, nil)
	g.options.Stores, g.Gateway.log = brokenStore{errors.New("disk is full at /var/lib")}, slog.New(slog.NewTextHandler(&log, nil))
	passed := false
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true })
	for _, c := range []struct{ method, id, body string }{
		{"POST", "", "x"}, {"GET", "id", ""}, {"PUT", "id", "x"}, {"DELETE", "id", ""}, {"POST", "guarded", "client_id=id"},
	} {
		log.Reset()
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if c.id == "guarded" {
			g.newRequest(w, r, g.table.Load(), clientAuthentication).serveGuarded(next)
		} else {
			g.newRequest(w, r, g.table.Load(), registration).serveRegistration(c.id)
		}
		if w.Code != 503 || w.Header().Get("Retry-After") != "5" || !strings.HasPrefix(w.Body.String(), `{"error":"temporarily_unavailable",`) {
			t.Errorf("%s %s: %d %v %s, want 503 temporarily_unavailable with Retry-After 5", c.method, c.id, w.Code, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "disk") || !strings.Contains(log.String(), "disk is full") {
			t.Errorf("%s %s: answered %s, logged %s", c.method, c.id, w.Body, &log)
		}
	}
	if passed {
		t.Error("the authorization server was asked")
	}
}

// brokenStore cannot be opened.
type brokenStore struct{ err error }

func (s brokenStore) Enter() (*registry.Registry, error)  { return nil, s.err }
func (brokenStore) EnterOpen() (*registry.Registry, bool) { return nil, false }
func (brokenStore) Leave()                                {}

// changing is a body that calls changed before it is read.
type changing struct {
	io.Reader
	changed func()
}

func (c *changing) Read(p []byte) (int, error) {
	c.changed()
	return c.Reader.Read(p)
}

// TestOneDocumentForARequest: a document that becomes known while the body of a request
// is on its way counts from the next request on.
func TestOneDocumentForARequest(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	g := newGuarding(t, tpp.RawSubject)
	g.options.BindAccessTokens = true
	at := time.Now() // the clock of the AS's connector
	g.options.Now = func() time.Time { return at }
	g.table.Store(nil)
	as := newTokenAS(t, g.Gateway, nil)
	g.options.Server = as.Server
	changed := func() {
		if as.binds.Swap(true) {
			return
		}
		at = at.Add(10 * time.Minute)
		before, err := as.Metadata(t.Context()) // is fetched again in the background
		if err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "the new discovery document", func() bool {
			now, err := as.Metadata(t.Context())
			return err == nil && now != before
		})
		if _, err := g.current(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	g.next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"`+strings.Repeat("t", 40)+`","expires_in":600}`)
	})
	w, r := httptest.NewRecorder(), ofHost(presenting(tpp, ""))
	r.Header.Set("Content-Type", formType)
	r.URL.Path, r.Body, r.ContentLength = "/default/obuk/token", io.NopCloser(&changing{strings.NewReader("client_id=client"), changed}), int64(len("client_id=client"))
	if g.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Fatalf("%d %s, want 200", w.Code, w.Body)
	}
	bound, err := g.store.TokenBinding(t.Context(), g.ws.Name, &verify.AccessToken{Raw: strings.Repeat("t", 40)})
	if err != nil || bound == "" {
		t.Errorf("the request began when the gateway bound tokens, and its token is bound to %q, %v", bound, err)
	}
	// The connector to the AS sees the request's document too, and no other one's.
	other := &authserver.Metadata{}
	if m, err := as.Metadata(g.newRequest(nil, r, &table{metadata: other}, endpoint)); err != nil || m != other {
		t.Errorf("the connector sees another document: %v", err)
	}
	if m, err := newTokenAS(t, g.Gateway, nil).Metadata(g.newRequest(nil, r, &table{metadata: other}, endpoint)); err != nil || m == other {
		t.Errorf("another server's connector sees this one's document: %v", err)
	}
	if g.table.Load().metadata.GatewayBindsTokens() {
		t.Error("the next request does not see the new document")
	}
}
