package caddymodule

import (
	"net/http"
	"net/netip"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// sender is whose requests are counted together: a certificate's, or without
// certificates an address's.
func (g *gateway) sender(r *http.Request, cert *verify.Certificate) string {
	if cert != nil {
		return cert.Thumbprint
	}
	return networkOf(g.options.Host.ClientIP(r))
}

// networkOf is what is counted together of an address: whoever has one IPv6 address has
// the 2^64 around it.
func networkOf(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() && !ip.Is4In6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return text
}

// holder is whose requests share what one TPP may have at once, as long as nobody knows
// the organisation: the one that the certificate names, which may have many certificates,
// or else sender.
func (g *gateway) holder(r *http.Request, cert *verify.Certificate) string {
	if id := cert.Holder(); id != "" {
		return "organizationIdentifier " + id
	}
	return "sender " + g.sender(r, cert)
}
