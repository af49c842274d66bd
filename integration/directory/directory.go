// Package directory is a test directory: it stands for Open Banking Ltd, with
// whom third-party providers enrol, and whose certificates and software
// statements banks trust. It has its own certificate authorities, and publishes
// the keys of the directory and of all software over https.
package directory

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Options of a directory.
type Options struct {
	// Listen is the https address. Default: 127.0.0.1:0.
	Listen string
	// Issuer is iss of its software statements. Default: OpenBanking Ltd.
	Issuer string
	// Hosts are further names of the https server. Default: localhost and loopback addresses only.
	Hosts []string
}

// Directory is a running directory. Its methods may be used at once.
type Directory struct {
	// URL is https://host:port, without a slash at the end.
	URL string
	// Issuer is iss of its software statements.
	Issuer string
	// Signing signs software statements (PS256).
	Signing Key

	// issued is the iat of all statements: as with a TPP that fetched its own once, none is
	// older than another.
	issued  time.Time
	root    *authority // of everything, and of server certificates
	issuing *authority // of transport certificates
	server  *http.Server
	served  chan error
	edge    *edge
	keyring keyring

	mu       sync.Mutex
	keys     []jose.JSONWebKey
	software []*Software
}

// Start starts a directory and returns when it accepts connections. ctx bounds
// the start only: it runs until Stop.
func Start(ctx context.Context, options Options) (*Directory, error) {
	d := &Directory{Issuer: cmp.Or(options.Issuer, "OpenBanking Ltd"), served: make(chan error, 1), edge: newEdge(), issued: time.Now()}
	if err := d.start(ctx, options); err != nil {
		return nil, fmt.Errorf("start directory: %w", err)
	}
	return d, nil
}

func (d *Directory) start(ctx context.Context, options Options) error {
	var err error
	if d.root, err = newAuthority("Test Directory Root CA", nil); err != nil {
		return err
	}
	if d.issuing, err = newAuthority("Test Directory Issuing CA", d.root); err != nil {
		return err
	}
	if d.Signing, err = d.AddSigningKey(); err != nil {
		return err
	}
	certificate, err := d.ServerCertificate(options.Hosts...)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cmp.Or(options.Listen, "127.0.0.1:0"))
	if err != nil {
		return err
	}
	d.URL = "https://" + listener.Addr().String()
	d.server = &http.Server{
		Handler:           d.edge.wrap(http.HandlerFunc(d.serve)),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes that fail are the clients' business
	}
	go func() { d.served <- d.server.ServeTLS(listener, "", "") }()
	return nil
}

// Stop lets held requests go, closes all connections and waits for the server. A
// directory that starts later may be given the RSA keys of this one.
func (d *Directory) Stop() error {
	defer d.keyring.release()
	d.edge.reset()
	err := d.server.Close()
	if served := <-d.served; !errors.Is(served, http.ErrServerClosed) {
		err = cmp.Or(served, err)
	}
	d.served <- http.ErrServerClosed // a second Stop finds it too
	if err != nil {
		return fmt.Errorf("stop directory: %w", err)
	}
	return nil
}

// Roots trusts the directory's root, and through it every certificate that it issues.
func (d *Directory) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(d.root.certificate)
	return pool
}

// RootPEM is the root certificate.
func (d *Directory) RootPEM() []byte { return encodePEM("CERTIFICATE", d.root.certificate.Raw) }

// JWKSURL is where the directory publishes the keys that its statements verify with.
func (d *Directory) JWKSURL() string { return d.URL + "/directory.jwks" }

// AddSigningKey makes and publishes one more PS256 key. Statement goes on with
// the first; sign StatementClaims with this one.
func (d *Directory) AddSigningKey() (Key, error) {
	key, err := newKey(jose.PS256, d.keyring.key)
	if err != nil {
		return Key{}, err
	}
	jwk, err := key.JWK()
	if err != nil {
		return Key{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = append(d.keys, jwk)
	return key, nil
}

// JWKS is what JWKSURL answers.
func (d *Directory) JWKS() jose.JSONWebKeySet {
	d.mu.Lock()
	defer d.mu.Unlock()
	return jose.JSONWebKeySet{Keys: slices.Clone(d.keys)}
}

func (d *Directory) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	set, ok := d.find(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	raw, err := json.Marshal(set)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json") // as the real one; RFC 7517 would like application/jwk-set+json
	_, _ = w.Write(raw)                                // the client went away
}

// find returns the key set at a path. An organisation's keys are never revoked.
func (d *Directory) find(path string) (jose.JSONWebKeySet, bool) {
	if path == "/directory.jwks" {
		return d.JWKS(), true
	}
	d.mu.Lock()
	all := slices.Clone(d.software)
	d.mu.Unlock()

	set, found := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}, false
	for _, s := range all {
		switch path {
		case s.path("revoked/"):
			return s.RevokedJWKS(), true
		case s.orgPath("revoked/"):
			return set, true
		case s.path(""):
			return s.JWKS(), true
		case s.orgPath(""):
			set.Keys, found = append(set.Keys, s.JWKS().Keys...), true
		}
	}
	return set, found
}
