package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// Client certificates are verified by Caddy, before a request comes to this directive,
// with the connection policy that is for the host. While handlers are provisioned the
// policies of their server are still as they were configured.

// certificates is what a connection policy makes of client certificates.
type certificates int

const (
	// certificatesIgnored is client_auth that is missing or empty.
	certificatesIgnored certificates = iota
	// certificatesUnverified is mode request or require: any certificate is taken, and none
	// of them counts.
	certificatesUnverified
	certificatesVerified
	// certificatesDemanded closes the site to whoever has none.
	certificatesDemanded
)

const clientAuthCure = "write in the site: tls { client_auth { mode verify_if_given; trust_pool file <the CAs of the TPPs' certificates> } }, each word on a line of its own"

// checkClientAuth looks at the connection policies of the hosts for which requests come to
// this directive.
func (h *Handler) checkClientAuth(ctx caddy.Context, running map[string]*caddyhttp.Server, w *ways) error {
	best, strictest, place := certificatesIgnored, certificatesDemanded, ""
	for _, name := range slices.Sorted(maps.Keys(w.sites)) {
		place = cmp.Or(place, "apps/http/servers/"+name+"/tls_connection_policies")
		for _, host := range w.sites[name] {
			policies := running[name].TLSConnPolicies
			for _, i := range policiesFor(policies, host) {
				at := fmt.Sprintf("apps/http/servers/%s/tls_connection_policies/%d", name, i)
				found, err := readClientAuth(ctx, policies[i].ClientAuthentication)
				if err != nil {
					return fmt.Errorf("client_auth of %s (%s): %w", host, at, err)
				}
				strictest = min(strictest, found)
				if found >= best {
					best, place = found, at
				}
			}
		}
	}
	if h.ClientCertificateHeader != nil {
		h.warnOfProxies(ctx, running)
		return nil
	}
	if !h.certificatesHere(w) {
		return nil
	}
	switch {
	case best == certificatesIgnored:
		doubt(h.doubtful(), "the site requests no client certificate (client_auth)", "client-auth-missing", place, clientAuthCure, slog.String("consequence", h.withoutCertificates()))
	case best == certificatesUnverified:
		doubt(h.doubtful(), "the site verifies no client certificate (client_auth has mode request or require, which is also the default without trust_pool)",
			"client-auth-unverified", place, clientAuthCure, slog.String("consequence", h.withoutCertificates()))
	case strictest == certificatesDemanded:
		doubt(h.doubtful(), "the site requires a client certificate on every connection (client_auth has mode require_and_verify, which is also the default with trust_pool): clients without one, such as browsers, cannot reach discovery and the authorization server's pages",
			"client-auth-required", place, "write mode verify_if_given in client_auth: the gateway demands a certificate where one is needed")
	}
	return nil
}

// certificatesHere tells whether clients connect with certificates to this site: where
// mtls_origin names another machine's they do not.
func (h *Handler) certificatesHere(w *ways) bool {
	if !h.needsCertificate() && !h.needsEndpointCertificate() && len(h.AuthMethods) > 0 && !slices.Contains(h.AuthMethods, "tls_client_auth") {
		return false
	}
	if h.MTLSOrigin == "" {
		return true
	}
	u, err := url.Parse(h.MTLSOrigin)
	if err != nil {
		return true
	}
	for _, hosts := range w.sites {
		for _, host := range hosts {
			if _, ok := meet(host, strings.ToLower(u.Hostname())); ok || strings.Contains(host, anyLabel) {
				return true
			}
		}
	}
	return false
}

func (h *Handler) withoutCertificates() string {
	if h.needsCertificate() {
		return "every registration is refused with 401 (client_certificate off in the directive would not demand one)"
	}
	if h.needsEndpointCertificate() {
		return "no registered client can authenticate (endpoint_certificate optional in the directive would not demand one)"
	}
	return "no client can use tls_client_auth"
}

