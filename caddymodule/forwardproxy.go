package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// ForwardProxy is the way out where the gateway may not reach servers outside itself. It is
// asked for tunnels (CONNECT) to host names at port 443, and TLS is the server's own.
type ForwardProxy struct {
	// URL is http or https, a host and perhaps a port, with credentials as placeholders:
	// http://{env.PROXY_USER}:{env.PROXY_PASSWORD}@proxy.bank.example:3128. One
	// placeholder may stand for both credentials, or for all of it. Required unless Off.
	URL string `json:"url,omitempty"`
	// Off takes the workspace's proxy back. Default: false.
	Off bool `json:"off,omitempty"`
	// TrustPoolRaw verifies the certificate of an https proxy, a module of
	// tls.ca_pool.source. Default: the system's roots.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	proxy *jwks.Proxy // once it is provisioned, nil where Off
}

// errProxyURL has nothing of the URL in it: that may be a secret.
var errProxyURL = errors.New("proxy: must be http or https, a host and perhaps a port, with credentials as placeholders, like http://{env.PROXY_USER}:{env.PROXY_PASSWORD}@proxy.bank.example:3128")

// check looks at what is written, without the values of placeholders.
func (p *ForwardProxy) check() error {
	switch {
	case p == nil:
		return nil
	case p.Off && (p.URL != "" || p.TrustPoolRaw != nil):
		return errors.New("proxy off: must not be combined with a proxy")
	case p.Off, mustBePlaceholder("", p.URL) == nil:
		return nil
	}
	at, credentials, err := splitProxyURL(p.URL)
	switch {
	case err != nil:
		return err
	case at.Scheme == "http" && p.TrustPoolRaw != nil:
		return errors.New("proxy: trust_pool is for an https proxy")
	case credentials == "":
		return nil
	}
	_, _, err = splitCredentials(credentials)
	return err
}

// splitProxyURL takes the credentials out of a URL, as they are written: a placeholder is
// not what a URL may have there.
func splitProxyURL(text string) (at *url.URL, credentials string, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	if end := strings.LastIndexByte(rest, '@'); end >= 0 {
		if credentials, rest = rest[:end], rest[end+1:]; credentials == "" {
			return nil, "", errProxyURL
		}
	}
	at, err = url.Parse(scheme + "://" + strings.TrimSuffix(rest, "/"))
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" || *at != (url.URL{Scheme: at.Scheme, Host: at.Host}) {
		return nil, "", errProxyURL
	}
	if port, err := strconv.ParseUint(cmp.Or(at.Port(), "1"), 10, 16); err != nil || port == 0 {
		return nil, "", errProxyURL
	}
	return at, credentials, nil
}

// splitCredentials reads <placeholder>, <placeholder>:<placeholder> or <user>:<placeholder>.
func splitCredentials(text string) (user, password string, err error) {
	if mustBePlaceholder("", text) == nil {
		return text, "", nil
	}
	end := strings.IndexByte(text, ':')
	if strings.HasPrefix(text, "{") {
		if end = strings.IndexByte(text, '}') + 1; end == 0 {
			end = -1
		}
	}
	if end <= 0 || end == len(text) || text[end] != ':' {
		return "", "", mustBePlaceholder("proxy: the credentials", "")
	}
	user, password = text[:end], text[end+1:]
	if mustBePlaceholder("", user) != nil && strings.ContainsAny(user, "{}@/?#%") {
		return "", "", errProxyURL
	}
	return user, password, mustBePlaceholder("proxy: the password", password)
}

// provision resolves the placeholders.
func (p *ForwardProxy) provision(ctx caddy.Context) error {
	if p == nil || p.Off {
		return p.check()
	}
	if err := p.check(); err != nil {
		return err
	}
	roots, err := trustPool(ctx, p, p.TrustPoolRaw)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p.proxy, err = p.resolve()
	if err == nil {
		p.proxy.Roots = roots
	}
	return err
}

