package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// bank is everything around the gateways that are measured, one after another.
type bank struct {
	dir       string
	directory *directory.Directory
	software  *tpp.Software
	as        *authServer
	upstream  *upstream
	// gateway and stock are the two programs.
	gateway, stock string
	// site is the port of the site with the directive, plain that of the one
	// without; admin and plainAdmin are the admin API's.
	site, plain, admin, plainAdmin int

	certificate, key, roots string
	// clientRoots hold the authority that issues the TPPs' certificates, so that there is
	// no chain to hand on and both sites send the same header.
	clientRoots string
}

func openBank(ctx context.Context, dir string) (*bank, error) {
	b := &bank{dir: dir}
	if err := b.open(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *bank) open(ctx context.Context) (err error) {
	for _, port := range []*int{&b.site, &b.plain, &b.admin, &b.plainAdmin} {
		if *port, err = gateway.FreePort(); err != nil {
			return err
		}
	}
	if b.directory, err = directory.Start(ctx, directory.Options{}); err != nil {
		return err
	}
	server, err := b.directory.ServerCertificate()
	if err != nil {
		return err
	}
	if b.certificate, b.key, err = directory.WriteCertificate(b.dir, "server", server); err != nil {
		return err
	}
	b.roots = filepath.Join(b.dir, "ca.pem")
	if err := os.WriteFile(b.roots, b.directory.RootPEM(), 0o600); err != nil {
		return err
	}
	software, err := b.directory.Enrol(directory.Enrolment{RedirectURIs: redirectURIs()})
	if err != nil {
		return err
	}
	b.software = &tpp.Software{Software: software, Audience: story.Bank}
	b.clientRoots = filepath.Join(b.dir, "client-roots.pem")
	issuing := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: software.Transport.Certificate[1]})
	if err := os.WriteFile(b.clientRoots, append(issuing, b.directory.RootPEM()...), 0o600); err != nil {
		return err
	}
	if b.as, err = startAuthServer(ctx, b.issuer(), server); err != nil {
		return err
	}
	b.upstream, err = startUpstream(ctx)
	return err
}

func (b *bank) issuer() string { return "https://" + b.address(b.site) + story.Prefix }

func (b *bank) address(port int) string { return "localhost:" + strconv.Itoa(port) }

// clientTLS is the TPP's side of a connection.
func (b *bank) clientTLS() *tls.Config {
	return &tls.Config{
		RootCAs: b.directory.Roots(), ServerName: "localhost", MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &b.software.Transport, nil },
	}
}

// change is one place of a configuration.
type change = gateway.Edit

// withoutToken leaves protection 2 out, withJWT verifies tokens by their signature.
var (
	withoutToken = []change{gateway.Unlimited, gateway.At("access_token").Replace("access_token off")}
	withJWT      = []change{gateway.Unlimited, gateway.At("access_token").Replace("access_token dcr_register"), gateway.At("client gateway").Replace("validate jwt")}
)

// caddyfile is Caddyfile.example with the changes, for a gateway in dir.
func (b *bank) caddyfile(dir string, changes []change) (string, error) {
	example, err := os.ReadFile(filepath.Join(checkout.Root(), "Caddyfile.example"))
	if err != nil {
		return "", err
	}
	setting := gateway.Setting{
		Port: b.site, Admin: b.address(b.admin), StoreDirectory: filepath.Join(dir, "store"),
		Certificate: b.certificate, Key: b.key, ClientRoots: b.clientRoots, ASURL: b.as.URL, ASRoots: b.roots,
		DirectoryJWKS: b.directory.JWKSURL(), DirectoryRoots: b.roots, Edits: changes,
	}
	return setting.Caddyfile(string(example))
}

// proxied is that site in front of the upstream instead of the AS. The same host may have
// a site without the directive on another port, in front of the upstream too.
func (b *bank) proxied(caddyfile string) (string, error) {
	return gateway.Apply(caddyfile, gateway.Workspace("unguarded upstream "+b.upstream.URL), gateway.At("reverse_proxy").Replace("reverse_proxy "+b.upstream.URL))
}

// plainSite is a site like the gateway's, without the directive. proxy are lines
// of its reverse_proxy.
func (b *bank) plainSite(proxy ...string) string {
	upstream := b.upstream.URL
	if len(proxy) > 0 {
		upstream += " {\n\t\t" + strings.Join(proxy, "\n\t\t") + "\n\t}"
	}
	return fmt.Sprintf("https://%s {\n\ttls %s %s {\n\t\tclient_auth {\n\t\t\tmode verify_if_given\n\t\t\ttrust_pool file %s\n\t\t}\n\t}\n\treverse_proxy %s\n}\n",
		b.address(b.plain), b.certificate, b.key, b.clientRoots, upstream)
}

// plainCaddyfile is a whole configuration with that site alone.
func (b *bank) plainCaddyfile() string {
	return fmt.Sprintf("{\n\tadmin %s\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\n", b.address(b.plainAdmin)) + b.plainSite()
}

// folder makes a new one for a gateway.
func (b *bank) folder(name string) (string, error) { return os.MkdirTemp(b.dir, name+"-*") }

// start runs a Caddy in dir.
func (b *bank) start(ctx context.Context, binary, dir, caddyfile string) (*gateway.Process, error) {
	return gateway.Start(ctx, binary, dir, caddyfile, []string{"AS_SECRET=" + rand.Text(), "AS_IAT=" + rand.Text(), "REGISTRAR_SECRET=" + rand.Text()})
}

// discover makes the gateway fetch the AS's document, and is the first request
// of its site.
func (b *bank) discover(ctx context.Context) error {
	client := b.software.Client(tpp.ClientOptions{Roots: b.directory.Roots(), NoKeepAlive: true})
	defer client.Close()
	answer, err := client.Discover(ctx, b.issuer())
	if err == nil && (answer.Status != http.StatusOK || answer.Text("registration_endpoint") == "") {
		err = fmt.Errorf("discovery: %s", answer)
	}
	return err
}

// Close ends what the bank runs. Files stay.
func (b *bank) Close() error {
	var errs []error
	if b.upstream != nil {
		errs = append(errs, b.upstream.Close())
	}
	if b.as != nil {
		errs = append(errs, b.as.Close())
	}
	if b.directory != nil {
		errs = append(errs, b.directory.Stop())
	}
	return errors.Join(errs...)
}
