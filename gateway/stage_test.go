package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// What everything on a stage is called.
const (
	stageBank     = "0015800001HQQrZAAX"
	stageHost     = "bank.example"
	stageSite     = "https://" + stageHost
	stageIssuer   = stageSite + "/default/obuk"
	stagePath     = "/default/obuk/openbankinguk/dcr/v3.2/register"
	stageRegister = stageSite + stagePath
)

// stageTimeout bounds one request with its answer.
const stageTimeout = time.Minute

// stage is a gateway behind a server of net/http with TLS, between TPPs that are enrolled at
// a directory and an AS. It is the gateway of Caddyfile.example, without Caddy.
type stage struct {
	t       *testing.T
	as      *stageServer
	gateway *Gateway
	store   *registry.Registry
	log     *stageLog
	// acme is a TPP, other another one, stranger one of a directory that the bank does not know.
	acme, other, stranger *software

	https     *httptest.Server
	directory *stageDirectory
	trusting  *jwks.Client            // trusts the directory and the AS
	clients   map[string]*http.Client // by thumbprint
}

// stageLog is a log that may be read while it is written.
type stageLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *stageLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *stageLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// stageDirectory serves JWKS by their paths.
type stageDirectory struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (d *stageDirectory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	file, ok := d.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(file)
}

func (d *stageDirectory) put(path string, file []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[path] = file
}

// newStage sets the stage. change alters the gateway and its connector to the AS before they
// are made, nil for nothing.
func newStage(t *testing.T, change func(s *stage, o *Options, as *authserver.Options)) *stage {
	t.Helper()
	s := &stage{t: t, as: newStageServer(t), log: new(stageLog), directory: &stageDirectory{files: map[string][]byte{}}, clients: map[string]*http.Client{}}
	directory := httptest.NewTLSServer(s.directory)
	t.Cleanup(directory.Close)
	s.enrol(directory.URL)
	logger := slog.New(slog.NewTextHandler(s.log, nil))
	s.trusting = jwks.NewClient(jwks.Options{Roots: rootsOf(directory, s.as.https), PrivateRanges: true, Timeout: stageTimeout})
	header, err := verify.NewCertificateHeader(verify.FormRFC9440, "")
	s.must(err)
	o := Options{
		Headers: new(HeaderFilter), Host: new(fakeHost), Log: logger, Now: time.Now, RegisterPath: stagePath, IssuerPath: "/default/obuk",
		NeedsCertificate: true, NeedsToken: true, NeedsEndpointCertificate: true, TokenLifetime: verify.DefaultTokenLifetime, Version: verify.DefaultVersion,
		Methods: []string{"GET", "PUT", "DELETE"}, CertificateHeader: header, ClientIDHeader: "X-Client-Id", KnownClient: func(string) bool { return false },
		Rules: verify.RequestRules{Audiences: []string{stageBank}, Issuers: []*verify.Issuer{{
			Name: s.acme.issuer, Keys: verifyKeys(t, directoryKey()), SoftwareKeys: jwks.NewSources(s.trusting, []string{"127.0.0.1"}, nil).Source,
			Demands: []verify.Demand{{Claim: "org_status", Values: []string{"Active"}}},
		}}},
	}
	as := authserver.Options{
		URL: s.as.https.URL + "/default/obuk", Client: s.trusting, ClientID: "gateway", ClientSecret: "secret of the gateway", ClientIDHeader: "X-Client-Id",
		Supported: verify.DefaultSupportedMetadata(), Logger: logger, ClientCertificate: header,
	}
	s.https = httptest.NewUnstartedServer(nil)
	s.https.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: x509.NewCertPool()}
	s.https.TLS.ClientCAs.AddCert(clientCA().certificate)
	if change != nil {
		change(s, &o, &as)
	}
	s.open(o, as)
	return s
}

// open starts the gateway and its server.
func (s *stage) open(o Options, as authserver.Options) {
	s.t.Helper()
	keyset, _, err := registry.NewKeyset()
	s.must(err)
	s.store, err = registry.Open(s.t.Context(), registry.Options{Store: memory.Open(memory.Options{}), Sealer: keyset})
	s.must(err)
	s.t.Cleanup(func() {
		if err := s.store.Close(); err != nil {
			s.t.Error(err)
		}
	})
	o.Server, err = authserver.New(as)
	s.must(err)
	o.Workspace.Name, o.Workspace.Provisioner, o.Stores = "default/obuk", o.Server, heldStore{s.store}
	s.gateway, err = New(o, http.HandlerFunc(s.as.next))
	s.must(err)
	s.https.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.gateway.ServeHTTP(w, ofHost(r)) })
	s.https.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail
	s.https.EnableHTTP2 = true
	s.https.StartTLS()
	s.t.Cleanup(s.https.Close)
}

