package caddymodule

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// proxyCure says what to do about a proxy that makes no tunnel, or is not asked for one;
// nothing where that is not what is wrong.
func proxyCure(err error) string {
	var failed *jwks.ProxyError
	switch {
	case errors.Is(err, jwks.ErrTarget):
		return "a proxy is asked for host names at port 443 alone, those of jwks_uri and jwks_hosts: write the host there if it is meant, or proxy off where the server is to be dialled"
	case !errors.As(err, &failed):
		return ""
	case failed.Status == http.StatusProxyAuthRequired:
		return "correct the credentials in proxy, and let the proxy take them in the scheme Basic"
	case failed.Status == http.StatusBadGateway, failed.Status == http.StatusServiceUnavailable, failed.Status == http.StatusGatewayTimeout:
		return "let the proxy reach " + failed.Target + ": its name resolution, firewall, routing"
	case failed.Status != 0:
		return "let the proxy make tunnels (CONNECT) to " + failed.Target + " for this machine"
	case errors.As(failed.Err, new(x509.UnknownAuthorityError)), errors.As(failed.Err, new(x509.HostnameError)), errors.As(failed.Err, new(x509.CertificateInvalidError)):
		return "write trust_pool with the CA of the proxy's certificate in the block of proxy, or correct the host in proxy"
	case errors.As(failed.Err, new(tls.RecordHeaderError)):
		return "write proxy with http: it does not speak TLS"
	}
	return "start the proxy, let this machine reach it, or correct host and port in proxy"
}

// cureOf says what to do about a server that cannot be used. word is what names it in the
// configuration.
func cureOf(err error, word string) string {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		dns      *net.DNSError
		plain    tls.RecordHeaderError
		fits     *misfit
		nothing  *authserver.NothingInCommonError
		deadline interface{ Timeout() bool }
	)
	if cure := proxyCure(err); cure != "" {
		return cure
	}
	switch {
	case errors.As(err, &fits):
		return fits.cure
	case errors.As(err, &nothing):
		return "let the authorization server have one of " + strings.Join(nothing.Needs, ", ") + " in " + nothing.List + ", with a key for it where these are algorithms; or, where it has one and does not list it, write supports " + nothing.List + " <value...> in " + word
	case errors.As(err, &unknown):
		return "write trust_pool with the CA of this server's certificate beside " + word
	case errors.As(err, &name):
		return "correct the host in " + word + ", or give the server a certificate for it"
	case errors.As(err, &invalid):
		return "renew the server's certificate, and look at this machine's clock"
	case errors.As(err, &dns):
		return "correct the host in " + word + ", or mend the name's resolution on this machine"
	case errors.Is(err, jwks.ErrAddress):
		return "correct the host in " + word + "; for a test directory inside, write private_addresses beside it"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &plain):
		return "correct the port in " + word + ": it does not speak TLS"
	case strings.Contains(err.Error(), "remote error: tls: "):
		return "write tls_client_auth <certificate> <key> beside " + word + " if the server wants a certificate of the gateway"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "start the server, or correct host and port in " + word
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &deadline) && deadline.Timeout():
		return "let this machine reach the server of " + word + ": firewall, routing, or its load"
	}
	return "see what this URL answers to this machine, and correct " + word + " if another one is meant"
}
