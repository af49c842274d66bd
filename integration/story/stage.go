// Package story is what the gateway is for, from beginning to end: a third-party
// provider (TPP) registers, gets a token, and manages its registration, in front
// of an authorization server (AS) that knows nothing of Open Banking. The demo
// tells it, the end-to-end tests hold it, against every AS.
//
// Everything is real: processes of their own, TLS, mTLS.
package story

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// Bank is the ASPSP's id at the directory: the audience of registration requests.
const Bank = "0015800001HQQrZAAX"

// Prefix is the path of the AS's issuer.
const Prefix = "/default/obuk"

// Options of a Stage.
type Options struct {
	// Binary is Caddy with the plugin.
	Binary string
	// Kind is the AS.
	Kind authserverprocess.Kind
	// Dir is where all files are. It must exist.
	Dir string
	// AccessTokens are opaque or jwt. Default: opaque.
	AccessTokens string
	// Edits change further places of Caddyfile.example.
	Edits []gateway.Edit
	// Claims are those of every registration request, in place of the usual ones.
	Claims map[string]any
	// Scope is what clients ask for when they get a token. Default: scope= without a value.
	Scope string
	// Direct: clients get their tokens from the AS itself, over mTLS. Default: through
	// the gateway.
	Direct bool
	// AS changes the configuration of the AS. Default: nobody does.
	AS func(*authserverprocess.Config)
	// Environment are further variables of the gateway, secrets all.
	Environment map[string]string
	// Transport is a further line of the transport of the site's reverse_proxy.
	Transport string
	// Checks: the gateway tries its servers by itself. Default: it does not, so that tests
	// know what it asks.
	Checks bool
	// WithoutAS leaves the AS's address to nobody.
	WithoutAS bool
	// Answered is given every answer to the TPPs of the stage, possibly several at
	// once. Default: nobody is.
	Answered func(*http.Request, *tpp.Response)
}

// Stage is a directory, an AS, and the gateway in front of it.
type Stage struct {
	Dir       string
	Directory *directory.Directory
	AS        *authserverprocess.Process
	Gateway   *gateway.Process
	// Caddyfile is what the gateway runs.
	Caddyfile string
	// Issuer is the AS's, at the gateway; Register is where clients register.
	Issuer, Register string
	// Acme is the TPP of the story, Other another one, Stranger one of a
	// directory that the bank does not know.
	Acme, Other, Stranger *tpp.Software

	admin     string
	claims    map[string]any
	scope     string
	direct    bool
	answered  func(*http.Request, *tpp.Response)
	stranger  *directory.Directory
	anonymous *tpp.Client
	clients   map[string]*tpp.Client
	bodies    int
	registrar string
	// issued are the secrets and tokens that no log may hold.
	issued []string
}

// Secrets are the secrets and tokens of the play so far.
func (s *Stage) Secrets() []string { return slices.Clone(s.issued) }

// Open sets the stage.
func Open(ctx context.Context, o Options) (*Stage, error) {
	s := &Stage{Dir: o.Dir, claims: o.Claims, scope: o.Scope, direct: o.Direct, answered: o.Answered, clients: map[string]*tpp.Client{}}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stage) open(ctx context.Context, o Options) (err error) {
	if s.Directory, err = directory.Start(ctx, directory.Options{}); err != nil {
		return err
	}
	if s.stranger, err = directory.Start(ctx, directory.Options{Issuer: "Unknown Directory"}); err != nil {
		return err
	}
	port, err := gateway.FreePort()
	if err != nil {
		return err
	}
	admin, err := gateway.FreePort()
	if err != nil {
		return err
	}
	s.admin = "127.0.0.1:" + strconv.Itoa(admin)
	s.Issuer = "https://localhost:" + strconv.Itoa(port) + Prefix
	s.Register = s.Issuer + "/openbankinguk/dcr/v3.2/register"
	if err := s.enrol(); err != nil {
		return err
	}
	ca := filepath.Join(s.Dir, "ca.pem")
	server, err := s.Directory.ServerCertificate()
	if err != nil {
		return err
	}
	certificate, key, err := directory.WriteCertificate(s.Dir, "server", server)
	if err != nil {
		return err
	}
	secrets := map[string]string{"AS_SECRET": rand.Text(), "AS_IAT": rand.Text(), "REGISTRAR_SECRET": rand.Text()}
	s.registrar = secrets["REGISTRAR_SECRET"]
	url, err := s.openAS(ctx, o, authserverprocess.Config{
		TLSCert: certificate, TLSKey: key, Issuer: s.Issuer, Prefix: Prefix, ClientIDHeader: "X-Client-Id",
		InitialAccessToken: secrets["AS_IAT"], GatewayID: "gateway", GatewaySecret: secrets["AS_SECRET"],
		RegistrarID: "registrar", RegistrarSecret: secrets["REGISTRAR_SECRET"], JWKSCA: ca,
		TrustClientCertHeader: true, AccessTokens: o.AccessTokens, Admin: true,
	})
	if err != nil {
		return err
	}
	example, err := os.ReadFile(filepath.Join(checkout.Root(), "Caddyfile.example"))
	if err != nil {
		return err
	}
	setting := gateway.Setting{
		Port: port, Admin: s.admin, StoreDirectory: filepath.Join(s.Dir, "store"),
		Certificate: certificate, Key: key, ClientRoots: ca, ASURL: url, ASRoots: ca, DNFormat: dnFormats[o.Kind],
		DirectoryJWKS: s.Directory.JWKSURL(), DirectoryRoots: ca, Edits: o.Edits, Transport: o.Transport, ChecksOff: !o.Checks,
	}
	if s.Caddyfile, err = setting.Caddyfile(string(example)); err != nil {
		return err
	}
	maps.Copy(secrets, o.Environment)
	s.Gateway, err = gateway.Start(ctx, o.Binary, s.Dir, s.Caddyfile, s.issue(secrets))
	return err
}

