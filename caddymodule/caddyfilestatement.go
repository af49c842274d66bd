package caddymodule

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unmarshal reads
//
//	software_statement <issuer> {
//	    jwks       <file>
//	    jwks_uri   <url>
//	    jwks_hosts <host...>
//	    private_addresses
//	    trust_pool <module> ...
//	}
func (s *SoftwareStatement) unmarshal(d *caddyfile.Dispenser) error {
	if err := oneArg(d, &s.Issuer); err != nil {
		return err
	}
	err := block(d, func() error {
		switch d.Val() {
		case "jwks_hosts":
			if s.JWKSHosts = d.RemainingArgs(); len(s.JWKSHosts) == 0 {
				return d.ArgErr()
			}
			return nil
		}
		return keysWord(d, &s.JWKS, &s.JWKSURI, &s.PrivateAddresses, &s.TrustPoolRaw)
	})
	if err == nil && (s.JWKS == "") == (s.JWKSURI == "") {
		return d.Errf("software_statement %s: exactly one of jwks and jwks_uri is required", s.Issuer)
	}
	return err
}

// unmarshal reads
//
//	signed_request_body [software_jwks_endpoint | jwks <file> | jwks_uri <url>] {
//	    private_addresses
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
		return d.Err("signed_request_body off is not supported yet: without it, a software statement must be bound to the certificate in another way")
	default:
		return d.Errf("signed_request_body: software_jwks_endpoint, jwks <file> or jwks_uri <url>, not %q", args)
	}
	return block(d, func() error {
		if d.Val() == "jwks" || d.Val() == "jwks_uri" {
			return d.Errf("signed_request_body: write %s on the first line", d.Val())
		}
		return keysWord(d, nil, nil, &s.PrivateAddresses, &s.TrustPoolRaw)
	})
}

// keysWord reads a word of the blocks that say where keys are.
func keysWord(d *caddyfile.Dispenser, file, address *string, private *bool, pool *json.RawMessage) (err error) {
	switch d.Val() {
	case "jwks":
		return oneArg(d, file)
	case "jwks_uri":
		return oneArg(d, address)
	case "private_addresses":
		*private = true
		return noArgs(d)
	case "trust_pool":
		*pool, err = guest(d, "tls.ca_pool.source.", "provider")
		return err
	}
	return unknown(d)
}
