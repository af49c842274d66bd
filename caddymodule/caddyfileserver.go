package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// unmarshal reads
//
//	authorization_server <url> {
//	    client              <id> <placeholder>
//	    provision           rfc7591 { ... }
//	    token_endpoint_auth auto|native|bridge { ... }
//	    client_certificate  header <form> [<name>]
//	    shared_header       <name> <placeholder>
//	    tls_client_auth     <certificate> <key>
//	    supports            <member> <value...>   # one for each member
//	    dn_format           rfc4514|openssl|go
//	    san                 <dns|uri|ip|email...>
//	    introspection_endpoint <path or url>
//	    revocation_endpoint <path or url>
//	    validate            introspection|jwt
//	    token_audience      <value...>
//	    as_errors           pass
//	    proxy               <url> { ... }
//	    trust_pool          <module> ...
//	}
func (c *AuthorizationServer) unmarshal(d *caddyfile.Dispenser) error {
	if err := oneArg(d, &c.URL); err != nil {
		return err
	}
	err := block(d, func() (err error) {
		switch d.Val() {
		case "client":
			c.Client, err = client(d)
		case "provision":
			c.Provision = new(Provision)
			err = c.Provision.unmarshal(d)
		case "token_endpoint_auth":
			err = c.tokenEndpointAuth(d)
		case "client_certificate":
			c.ClientCertificate = new(CertificateHeader)
			err = c.ClientCertificate.unmarshal(d, d.RemainingArgs())
		case "shared_header":
			c.SharedHeader = new(SharedHeader)
			err = c.SharedHeader.unmarshal(d)
		case "tls_client_auth":
			c.TLSClientAuth = new(KeyPair)
			if !d.AllArgs(&c.TLSClientAuth.Certificate, &c.TLSClientAuth.Key) {
				err = d.ArgErr()
			}
		case "supports":
			err = c.supports(d)
		case "dn_format":
			err = oneOf(d, &c.DNFormat, "rfc4514", "openssl", "go")
		case "san":
			err = someArgs(d, &c.SAN)
		case "introspection_endpoint":
			err = oneArg(d, &c.IntrospectionEndpoint)
		case "revocation_endpoint":
			err = oneArg(d, &c.RevocationEndpoint)
		case "validate":
			err = oneOf(d, &c.Validate, "introspection", "jwt")
		case "token_audience":
			err = someArgs(d, &c.TokenAudience)
		case "as_errors":
			err = oneOf(d, &c.ASErrors, "pass")
		case "proxy":
			c.Proxy, err = forwardProxy(d)
		case "trust_pool":
			c.TrustPoolRaw, err = guest(d, "tls.ca_pool.source.", "provider")
		default:
			err = unknown(d)
		}
		if err == nil {
			err = at(d, c.checkEndpoints())
		}
		return err
	}, "supports")
	if err == nil && c.Provision == nil {
		return d.Err("authorization_server: provision is missing: it is how clients become known to the authorization server")
	}
	return err
}

// tokenEndpointAuth reads
//
//	token_endpoint_auth auto|native|bridge {
//	    method client_secret_basic|client_secret_post
//	    bind_access_tokens
//	}
func (c *AuthorizationServer) tokenEndpointAuth(d *caddyfile.Dispenser) error {
	if err := oneOf(d, &c.TokenEndpointAuth, "auto", "native", "bridge"); err != nil {
		return err
	}
	return block(d, func() error {
		switch d.Val() {
		case "method":
			return oneOf(d, &c.BridgeMethod, "client_secret_basic", "client_secret_post")
		case "bind_access_tokens":
			c.BindAccessTokens = true
			return noArgs(d)
		}
		return unknown(d)
	})
}

// supports reads <member> <value...>.
func (c *AuthorizationServer) supports(d *caddyfile.Dispenser) error {
	values := d.RemainingArgs()
	if len(values) < 2 {
		return d.ArgErr()
	}
	if c.Supports[values[0]] != nil {
		return d.Errf("supports %s is written twice", values[0])
	}
	if c.Supports == nil {
		c.Supports = map[string][]string{}
	}
	c.Supports[values[0]] = values[1:]
	return nil
}

// unmarshal reads header <form> [<name>].
func (c *CertificateHeader) unmarshal(d *caddyfile.Dispenser, args []string) error {
	if len(args) < 2 || len(args) > 3 || args[0] != "header" {
		return d.Errf("client_certificate: must be header <form> [<name>] (at the workspace also: off), with one of the forms %q", verify.CertificateForms)
	}
	c.Form = args[1]
	if len(args) == 3 {
		c.Name = args[2]
	}
	if _, err := c.read(); err != nil {
		return d.Errf("client_certificate header: %v", err)
	}
	return nil
}

func (s *SharedHeader) unmarshal(d *caddyfile.Dispenser) error {
	if !d.AllArgs(&s.Name, &s.Secret) {
		return d.ArgErr()
	}
	if err := checkHeaderName(s.Name); err != nil {
		return d.Errf("shared_header %v", err)
	}
	if err := mustBePlaceholder("shared_header "+s.Name, s.Secret); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// clientCertificate reads
//
//	client_certificate off
//	client_certificate header <form> [<name>] {
//	    trust_pool <module> ...
//	}
func (h *Handler) clientCertificate(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 1 && args[0] == "off" {
		h.ClientCertificate = "off"
		return noBlock(d)
	}
	p := new(ProxyCertificate)
	h.ClientCertificateHeader = p
	if err := p.CertificateHeader.unmarshal(d, args); err != nil {
		return err
	}
	err := block(d, func() (err error) {
		if d.Val() != "trust_pool" {
			return unknown(d)
		}
		p.TrustPoolRaw, err = guest(d, "tls.ca_pool.source.", "provider")
		return err
	})
	if err == nil && p.TrustPoolRaw == nil {
		return d.Err("client_certificate header: trust_pool is missing: the certificates that the load balancer hands on are verified again")
	}
	return err
}

// unmarshal reads
//
//	provision rfc7591 {
//	    initial_access_token <placeholder>
//	    client_id_header     <name>
//	    keys                 inline
//	    send                 software_statement
//	}
func (p *Provision) unmarshal(d *caddyfile.Dispenser) error {
	if err := oneOf(d, &p.Method, "rfc7591"); err != nil {
		return err
	}
	return block(d, func() error {
		switch d.Val() {
		case "initial_access_token":
			return placeholderArg(d, &p.InitialAccessToken)
		case "client_id_header":
			return oneArg(d, &p.ClientIDHeader)
		case "keys":
			return oneOf(d, &p.Keys, "inline")
		case "send":
			var what string
			p.SendStatement = true
			return oneOf(d, &what, "software_statement")
		}
		return unknown(d)
	})
}
