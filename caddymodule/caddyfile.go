package caddymodule

import (
	"cmp"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

func init() {
	// Registered without a matcher and ordered before everything that answers or
	// routes: no handle, route or respond of the site goes round the guard.
	httpcaddyfile.RegisterDirective("openbanking_dcr", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("openbanking_dcr", httpcaddyfile.Before, "invoke")
	httpcaddyfile.RegisterGlobalOption("openbanking_dcr", parseGlobalOption)
}

func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	var m Handler
	if err := m.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, &m), nil
}

// parseGlobalOption reads
//
//	openbanking_dcr {
//	    store  badger [<directory>]
//	    keyset <placeholder>
//	    keyset_lost <id>
//	    restored <label>
//	    checks off
//	    admin_hosts <name...>
//	    four_eyes <action...>
//	}
func parseGlobalOption(d *caddyfile.Dispenser, before any) (any, error) {
	d.Next() // openbanking_dcr
	if before != nil {
		return nil, d.Err("openbanking_dcr is configured twice")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	var app App
	err := block(d, func() (err error) {
		switch d.Val() {
		case "store":
			app.StoreRaw, err = guest(d, "openbanking_dcr.stores.", "engine")
		case "keyset":
			err = placeholderArg(d, &app.Keyset)
		case "keyset_lost":
			err = oneArg(d, &app.KeysetLost)
		case "restored":
			if err = oneArg(d, &app.Restored); err == nil {
				err = at(d, checkLabel(app.Restored))
			}
		case "checks":
			err = oneOf(d, &app.Checks, "off")
		case "admin_hosts":
			if err = someArgs(d, &app.AdminHosts); err == nil {
				err = at(d, checkAdminHosts(app.AdminHosts))
			}
		case "four_eyes":
			if err = someArgs(d, &app.FourEyes); err == nil {
				err = at(d, registry.CheckFourEyes(app.FourEyes))
			}
		default:
			err = unknown(d)
		}
		return err
	})
	return httpcaddyfile.App{Name: "openbanking_dcr", Value: caddyconfig.JSON(&app, nil)}, err
}

// UnmarshalCaddyfile reads the directive:
//
//	openbanking_dcr <workspace> {
//	    register_path        <path>
//	    mtls_origin          <https://host>
//	    authorization_server <url> { ... }
//	    audience             <value...>
//	    client_certificate   off
//	    client_certificate   header <form> [<name>] { trust_pool <module> ... }
//	    access_token         dcr_register { client <id> <placeholder>; token_lifetime <duration> }
//	    access_token         off
//	    software_statement   <issuer> { ... }      # one for each directory
//	    software_statement   off
//	    signed_request_body  [software_jwks_endpoint | jwks <file> | jwks_uri <url>] { ... }
//	    signed_request_body  off
//	    proxy                <url> { ... }
//	    policy               <language> ... { ... } # one for each rule of the bank's own
//	    explain              on
//	    audit_retention      <duration>
//	    ...                                        # the words of rulesWord
//	}
//
// What is switched off is said in words; nothing is off by being left out.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // openbanking_dcr
	if !d.NextArg() {
		return d.Err("openbanking_dcr: the workspace is missing, like default/obuk")
	}
	h.Workspace = d.Val()
	if h.Workspace == "" || strings.ContainsAny(h.Workspace[:1], "/@*") {
		return d.Errf("openbanking_dcr %s: a workspace has no leading slash, and this directive takes no request matcher: it guards the whole site", h.Workspace)
	}
	if d.NextArg() {
		return d.Errf("openbanking_dcr: unexpected %q after the workspace; this directive takes no request matcher: it guards the whole site", d.Val())
	}
	if err := block(d, func() error { return h.word(d) }, "software_statement", "role", "policy", "unguarded", "crl"); err != nil {
		return err
	}
	if h.AuthorizationServer == nil {
		return d.Errf("openbanking_dcr %s: authorization_server is missing", h.Workspace)
	}
	if err := cmp.Or(h.checkProtections(), h.checkProxies(), h.Revocation.check()); err != nil {
		return d.Errf("openbanking_dcr %s: %v", h.Workspace, err)
	}
	return nil
}

func (h *Handler) word(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "register_path":
		return oneArg(d, &h.RegisterPath)
	case "mtls_origin":
		return oneArg(d, &h.MTLSOrigin)
	case "authorization_server":
		h.AuthorizationServer = new(AuthorizationServer)
		return h.AuthorizationServer.unmarshal(d)
	case "audience":
		return someArgs(d, &h.Audience)
	case "client_certificate":
		return h.clientCertificate(d)
	case "access_token":
		h.AccessToken = new(AccessToken)
		return h.AccessToken.unmarshal(d)
	case "software_statement":
		return h.softwareStatement(d)
	case "signed_request_body":
		h.SignedRequestBody = new(SignedRequestBody)
		return h.SignedRequestBody.unmarshal(d)
	case "proxy":
		h.Proxy, err = forwardProxy(d)
		return err
	case "policy":
		p, before := new(Policy), h.Policies
		h.Policies = append(h.Policies, p)
		return p.unmarshal(d, before)
	case "explain":
		return oneOf(d, &h.Explain, "on")
	case "audit_retention":
		if err := duration(d, &h.AuditRetention); err != nil {
			return err
		}
		return at(d, h.checkAuditRetention())
	}
	return h.rulesWord(d)
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
