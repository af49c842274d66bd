package authservertest

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

const issuer = "https://localhost:8443/default/obuk"

// bank is a real authorization server and the connector that is tested before it.
type bank struct {
	*authserver.Server
	t         *testing.T
	as        *authserverprocess.Process
	directory *directory.Directory
	software  *directory.Software
	log       lines
}

// eachServer runs a test before both servers. The client_id is the gateway's
// choice unless change says otherwise.
func eachServer(t *testing.T, change func(*authserverprocess.Config), test func(*testing.T, *bank)) {
	for _, kind := range authserverprocess.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			b := &bank{t: t}
			b.start(kind, change)
			b.Server = b.connector(func(*authserver.Options) {})
			test(t, b)
		})
	}
}

func (b *bank) start(kind authserverprocess.Kind, change func(*authserverprocess.Config)) {
	b.t.Helper()
	var err error
	if b.directory, err = directory.Start(b.t.Context(), directory.Options{}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := b.directory.Stop(); err != nil {
			b.t.Error(err)
		}
	})
	if b.software, err = b.directory.Enrol(directory.Enrolment{OrgName: "Acme, Ltd", TransportKey: directory.P256}); err != nil {
		b.t.Fatal(err)
	}
	certificate, err := b.directory.ServerCertificate()
	if err != nil {
		b.t.Fatal(err)
	}
	dir := b.t.TempDir()
	cert, key, err := directory.WriteCertificate(dir, "server", certificate)
	if err != nil {
		b.t.Fatal(err)
	}
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, b.directory.RootPEM(), 0o600); err != nil {
		b.t.Fatal(err)
	}
	config := authserverprocess.Config{
		TLSCert: cert, TLSKey: key, JWKSCA: roots, Issuer: issuer, Prefix: "/default/obuk",
		InitialAccessToken: "initial-access-token-of-the-gateway", ClientIDHeader: "X-Client-Id",
		GatewayID: "gateway", GatewaySecret: "gateway-secret-of-32-characters--",
		RegistrarID: "registrar", RegistrarSecret: "registrar-secret-of-32-characters",
		TrustClientCertHeader: true, Admin: true,
	}
	if change != nil {
		change(&config)
	}
	if b.as, err = authserverprocess.Start(b.t.Context(), kind, config); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := b.as.Stop(); err != nil {
			b.t.Error(err)
		}
		b.tellsNoSecret(b.log.String())
		if b.t.Failed() {
			b.t.Logf("connector:\n%s\nauthorization server:\n%s", b.log.String(), b.as.Log())
		}
	})
}

// connector is another one before the same server.
func (b *bank) connector(change func(*authserver.Options)) *authserver.Server {
	b.t.Helper()
	config := b.as.Config
	options := authserver.Options{
		URL:      b.as.URL(),
		Client:   jwks.NewClient(jwks.Options{Roots: b.directory.Roots(), PrivateRanges: true}),
		ClientID: config.GatewayID, ClientSecret: config.GatewaySecret,
		RegistrarID: config.RegistrarID, RegistrarSecret: config.RegistrarSecret,
		InitialAccessToken: config.InitialAccessToken, ClientIDHeader: config.ClientIDHeader,
		DNFormat:  map[authserverprocess.Kind]string{authserverprocess.GoOIDC: authserver.Go, authserverprocess.OIDCProvider: authserver.RFC4514}[b.as.Kind],
		Supported: verify.DefaultSupportedMetadata(),
		Logger:    slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	change(&options)
	s, err := authserver.New(options)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// client is a new one, as the registry hands it over.
func (b *bank) client() *registry.Client {
	b.t.Helper()
	dn, err := directory.SubjectDN(b.software.Transport.Leaf.RawSubject)
	if err != nil {
		b.t.Fatal(err)
	}
	c := &registry.Client{
		ID: uuid.NewString(), ClientName: b.software.SoftwareName, JWKSURI: b.software.JWKSEndpoint(), Subject: b.software.Transport.Leaf.RawSubject,
		Metadata: verify.Metadata{
			RedirectURIs: b.software.RedirectURIs, TokenEndpointAuthMethod: "tls_client_auth",
			GrantTypes: []string{"authorization_code", "client_credentials", "refresh_token"}, ResponseTypes: []string{"code id_token", "code"},
			ApplicationType: "web", IDTokenSigningAlg: "PS256", RequestObjectSigningAlg: "PS256", Scope: "openid accounts payments", TLSClientAuthSubjectDN: dn,
		},
	}
	if b.ChoosesClientID() {
		c.ClientID = uuid.NewString()
	}
	return c
}

// stored is the one client that the server knows.
func (b *bank) stored() map[string]any {
	b.t.Helper()
	clients := b.clients()
	if len(clients) != 1 {
		b.t.Fatalf("clients %v, want one", clients)
	}
	return clients[0]
}

func (b *bank) clients() []map[string]any {
	b.t.Helper()
	clients, err := b.as.Clients(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return clients
}

// token gets a token by client credentials: with a secret, or, without one, as a
// TPP whose certificate the gateway passes on.
func (b *bank) token(id, secret, scope string) (status int, token string) {
	b.t.Helper()
	m, err := b.Metadata(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	if secret == "" {
		form.Set("client_id", id)
	}
	u := "https://" + b.as.Listen + m.Path("token_endpoint")
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, u, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		r.SetBasicAuth(id, secret)
	} else {
		r.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(b.software.Transport.Certificate[0])+":")
	}
	res, err := (&http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.directory.Roots()}, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var body struct {
		AccessToken string `json:"access_token"`
	}
	_ = json.Unmarshal(raw, &body) // an error page has none
	return res.StatusCode, body.AccessToken
}

// refused checks an error's kind, and that its text tells no secret.
func (b *bank) refused(err error, kind refusal.Kind) {
	b.t.Helper()
	var refused *refusal.Error
	if !errors.As(err, &refused) || refused.Kind != kind {
		b.t.Errorf("error %v, want kind %d", err, kind)
		return
	}
	b.tellsNoSecret(err.Error())
}

func (b *bank) tellsNoSecret(text string) {
	b.t.Helper()
	c := b.as.Config
	for _, secret := range []string{c.InitialAccessToken, c.GatewaySecret, c.RegistrarSecret} {
		if strings.Contains(text, secret) {
			b.t.Errorf("a secret is told: %s", text)
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.Write(p) }

func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }
