package gateway

import (
	"cmp"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// tokenAS is an AS whose introspection says of each token what is set. A token of which
// nothing is said is the client "elsewhere"'s.
type tokenAS struct {
	*authserver.Server
	says  map[string]string
	asked atomic.Int32
	down  atomic.Bool
	// before is called before an answer to an introspection. Default: nothing is.
	before func()
	// unasked: its discovery document names no introspection endpoint.
	unasked bool
	// binds: it says that it binds tokens to certificates itself.
	binds atomic.Bool
}

func newTokenAS(t *testing.T, g *Gateway, change func(*tokenAS)) *tokenAS {
	t.Helper()
	as := &tokenAS{says: map[string]string{}}
	if change != nil {
		change(as)
	}
	https := httptest.NewTLSServer(as)
	t.Cleanup(https.Close)
	roots := x509.NewCertPool()
	roots.AddCert(https.Certificate())
	var err error
	as.Server, err = authserver.New(authserver.Options{
		URL: https.URL + "/default/obuk", Client: jwks.NewClient(jwks.Options{Roots: roots, PrivateRanges: true}), ClientID: "gateway", ClientSecret: "s",
		Supported: verify.DefaultSupportedMetadata(), Now: g.now, Logger: g.log, BindsTokens: g.options.BindAccessTokens,
	})
	if err != nil {
		t.Fatal(err)
	}
	return as
}

func (as *tokenAS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		document := `{"issuer":"https://bank.example/default/obuk","authorization_endpoint":"https://bank.example/default/obuk/auth","userinfo_endpoint":"https://bank.example/default/obuk/me",` +
			`"end_session_endpoint":"https://bank.example/default/obuk/out","credential_endpoint":"https://bank.example/default/obuk/credential","token_endpoint":"https://bank.example/default/obuk/token"`
		if !as.unasked {
			document += `,"introspection_endpoint":"https://bank.example/default/obuk/introspect"`
		}
		if as.binds.Load() {
			document += `,"tls_client_certificate_bound_access_tokens":true`
		}
		_, _ = io.WriteString(w, document+"}")
	case as.down.Load():
		w.WriteHeader(http.StatusInternalServerError)
	default:
		as.asked.Add(1)
		if as.before != nil {
			as.before()
		}
		answer, ok := as.says[r.FormValue("token")]
		if !ok {
			answer = `{"active":true,"client_id":"elsewhere"}`
		}
		_, _ = io.WriteString(w, answer)
	}
}

// whole is a handler before an AS, asked as the server would.
type whole struct {
	*guarding
	as     *tokenAS
	log    *strings.Builder
	passed *http.Request
	body   string
	answer int    // the AS's. Default: 200
	says   string // the AS's body. Default: "of the AS"
}

func newWhole(t *testing.T, change func(*tokenAS)) *whole {
	t.Helper()
	g := newGuarding(t, leaf(t, "tpp", time.Now().Add(time.Hour)).RawSubject)
	w := &whole{guarding: g, log: &strings.Builder{}}
	g.Gateway.log = slog.New(slog.NewTextHandler(w.log, nil))
	g.table.Store(nil)
	w.as = newTokenAS(t, g.Gateway, change)
	g.options.Server, g.options.Workspace.Provisioner = w.as.Server, w.as.Server
	return w
}

// serve sends a request through ServeHTTP; what went on is in passed and body.
func (w *whole) serve(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	w.passed, w.body = nil, ""
	w.next = http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
		}
		w.passed, w.body = r, string(body)
		answer.WriteHeader(cmp.Or(w.answer, http.StatusOK))
		if w.answer != http.StatusNoContent {
			_, _ = io.WriteString(answer, cmp.Or(w.says, "of the AS"))
		}
	})
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, ofHost(r))
	return answer
}

func (w *whole) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *whole) of(kind, value string) registry.Suspension {
	return registry.Suspension{Workspace: w.ws.Name, Kind: kind, Value: value}
}
