package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// transportTrust is what client certificates are verified with where this request came
// in: the trust_pool of client_certificate header, or that of the site's tls
// { client_auth }. Its error is why that is not known.
func (h *Handler) transportTrust(r *http.Request) (*verify.TransportTrust, error) {
	if p := h.ClientCertificateHeader; p != nil {
		return &verify.TransportTrust{Roots: p.certificate.Roots()}, nil
	}
	c, err := h.siteTLS(r)
	switch {
	case err != nil:
		return nil, err
	case c.ClientAuth < tls.VerifyClientCertIfGiven:
		return nil, gateway.ErrNoClientAuth
	}
	trust := &verify.TransportTrust{Roots: c.ClientCAs, Verify: c.VerifyConnection}
	if trust.Roots == nil { // as crypto/tls has it
		trust.Roots, err = x509.SystemCertPool()
	}
	return trust, err
}

// siteTLS is the TLS configuration of this request's connection. Of a request that
// nobody has sent it is that of the host where clients register.
func (h *Handler) siteTLS(r *http.Request) (*tls.Config, error) {
	hello := &tls.ClientHelloInfo{Conn: connection{r: r}}
	server, _ := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server != nil && r.TLS != nil {
		hello.ServerName = r.TLS.ServerName
	} else {
		m, err := h.as.Metadata(r.Context())
		if err != nil {
			return nil, fmt.Errorf("the host where clients register is not known: %w", err)
		}
		at, err := url.Parse(h.registerURL(m.Issuer))
		if err != nil {
			return nil, err
		}
		hello.ServerName = at.Hostname()
		if server, err = h.server(); err != nil {
			return nil, err
		}
	}
	if len(server.TLSConnPolicies) == 0 {
		return nil, errors.New("the site has no TLS of its own")
	}
	return server.TLSConnPolicies.TLSConfig(h.app.ctx).GetConfigForClient(hello)
}

// server is the one whose routes have this workspace.
func (h *Handler) server() (*caddyhttp.Server, error) {
	running, err := h.app.ctx.App("http")
	if err != nil {
		return nil, err
	}
	servers := running.(*caddyhttp.App).Servers
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		if serves(servers[name].Routes, h) {
			return servers[name], nil
		}
	}
	return nil, fmt.Errorf("no server has workspace %s", h.Workspace)
}

// serves tells whether the handler of a workspace, which only one has, is among routes, or
// those within.
func serves(routes caddyhttp.RouteList, h *Handler) bool {
	for _, route := range routes {
		for _, one := range route.Handlers {
			if own, ok := one.(*Handler); ok && own.Workspace == h.Workspace {
				return true
			}
			if within, ok := one.(*caddyhttp.Subroute); ok && serves(within.Routes, h) {
				return true
			}
		}
	}
	return false
}

// connection is that of a request, as far as the choice of a TLS configuration looks at it.
type connection struct {
	net.Conn
	r *http.Request
}

func (c connection) RemoteAddr() net.Addr {
	if ap, err := netip.ParseAddrPort(c.r.RemoteAddr); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	ip, _ := caddyhttp.GetVar(c.r.Context(), caddyhttp.ClientIPVarKey).(string)
	return &net.TCPAddr{IP: net.ParseIP(ip)}
}

func (c connection) LocalAddr() net.Addr {
	if a, ok := c.r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return a
	}
	return &net.TCPAddr{}
}