func (p *ForwardProxy) resolve() (*jwks.Proxy, error) {
	if mustBePlaceholder("", p.URL) == nil {
		text, err := secret("proxy", p.URL)
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(text)
		if err != nil {
			return nil, errProxyURL // whose text the error would have
		}
		password, _ := u.User.Password()
		user := u.User.Username()
		u.User = nil
		at, _, err := splitProxyURL(u.String())
		if err != nil {
			return nil, err
		}
		return newProxy(at, user, password)
	}
	at, credentials, err := splitProxyURL(p.URL)
	if err != nil || credentials == "" {
		return &jwks.Proxy{URL: at}, err
	}
	user, password, err := splitCredentials(credentials)
	if err == nil && mustBePlaceholder("", user) == nil {
		user, err = secret("proxy: the user", user)
	}
	if err != nil {
		return nil, err
	}
	if password == "" { // both in one
		user, password, _ = strings.Cut(user, ":")
	} else if password, err = secret("proxy: the password", password); err != nil {
		return nil, err
	}
	return newProxy(at, user, password)
}

func newProxy(at *url.URL, user, password string) (*jwks.Proxy, error) {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if strings.Contains(user, ":") || strings.ContainsFunc(user+password, control) {
		return nil, errors.New("proxy: the user must not have a colon, and neither credential a control character (RFC 7617 2)")
	}
	return &jwks.Proxy{URL: at, User: user, Password: password}, nil
}

// checkProxies refuses what no proxy is asked for, and would only show once it is.
func (h *Handler) checkProxies() error {
	errs := []error{h.Proxy.check()}
	if h.Proxy != nil && h.Proxy.Off {
		errs = append(errs, errors.New("proxy off: must be left out, because the workspace has no proxy"))
	}
	if c := h.AuthorizationServer; c != nil && c.Proxy != nil {
		if c.Proxy.Off {
			errs = append(errs, errors.New("authorization_server: proxy off: must be left out, because the workspace's proxy is never used for the authorization server"))
		}
		errs = append(errs, inBlock("authorization_server", cmp.Or(c.Proxy.check(), checkProxied(c.Proxy, false, c.URL))))
	}
	for _, s := range h.SoftwareStatements {
		if s != nil {
			errs = append(errs, inBlock("software_statement "+strconv.Quote(s.Issuer), cmp.Or(s.Proxy.check(), checkProxied(cmp.Or(s.Proxy, h.Proxy), s.PrivateAddresses, s.JWKSURI, s.JWKSHosts...))))
		}
	}
	if s := h.SignedRequestBody; s != nil && s.JWKSURI == "" && s.Proxy != nil {
		errs = append(errs, errors.New("signed_request_body: proxy is for jwks_uri; the keys of software_jwks_endpoint are fetched as software_statement says"))
	} else if s != nil && s.JWKSURI != "" {
		errs = append(errs, inBlock("signed_request_body", cmp.Or(s.Proxy.check(), checkProxied(cmp.Or(s.Proxy, h.Proxy), s.PrivateAddresses, s.JWKSURI))))
	}
	for _, c := range h.CRL {
		errs = append(errs, inBlock("crl", c.checkProxied(h.Proxy)))
	}
	return cmp.Or(errs...)
}

// inBlock says in which block an error is.
func inBlock(block string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", block, err)
}

// checkProxied looks at what is fetched through a proxy: a URL, and hosts that statements
// may name.
func checkProxied(p *ForwardProxy, private bool, address string, hosts ...string) error {
	switch {
	case p == nil || p.Off:
		return nil
	case private:
		return errors.New("private_addresses: a proxy looks the names up itself, so that no address is checked; leave it out, or write proxy off in this block")
	}
	if address != "" {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		err = jwks.CheckProxyTarget(u)
		if u.Scheme == "http" {
			err = fmt.Errorf("%w: only https is asked for", jwks.ErrTarget)
		}
		if err != nil {
			return fmt.Errorf("%s: %w; to dial it, leave proxy out, or write proxy off in this block", u.Redacted(), err)
		}
	}
	for _, host := range hosts {
		if err := jwks.CheckProxyHost(strings.ToLower(host)); err != nil {
			return fmt.Errorf("jwks_hosts: %w", err)
		}
	}
	return nil
}

// or is the proxy of a block, which is provisioned, or the workspace's.
func (p *ForwardProxy) or(ctx caddy.Context, workspace *ForwardProxy) (*ForwardProxy, error) {
	if p == nil {
		return workspace, nil
	}
	return p, p.provision(ctx)
}

// hostOf is the host of a URL that was checked, in lower case.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// options has a client make its requests through the proxy, where there is one. hosts are
// those that it may ask for.
func (p *ForwardProxy) options(o jwks.Options, hosts ...string) jwks.Options {
	if p != nil {
		o.Proxy, o.ProxyHosts = p.proxy, hosts
	}
	return o
}
