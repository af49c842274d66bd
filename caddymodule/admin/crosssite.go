package admin

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// What another site can have a browser of an operator's machine send is refused, and so is what
// it could read. Caddy checks Origin and Host too, but not the Host of a listener on all
// addresses: there a name that a site points at this machine (DNS rebinding) has the browser
// take the answers for the site's own.

// refuseCrossSite refuses a request that a page of another site has made, or may have.
func refuseCrossSite(r *http.Request, hosts []string) error {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return failed(http.StatusForbidden, errors.New("a page of another site has made this request (Sec-Fetch-Site); the admin API is not for pages of other sites"))
		}
	}
	for _, text := range r.Header.Values("Origin") {
		if origin, err := url.Parse(text); err != nil || origin.Host == "" || !strings.EqualFold(origin.Host, r.Host) {
			return failed(http.StatusForbidden, errors.New("the Origin is not the admin API's own; it is not for pages of other sites"))
		}
	}
	if !knownHost(r, hosts) {
		return failed(http.StatusForbidden, errors.New("the Host must be an IP address or localhost, so that no name of another site leads here; to use another name, write it into admin_hosts of the global options (openbanking_dcr { admin_hosts <name> })"))
	}
	return nil
}

// knownHost tells whether nobody else can have chosen the host of a request. With TLS the name is
// in the certificate that the browser has verified, and no browser speaks to a unix socket.
func knownHost(r *http.Request, hosts []string) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); r.TLS != nil || ok && local.Network() == "unix" {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return true
	}
	return slices.Contains(hosts, host)
}
