package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// handshaken is the connection that a client with a certificate would have.
type handshaken struct {
	state *tls.ConnectionState
	// broken is why the certificate does not count there, nil where it does.
	broken error
}

// handshake is what the site that this workspace is on makes of a certificate. Its error
// is why that is not known.
func (d *dcr) handshake(q Question) (with handshaken, err error) {
	with.state = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: q.Chain}
	verifies := func(tls.ConnectionState) error { return nil }
	roots := (*x509.CertPool)(nil)
	if p := d.ClientCertificateHeader; p != nil {
		roots = p.roots
	} else {
		c, err := d.siteTLS(q)
		switch {
		case err != nil:
			return with, err
		case c.ClientAuth < tls.VerifyClientCertIfGiven:
			with.broken = errNoClientAuth
			return with, nil
		}
		roots = c.ClientCAs
		if c.VerifyConnection != nil {
			verifies = c.VerifyConnection
		}
	}
	between := x509.NewCertPool()
	for _, c := range q.Chain[1:] {
		between.AddCert(c)
	}
	chains, err := q.Chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: d.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		with.state.VerifiedChains = chains
		err = verifies(*with.state)
	}
	if err != nil {
		with.state.VerifiedChains, with.broken = nil, fmt.Errorf("the certificate is not verified: %w", err)
	}
	return with, nil
}

var errNoClientAuth = errors.New("the site does not verify client certificates: tls { client_auth { mode verify_if_given ... } }")

// siteTLS is the TLS configuration of the server that the workspace is on, for the host
// where clients register.
func (d *dcr) siteTLS(q Question) (*tls.Config, error) {
	m, err := d.as.Metadata(d.r.Context())
	if err != nil {
		return nil, fmt.Errorf("the host where clients register is not known: %w", err)
	}
	at, err := url.Parse(d.registerURL(m.Issuer))
	if err != nil {
		return nil, err
	}
	running, err := d.app.ctx.App("http")
	if err != nil {
		return nil, err
	}
	servers := running.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		server := servers[name]
		if !serves(server.Routes, d.Handler) {
			continue
		}
		if len(server.TLSConnPolicies) == 0 {
			return nil, errors.New("the site has no TLS of its own")
		}
		hello := &tls.ClientHelloInfo{ServerName: at.Hostname(), Conn: connection{from: q.Remote}}
		return server.TLSConnPolicies.TLSConfig(d.app.ctx).GetConfigForClient(hello)
	}
	return nil, fmt.Errorf("no server has workspace %s", d.Workspace)
}

// serves tells whether a handler is among routes, or those within.
func serves(routes caddyhttp.RouteList, h *Handler) bool {
	for _, route := range routes {
		for _, one := range route.Handlers {
			if one == caddyhttp.MiddlewareHandler(h) {
				return true
			}
			if within, ok := one.(*caddyhttp.Subroute); ok && serves(within.Routes, h) {
				return true
			}
		}
	}
	return false
}

// connection is one that is not there.
type connection struct {
	net.Conn
	from string
}

func (c connection) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.from)} }
func (c connection) LocalAddr() net.Addr  { return &net.TCPAddr{} }
