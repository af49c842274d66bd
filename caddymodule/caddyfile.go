package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
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
//	    authorization_server <url> { ... }
//	    audience             <value...>
//	    client_certificate   off
//	    access_token         dcr_register { client <id> <placeholder> }
//	    access_token         off
//	    software_statement   <issuer> { ... }      # one for each directory
//	    signed_request_body  [software_jwks_endpoint | jwks <file> | jwks_uri <url>] { ... }
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
	if err := block(d, func() error { return h.word(d) }, "software_statement"); err != nil {
		return err
	}
	return h.checkProtections(d)
}

func (h *Handler) word(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "register_path":
		return oneArg(d, &h.RegisterPath)
	case "authorization_server":
		h.AuthorizationServer = new(AuthorizationServer)
		return h.AuthorizationServer.unmarshal(d)
	case "audience":
		if h.Audience = d.RemainingArgs(); len(h.Audience) == 0 {
			return d.ArgErr()
		}
	case "client_certificate":
		if err := oneArg(d, &h.ClientCertificate); err != nil {
			return err
		}
		if h.ClientCertificate != "off" {
			return d.Errf("client_certificate: the only word is off, not %q", h.ClientCertificate)
		}
	case "access_token":
		h.AccessToken = new(AccessToken)
		return h.AccessToken.unmarshal(d)
	case "software_statement":
		var s SoftwareStatement
		if err := s.unmarshal(d); err != nil {
			return err
		}
		h.SoftwareStatements = append(h.SoftwareStatements, &s)
	case "signed_request_body":
		h.SignedRequestBody = new(SignedRequestBody)
		return h.SignedRequestBody.unmarshal(d)
	case "policy":
		return d.Err("policy is not supported yet")
	default:
		return unknown(d)
	}
	return nil
}

// checkProtections refuses what Provision would refuse too, but with file and line.
func (h *Handler) checkProtections(d *caddyfile.Dispenser) error {
	switch {
	case h.AuthorizationServer == nil:
		return d.Errf("openbanking_dcr %s: authorization_server is missing", h.Workspace)
	case len(h.SoftwareStatements) == 0:
		return d.Errf("openbanking_dcr %s: software_statement is missing: without a directory whose statements are accepted nothing is protected", h.Workspace)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
