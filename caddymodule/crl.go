package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Client certificates are checked against certificate revocation lists (CRL) where the
// directive names some.

// Revocation configures that.
type Revocation struct {
	// CRL are the lists. Default: none, nobody asks whether a certificate was revoked.
	CRL []*CRL `json:"crl,omitempty"`
	// CRLMode is what happens to a client certificate of whose CA no current list is
	// there: "soft" lets it through and warns, "strict" refuses it for now (503).
	// Default: soft.
	CRLMode string `json:"crl_mode,omitempty"`

	crls *crl.Set // nil for none
}

// CRL names lists that are read in one way.
type CRL struct {
	// From are files, which are read again when they change, and addresses (http or
	// https). At least one is required.
	From []string `json:"from"`
	// PrivateAddresses allows the hosts of addresses to be at loopback or private ones: for
	// a CA of the bank's own. Default: false, they must be public.
	PrivateAddresses bool `json:"private_addresses,omitempty"`
	// TrustPoolRaw verifies servers with https, a module of tls.ca_pool.source. Default:
	// the system's roots.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
	// Proxy is the way to addresses, which are https then. Default: the workspace's.
	Proxy *ForwardProxy `json:"proxy,omitempty"`
}

// hosts are those of the addresses.
func (c *CRL) hosts() (hosts []string) {
	for _, from := range c.From {
		if isCRLAddress(from) {
			hosts = append(hosts, hostOf(from))
		}
	}
	return hosts
}

// checkProxied refuses addresses that no proxy is asked for.
func (c *CRL) checkProxied(workspace *ForwardProxy) error {
	if c == nil {
		return nil
	}
	if err := c.Proxy.check(); err != nil {
		return err
	}
	for _, from := range c.From {
		if !isCRLAddress(from) {
			continue
		}
		if err := checkProxied(cmp.Or(c.Proxy, workspace), c.PrivateAddresses, from); err != nil {
			return err
		}
	}
	return nil
}

// strict tells whether nobody is let through of whom it is not known.
func (r *Revocation) strict() bool { return r.CRLMode == "strict" }

func (r *Revocation) check() error {
	named := 0
	for _, c := range r.CRL {
		if c == nil || len(c.From) == 0 {
			return errors.New("crl: must name a file or a URL")
		}
		named += len(c.From)
		for _, from := range c.From {
			if err := checkCRLSource(from); err != nil {
				return fmt.Errorf("crl: %w", err)
			}
		}
	}
	switch {
	case named > crl.MaxSources:
		return fmt.Errorf("crl: must name at most %d files and URLs, not %d", crl.MaxSources, named)
	case r.CRLMode != "" && r.CRLMode != "soft" && r.CRLMode != "strict":
		return fmt.Errorf("crl_mode %q: must be soft or strict", r.CRLMode)
	case r.CRLMode != "" && named == 0:
		return errors.New("crl_mode: must be left out where there is no crl")
	}
	return nil
}

// isCRLAddress tells an address from a file.
func isCRLAddress(from string) bool { return strings.Contains(from, "://") }

func checkCRLSource(from string) error {
	if !isCRLAddress(from) {
		return nil
	}
	u, err := url.Parse(from)
	switch {
	case err != nil:
		return errors.New("a URL that cannot be read") // it may have a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q: must be a file, or an http or https URL", u.Redacted())
	}
	return nil
}

// provisionRevocation reads the files. Addresses are asked when the configuration starts.
func (h *Handler) provisionRevocation(ctx caddy.Context) error {
	if len(h.CRL) == 0 {
		return nil
	}
	h.crls = crl.NewSet(crl.Options{Log: h.log, Now: h.now, Keeper: keptCRLs{h.app}})
	for _, c := range h.CRL {
		roots, err := trustPool(ctx, c, c.TrustPoolRaw)
		if err != nil {
			return err
		}
		proxy, err := c.Proxy.or(ctx, h.Proxy)
		if err != nil {
			return err
		}
		client := jwks.NewClient(proxy.options(jwks.Options{
			Roots: roots, PrivateRanges: c.PrivateAddresses, PlainHTTP: true, MaxBytes: verify.MaxCRL, Timeout: crl.FetchWithin, MaxConnections: 2,
		}, c.hosts()...))
		for _, from := range c.From {
			if isCRLAddress(from) {
				h.crls.AddURL(client, from)
				continue
			}
			use := h.crls.AddFile(from)
			read := func() error {
				text, err := readAtMost(from, verify.MaxCRL)
				if err == nil {
					err = use(text)
				}
				if err != nil {
					return fmt.Errorf("%s: %w", from, err)
				}
				return nil
			}
			h.app.files.add("crl "+from, fixed(from), read)
			if err := read(); err != nil {
				return err
			}
		}
	}
	return nil
}

// startCRLs has the lists of all workspaces fetched until the configuration ends. Nothing
// waits for it but requests with a client certificate, for some seconds.
func (a *App) startCRLs() {
	for _, h := range a.workspaces {
		if h.crls != nil {
			go h.crls.Run(a.ctx)
		}
	}
}
