package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// guarding is a gateway with two clients of tls_client_auth, client and other.
type guarding struct {
	*Gateway
	t     testing.TB
	host  *fakeHost
	store *registry.Registry
	ws    registry.Workspace
}

func newGuarding(t *testing.T, subject []byte) *guarding {
	t.Helper()
	keyset, _, err := registry.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	store, err := registry.Open(t.Context(), registry.Options{Store: memory.Open(memory.Options{}), Sealer: keyset})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &guarding{t: t, host: new(fakeHost), store: store, ws: registry.Workspace{Name: "default/obuk", Provisioner: &namer{ids: []string{"client", "other"}}}}
	g.Gateway, err = New(Options{
		Workspace: g.ws, Stores: heldStore{store}, Headers: new(HeaderFilter), Host: g.host,
		Log: slog.New(slog.DiscardHandler), Now: time.Now, IssuerPath: "/default/obuk", RegisterPath: "/default/obuk/register", Methods: []string{"GET", "PUT", "DELETE"},
		NeedsCertificate: true, NeedsToken: true, NeedsEndpointCertificate: true, TokenLifetime: verify.DefaultTokenLifetime,
		KnownClient: func(string) bool { return false },
	}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	g.table.Store(&table{metadata: new(authserver.Metadata)})
	for _, jti := range []string{"1", "2"} {
		_, err := store.Register(t.Context(), g.ws, registry.Registration{
			Request: &verify.Request{Raw: []byte("x"), Issuer: jti, JTI: jti, Expires: time.Now().Add(time.Hour), Statement: &verify.SoftwareStatement{SoftwareID: jti, OrgID: "org", Issuer: &verify.Issuer{Name: "OpenBanking Ltd"}}},
			Checked: &verify.Checked{RawSubject: subject, Metadata: verify.Metadata{TokenEndpointAuthMethod: "tls_client_auth"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// leaf is a certificate as the TLS layer has verified it.
func leaf(t testing.TB, cn string, until time.Time) *x509.Certificate {
	t.Helper()
	subject, err := asn1.Marshal(pkix.Name{CommonName: cn}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{Raw: []byte("certificate of " + cn), RawSubject: subject, NotBefore: time.Now().Add(-time.Hour), NotAfter: until}
}

// at is a request as the gateway has it, to an address of one purpose.
func (g *guarding) at(w http.ResponseWriter, r *http.Request, what purpose) *request {
	g.t.Helper()
	q := g.newRequest(w, r, g.table.Load(), what)
	if _, err := q.enter(); err != nil {
		g.t.Fatal(err)
	}
	return q
}

// registering is a request to the registration endpoint, as the gateway has it.
func (g *guarding) registering(r *http.Request) *registrationRequest {
	return g.at(httptest.NewRecorder(), r, registrations).registrationRequest()
}

// ask sends a request and returns the status; 200 is the AS's.
func (g *guarding) ask(leaf *x509.Certificate, at purpose, form string) int {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", "/token", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if leaf != nil {
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	}
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) })
	g.at(w, r, at).serveGuarded(next)
	return w.Code
}

// TestCachedPermissionFollowsTheClient: a request that was let through before is let through for what it was,
// and for as long as the client may do what it asked.
func TestCachedPermissionFollowsTheClient(t *testing.T) {
	until := time.Now().Add(time.Hour)
	tpp, stranger := leaf(t, "tpp", until), leaf(t, "stranger", until)
	g := newGuarding(t, tpp.RawSubject)
	wants := func(what string, status int, leaf *x509.Certificate, at purpose, form string) {
		t.Helper()
		for range 2 {
			if got := g.ask(leaf, at, form); got != status {
				t.Errorf("%s: %d, want %d", what, got, status)
			}
		}
	}
	of := func(kind, value string) registry.Suspension {
		return registry.Suspension{Workspace: g.ws.Name, Kind: kind, Value: value}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	all := func(what string, status int) {
		t.Helper()
		wants(what, status, tpp, clientAuthentication, "client_id=client")
		wants(what+", revocation", 200, tpp, revocation, "client_id=client")
		wants(what+", another client", 200, tpp, clientAuthentication, "client_id=other")
		wants(what+", a stranger", 401, stranger, clientAuthentication, "client_id=client")
		wants(what+", no certificate", 401, nil, clientAuthentication, "client_id=client")
		wants(what+", a secret", 401, tpp, clientAuthentication, "client_id=client&client_secret=x")
		wants(what+", two clients", 401, tpp, clientAuthentication, "client_id=client&client_id=other")
	}
	all("at first", 200)
	wants("a null byte", 400, tpp, clientAuthentication, "client_id=client&x=%00")
	wants("an id in several spellings", 401, tpp, clientAuthentication, "client_id=CLIENT")
	for _, s := range []registry.Suspension{of(registry.SuspendClient, "client"), of(registry.SuspendSoftware, "1")} {
		must(g.store.Suspend(t.Context(), s))
		all("suspended by "+s.Kind, 401)
		must(g.store.Resume(t.Context(), s))
		all("resumed", 200)
	}
	tpp.NotAfter = time.Now().Add(-time.Minute)
	wants("expired", 401, tpp, clientAuthentication, "client_id=client")
	tpp.NotAfter = until
	all("valid again", 200)
	must(g.store.Delete(t.Context(), g.ws, "client", registry.Presented{}))
	wants("deleted", 401, tpp, clientAuthentication, "client_id=client")
	wants("deleted, revocation", 401, tpp, revocation, "client_id=client")
}

// TestCachedPermissionsAreBounded: more than there is room for, and the newest is there.
func TestCachedPermissionsAreBounded(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	g := newGuarding(t, tpp.RawSubject)
	_, reading, err := g.store.Lookup(t.Context(), g.ws.Name, "client")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cacheSets * cacheWays * 2 {
		g.cache.remember(guardKey{clientID: "client", thumbprint: string(rune(i))}, reading)
	}
	last := guardKey{clientID: "last"}
	if is, _ := g.cache.allowed(last, g.store, 1); is {
		t.Error("what never passed has passed")
	}
	for range 2 {
		g.cache.remember(last, reading)
	}
	if is, _ := g.cache.allowed(last, g.store, 1); !is {
		t.Error("the newest was forgotten")
	}
}