// enrol makes the TPPs and publishes their keys.
func (s *stage) enrol(directory string) {
	subject := func(organization, identifier, id string) []attribute {
		return []attribute{{oidCountry, "GB"}, {oidOrganization, organization}, {oidOrganizationIdentifier, identifier}, {oidCommonName, id}}
	}
	s.acme = &software{id: "acmeAccounts", org: "0015800001041REAAY", subject: subject("Acme Ltd", "PSDGB-FCA-123456", "acmeAccounts")}
	s.other = &software{id: "otherAccounts", org: "0015800001041OTHER", subject: subject("Other Ltd", "PSDGB-FCA-654321", "otherAccounts")}
	s.stranger = &software{id: "acmeAccounts", org: s.acme.org, subject: s.acme.subject}
	for _, tpp := range []*software{s.acme, s.other, s.stranger} {
		tpp.t, tpp.issuer, tpp.statements, tpp.requests, tpp.endpoint = s.t, "OpenBanking Ltd", directoryKey(), softwareKey(), directory+"/"
		tpp.transport, tpp.issued = clientCA().issue(s.t, tpp.subject, nil), time.Now().Add(-time.Minute).Unix()
	}
	s.stranger.issuer, s.stranger.statements, s.stranger.transport = "Unknown Directory", strangerKey(), otherCA().issue(s.t, s.stranger.subject, nil)
	s.publish(s.acme)
	s.publish(s.other)
}

// publish has the directory serve the keys of a TPP: one for signatures, one for TLS; its
// organisation has the same.
func (s *stage) publish(tpp *software, more ...map[string]any) {
	keys := append(more, tpp.requests.jwk(map[string]any{"use": "sig", "alg": "PS256"}),
		transportKey().jwk(map[string]any{"use": "tls", "x5c": tpp.transport.Certificate}))
	for _, of := range []string{tpp.id, tpp.org} {
		s.directory.put("/"+of+".jwks", jsonOf(s.t, map[string]any{"keys": keys}))
	}
}

// revoke has the directory publish that keys of its software are revoked.
func (s *stage) revoke(keys ...signingKey) {
	set := []any{}
	for _, k := range keys {
		set = append(set, k.jwk(nil))
	}
	s.directory.put("/revoked.jwks", jsonOf(s.t, map[string]any{"keys": set}))
}

// verifyKeys are a JWKS as the gateway reads it.
func verifyKeys(t *testing.T, keys ...signingKey) verify.FixedKeys {
	t.Helper()
	var set []any
	for _, k := range keys {
		set = append(set, k.jwk(map[string]any{"use": "sig", "alg": "PS256"}))
	}
	fixed, err := verify.ParseJWKS(jsonOf(t, map[string]any{"keys": set}))
	if err != nil {
		t.Fatal(err)
	}
	return fixed
}

func rootsOf(servers ...*httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	for _, s := range servers {
		roots.AddCert(s.Certificate())
	}
	return roots
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// tlsConfig is of a TPP's connection, with the certificate where there is one.
func (s *stage) tlsConfig(certificate *tls.Certificate) *tls.Config {
	config := &tls.Config{RootCAs: rootsOf(s.https), ServerName: "example.com"} // which httptest's certificate is for
	if certificate != nil {                                                     // also one of a CA that the site does not name
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return config
}

// client keeps connections with one certificate, nil for none.
func (s *stage) client(certificate *tls.Certificate) *http.Client {
	thumbprint := ""
	if certificate != nil {
		thumbprint = thumbprintOf(*certificate)
	}
	if c, ok := s.clients[thumbprint]; ok {
		return c
	}
	c := &http.Client{Transport: s.transport(certificate), Timeout: stageTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.clients[thumbprint] = c
	return c
}

// http2Client speaks HTTP/2.
func (s *stage) http2Client(certificate *tls.Certificate) *http.Client {
	transport := s.transport(certificate)
	transport.ForceAttemptHTTP2 = true
	return &http.Client{Transport: transport, Timeout: stageTimeout}
}

func (s *stage) transport(certificate *tls.Certificate) *http.Transport {
	transport := &http.Transport{TLSClientConfig: s.tlsConfig(certificate), DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.https.Listener.Addr().String())
	}}
	s.t.Cleanup(transport.CloseIdleConnections)
	return transport
}
