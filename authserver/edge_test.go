package authserver_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/tlstest"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// secret is in everything that no error text and no log line may hold.
const secret = "SECRET"

const (
	gatewaySecret     = "SECRET-gateway: +/"
	registrarSecret   = "SECRET-registrar"
	initialToken      = "SECRET-initial"
	accessToken       = "SECRET-access"
	registrationToken = "SECRET-registration"
)

const (
	issuer     = "https://bank.example/as"
	discovery  = "GET /as/.well-known/openid-configuration"
	older      = "GET /as/.well-known/oauth-authorization-server"
	register   = "POST /as/reg?kind=tpp"
	introspect = "POST /as/introspect"
	revoke     = "POST /as/revoke"
)

// edge is the network edge of an AS: what it answers is set, what it is asked is
// kept. The AS itself is not here; the real ones are in integration.
type edge struct {
	*authserver.Server
	t     *testing.T
	https *httptest.Server
	log   *lines

	mu       sync.Mutex
	now      time.Time
	answers  map[string][]http.HandlerFunc
	requests []exchange
}

// exchange is a request that the edge saw.
type exchange struct {
	call   string // "POST /path?query"
	header http.Header
	body   string
}

// newEdge starts an edge with a discovery document, and the Server that is
// tested before it.
func newEdge(t *testing.T, change func(*edge, *authserver.Options)) *edge {
	t.Helper()
	e := &edge{t: t, log: &lines{}, now: time.Unix(1_800_000_000, 0), answers: map[string][]http.HandlerFunc{}}
	e.https = httptest.NewUnstartedServer(e)
	e.https.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.https.TLS = tlstest.ServerConfig(t)
	e.https.StartTLS()
	t.Cleanup(func() {
		e.https.Close()
		e.tellsNoSecret("the log", e.log.String())
	})
	e.on(discovery, answer(http.StatusOK, e.document()))
	options := authserver.Options{
		URL: e.https.URL + "/as", Client: e.client(5 * time.Second),
		ClientID: "gateway", ClientSecret: gatewaySecret, RegistrarID: "registrar", RegistrarSecret: registrarSecret,
		InitialAccessToken: initialToken, ClientIDHeader: "X-Client-Id",
		Supported: verify.DefaultSupportedMetadata(), Now: e.clock,
		Logger: slog.New(slog.NewTextHandler(e.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(e, &options)
	}
	var err error
	if e.Server, err = authserver.New(options); err != nil {
		t.Fatal(err)
	}
	return e
}

// client trusts the edge.
func (e *edge) client(timeout time.Duration) *jwks.Client {
	roots := x509.NewCertPool()
	roots.AddCert(e.https.Certificate())
	return jwks.NewClient(jwks.Options{Roots: roots, PrivateRanges: true, Timeout: timeout})
}

// document is a discovery document; changes are names and JSON texts in turn, an
// empty text removes the member. {as} is the origin of the edge.
func (e *edge) document(changes ...string) string {
	return strings.ReplaceAll(changed(e.t, `{
		"issuer": "https://bank.example/as",
		"authorization_endpoint": "https://bank.example/as/auth",
		"token_endpoint": "https://bank.example/as/token",
		"jwks_uri": "https://bank.example/as/jwks",
		"registration_endpoint": "{as}/as/reg?kind=tpp",
		"introspection_endpoint": "https://bank.example/as/introspect",
		"revocation_endpoint": "https://bank.example/as/revoke",
		"token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt", "tls_client_auth"],
		"tls_client_certificate_bound_access_tokens": true
	}`, changes...), "{as}", e.https.URL)
}

// changed is a JSON object with changes as in document.
func changed(t *testing.T, object string, changes ...string) string {
	t.Helper()
	o, err := strictjson.Parse([]byte(object))
	if err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	for i := 0; i < len(changes); i += 2 {
		if o = o.Without(changes[i]); changes[i+1] != "" {
			o = o.With(changes[i], []byte(changes[i+1]))
		}
	}
	return string(o.AppendJSON(nil))
}

// on sets the answers to a call: one after the other, the last for ever.
func (e *edge) on(call string, handlers ...http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers[call] = handlers
}

// ServeHTTP answers what nobody set with 404.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	call := r.Method + " " + r.URL.RequestURI()
	e.mu.Lock()
	e.requests = append(e.requests, exchange{call, r.Header.Clone(), string(body)})
	handler := http.NotFound
	if handlers := e.answers[call]; len(handlers) > 0 {
		handler = handlers[0]
		e.answers[call] = handlers[min(1, len(handlers)-1):]
	}
	e.mu.Unlock()
	handler(w, r)
}

func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// dropped closes the connection in place of an answer.
func dropped(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// to are the exchanges of one call.
func (e *edge) to(call string) []exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []exchange
	for _, x := range e.requests {
		if x.call == call {
			out = append(out, x)
		}
	}
	return out
}

// only is the one exchange of a call.
func (e *edge) only(call string) exchange {
	e.t.Helper()
	all := e.to(call)
	if len(all) != 1 {
		e.t.Fatalf("%d times %s, want once", len(all), call)
	}
	return all[0]
}

func (e *edge) clock() time.Time { e.mu.Lock(); defer e.mu.Unlock(); return e.now }

func (e *edge) later(d time.Duration) { e.mu.Lock(); defer e.mu.Unlock(); e.now = e.now.Add(d) }

// refused checks an error's kind, and that its text tells no secret.
func (e *edge) refused(err error, kind refusal.Kind) *refusal.Error {
	e.t.Helper()
	var refused *refusal.Error
	if !errors.As(err, &refused) {
		e.t.Fatalf("error %v, want one of package verify", err)
	}
	if refused.Kind != kind {
		e.t.Errorf("%s, want kind %d", err, kind)
	}
	e.tellsNoSecret("an error", err.Error())
	return refused
}

func (e *edge) tellsNoSecret(what, text string) {
	e.t.Helper()
	if strings.Contains(text, secret) {
		e.t.Errorf("%s tells a secret: %s", what, text)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(b) }

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }

func quoted(t *testing.T, s string) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
