package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// softwareStatement reads
//
//	software_statement off
//	software_statement <issuer> {
//	    jwks           <file>
//	    jwks_uri       <url>
//	    jwks_hosts     <host...>
//	    algorithms     <alg...>
//	    max_age        <duration>
//	    org_status     <value...>
//	    software_mode  <value...>
//	    org_id         <value...>
//	    redirect_uris  unlisted
//	    revoked_keys
//	    self_signed    [unsigned]
//	    private_addresses
//	    proxy          <url> { ... }
//	    trust_pool     <module> ...
//	}
func (h *Handler) softwareStatement(d *caddyfile.Dispenser) error {
	var s SoftwareStatement
	if err := oneArg(d, &s.Issuer); err != nil {
		return err
	}
	if s.Issuer == "off" {
		h.NoSoftwareStatement = true
		return noBlock(d)
	}
	h.SoftwareStatements = append(h.SoftwareStatements, &s)
	err := block(d, func() error { return s.word(d) })
	if err == nil && (s.JWKS == "") == (s.JWKSURI == "") {
		return d.Errf("software_statement %s: exactly one of jwks and jwks_uri is required", s.Issuer)
	}
	return err
}

func (s *SoftwareStatement) word(d *caddyfile.Dispenser) error {
	var only string
	switch d.Val() {
	case "jwks_hosts":
		return someArgs(d, &s.JWKSHosts)
	case "algorithms":
		return someArgs(d, &s.Algorithms)
	case "max_age":
		return duration(d, &s.MaxAge)
	case "org_status":
		return someArgs(d, &s.OrgStatus)
	case "software_mode":
		return someArgs(d, &s.SoftwareMode)
	case "org_id":
		return someArgs(d, &s.OrgID)
	case "redirect_uris":
		s.UnlistedRedirectURIs = true
		return oneOf(d, &only, "unlisted")
	case "revoked_keys":
		s.RevokedKeys = true
		return noArgs(d)
	case "self_signed":
		s.SelfSigned = true
		if d.CountRemainingArgs() == 0 {
			return nil
		}
		s.Unsigned = true
		return oneOf(d, &only, "unsigned")
	}
	return keysWord(d, &s.JWKS, &s.JWKSURI, &s.PrivateAddresses, &s.Proxy, &s.TrustPoolRaw)
}

// unmarshal reads
//
//	signed_request_body off
//	signed_request_body [software_jwks_endpoint | jwks <file> | jwks_uri <url>] {
//	    private_addresses
//	    proxy <url> { ... }
//	    trust_pool <module> ...
//	}
func (s *SignedRequestBody) unmarshal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 0, len(args) == 1 && args[0] == "software_jwks_endpoint":
	case len(args) == 2 && args[0] == "jwks":
		s.JWKS = args[1]
	case len(args) == 2 && args[0] == "jwks_uri":
		s.JWKSURI = args[1]
	case len(args) == 1 && args[0] == "off":
		s.Off = true
		return noBlock(d)
	default:
		return d.Errf("signed_request_body: must be software_jwks_endpoint, jwks <file> or jwks_uri <url>, not %q", args)
	}
	return block(d, func() error {
		if d.Val() == "jwks" || d.Val() == "jwks_uri" {
			return d.Errf("signed_request_body: write %s on the first line", d.Val())
		}
		return keysWord(d, nil, nil, &s.PrivateAddresses, &s.Proxy, &s.TrustPoolRaw)
	})
}

// keysWord reads a word of the blocks that say where keys are.
func keysWord(d *caddyfile.Dispenser, file, address *string, private *bool, proxy **ForwardProxy, pool *json.RawMessage) (err error) {
	switch d.Val() {
	case "jwks":
		return oneArg(d, file)
	case "jwks_uri":
		return oneArg(d, address)
	case "private_addresses":
		*private = true
		return noArgs(d)
	case "proxy":
		*proxy, err = forwardProxy(d)
		return err
	case "trust_pool":
		*pool, err = guest(d, "tls.ca_pool.source.", "provider")
		return err
	}
	return unknown(d)
}