// policiesFor are the policies that may be used for a host, by their number: the first
// that matches, and before it those that may.
func policiesFor(all caddytls.ConnectionPolicies, host string) (which []int) {
	for i, p := range all {
		matches := yes
		for name, raw := range p.MatchersRaw {
			one := maybe
			var names []string
			if name == "sni" && json.Unmarshal(raw, &names) == nil {
				one = no
				for _, pattern := range hostPatterns(names) {
					one = max(one, matchPattern(pattern, host))
				}
			}
			matches = min(matches, one)
		}
		if net.ParseIP(host) != nil && len(p.MatchersRaw) > 0 {
			matches = maybe // who connects to an address sends no name
		}
		if matches != no {
			which = append(which, i)
		}
		if matches == yes {
			break
		}
	}
	return which
}

// readClientAuth is what Caddy will make of a client_auth. Its error is one that nobody
// can mean.
func readClientAuth(ctx caddy.Context, c *caddytls.ClientAuthentication) (certificates, error) {
	if c == nil || !c.Active() {
		return certificatesIgnored, nil
	}
	// Deprecated members that Caddy still obeys, by their names in JSON.
	var older struct {
		CAs    []string `json:"trusted_ca_certs"`
		Files  []string `json:"trusted_ca_certs_pem_files"`
		Leaves []string `json:"trusted_leaf_certs"`
	}
	text, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(text, &older)
	}
	if err != nil {
		return 0, err
	}
	roots := c.CARaw != nil || hasPool(c) || len(older.CAs) > 0 || len(older.Files) > 0
	mode := c.Mode
	if mode == "" && (roots || len(older.Leaves) > 0) {
		mode = "require_and_verify"
	}
	if mode != "verify_if_given" && mode != "require_and_verify" {
		return certificatesUnverified, nil
	}
	if !roots {
		return 0, errors.New("it has no trust_pool, so that a certificate of every public authority counts; write trust_pool file <the CAs of the TPPs' certificates>, or trust_pool system where that is meant")
	}
	if err := holdsCertificates(ctx, c.CARaw); err != nil {
		return 0, err
	}
	if mode == "require_and_verify" {
		return certificatesDemanded, nil
	}
	return certificatesVerified, nil
}

// hasPool tells whether Caddy has made a value of the trust_pool, which it shows nobody:
// in a server that was provisioned before.
func hasPool(c *caddytls.ClientAuthentication) bool {
	v := reflect.ValueOf(c).Elem().FieldByName("ca")
	return v.IsValid() && v.Kind() == reflect.Interface && !v.IsNil()
}

// holdsCertificates refuses a trust pool of files, or inline, without a certificate. What
// others hold is known later, or changes.
func holdsCertificates(ctx caddy.Context, raw json.RawMessage) error {
	var named struct {
		Provider string `json:"provider"`
	}
	if raw == nil || json.Unmarshal(raw, &named) != nil || named.Provider != "file" && named.Provider != "inline" {
		return nil
	}
	owner := struct {
		TrustPoolRaw json.RawMessage `caddy:"namespace=tls.ca_pool.source inline_key=provider"`
	}{slices.Clone(raw)}
	_, err := trustPool(ctx, &owner, owner.TrustPoolRaw)
	return err
}

// warnOfProxies says where client_certificate header can count nothing.
func (h *Handler) warnOfProxies(ctx caddy.Context, running map[string]*caddyhttp.Server) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.TrustedProxiesRaw != nil {
		return
	}
	// Caddy has made a value of the option, which it shows nobody.
	if v := reflect.ValueOf(server).Elem().FieldByName("trustedProxies"); v.IsValid() && v.Kind() == reflect.Interface && v.IsNil() && !server.TrustedProxiesUnix {
		for name, one := range running {
			if one == server {
				doubt(h.doubtful(), "ignores every client certificate in a header, because client_certificate header trusts connections from trusted_proxies alone, and there are none",
					"trusted-proxies-missing", "apps/http/servers/"+name+"/trusted_proxies", "write in the global options: servers { trusted_proxies static <addresses of the load balancer> }", slog.String("consequence", h.withoutCertificates()))
			}
		}
	}
}