// issue gives secrets out as environment variables, and notes them.
func (s *Stage) issue(secrets map[string]string) (env []string) {
	for name, value := range secrets {
		env = append(env, name+"="+value)
		s.issued = append(s.issued, value)
	}
	return env
}

// dnFormats are how the servers write DNs, where that is not RFC 4514.
var dnFormats = map[authserverprocess.Kind]string{authserverprocess.GoOIDC: "go"}

// openAS starts the authorization server, or takes a port at which none is.
func (s *Stage) openAS(ctx context.Context, o Options, config authserverprocess.Config) (url string, err error) {
	if o.WithoutAS {
		port, err := gateway.FreePort()
		return "https://localhost:" + strconv.Itoa(port) + Prefix, err
	}
	if o.AS != nil {
		o.AS(&config)
	}
	if s.AS, err = authserverprocess.Start(ctx, o.Kind, config); err != nil {
		return "", err
	}
	return s.AS.URL(), nil
}

// enrol makes the TPPs and writes their files.
func (s *Stage) enrol() error {
	for _, e := range []struct {
		to   **tpp.Software
		at   *directory.Directory
		name string
		org  string
	}{
		{&s.Acme, s.Directory, "Acme Ltd", "PSDGB-FCA-123456"},
		{&s.Other, s.Directory, "Other, Sons & Co", "PSDGB-FCA-654321"},
		{&s.Stranger, s.stranger, "Acme Ltd", "PSDGB-FCA-123456"},
	} {
		software, err := e.at.Enrol(directory.Enrolment{
			OrgName: e.name, OrganizationIdentifier: e.org, Roles: []string{"AISP"},
			RedirectURIs: []string{"https://tpp.example/callback", "https://tpp.example/other"},
		})
		if err != nil {
			return err
		}
		*e.to = &tpp.Software{Software: software, Audience: Bank, Claims: s.claims}
		s.clients[software.SoftwareID] = (*e.to).Client(s.ClientOptions())
	}
	s.anonymous = tpp.NewClient(s.ClientOptions())
	return s.Directory.WriteFiles(s.Dir)
}

// ClientOptions are those of a further client of the gateway.
func (s *Stage) ClientOptions() tpp.ClientOptions {
	return tpp.ClientOptions{Roots: s.Directory.Roots(), Answered: s.answered}
}

// Client is the software's own client, with its certificate and kept connections.
func (s *Stage) Client(software *tpp.Software) *tpp.Client { return s.clients[software.SoftwareID] }

// CloseIdle closes connections that wait for another request.
func (s *Stage) CloseIdle() {
	for _, c := range s.clients {
		c.Close()
	}
	if s.anonymous != nil {
		s.anonymous.Close()
	}
}

// Reload gives the gateway another Caddyfile. What the Stage's clients send afterwards
// reaches the new server, or the one of before if the gateway refuses the Caddyfile.
func (s *Stage) Reload(ctx context.Context, caddyfile string) error {
	err := s.Gateway.Reload(ctx, caddyfile)
	// The server that ends closes its idle connections meanwhile; what is sent on one of
	// them gets no answer, and no Caddy could give one.
	s.CloseIdle()
	return err
}

// Close ends everything. The files stay.
func (s *Stage) Close() error {
	var errs []error
	s.CloseIdle()
	if s.Gateway != nil {
		errs = append(errs, s.Gateway.Stop())
	}
	if s.AS != nil {
		errs = append(errs, s.AS.Stop())
	}
	for _, d := range []*directory.Directory{s.Directory, s.stranger} {
		if d != nil {
			errs = append(errs, d.Stop())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("ending the stage: %w", err)
	}
	return nil
}
