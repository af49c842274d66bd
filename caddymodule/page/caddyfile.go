package page

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective(name, func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		p := new(Page)
		return p, p.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder(name, httpcaddyfile.Before, "reverse_proxy")
}

// UnmarshalCaddyfile reads
//
//	openbanking_dcr_admin {
//		operators <name> ...
//		viewers <name> ...
//		user_header <header>
//		role_header <header> <role of operators>
//		client_certificates {
//			trust_pool <module> ...
//		}
//		protected_elsewhere
//	}
func (p *Page) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		word, args := d.Val(), d.RemainingArgs()
		wants := map[string]int{"user_header": 1, "role_header": 2, "client_certificates": 0, "protected_elsewhere": 0}
		if n, fixed := wants[word]; fixed && len(args) != n || !fixed && len(args) == 0 {
			return d.Errf("%s: has %d words behind it, which is not what it takes", word, len(args))
		}
		switch word {
		case "operators":
			p.Operators = append(p.Operators, args...)
		case "viewers":
			p.Viewers = append(p.Viewers, args...)
		case "user_header":
			p.UserHeader = args[0]
		case "role_header":
			p.RoleHeader, p.OperatorRole = args[0], args[1]
		case "client_certificates":
			if p.ClientCertificates != nil {
				return d.Err("client_certificates: is there twice")
			}
			p.ClientCertificates = new(ClientCertificates)
			if err := p.ClientCertificates.unmarshal(d); err != nil {
				return err
			}
		case "protected_elsewhere":
			p.ProtectedElsewhere = true
		default:
			return d.Errf("unknown word %s; there are operators, viewers, user_header, role_header, client_certificates and protected_elsewhere", word)
		}
	}
	return nil
}

func (c *ClientCertificates) unmarshal(d *caddyfile.Dispenser) error {
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "trust_pool" || !d.NextArg() || c.TrustPoolRaw != nil {
			return d.Err("client_certificates: write one trust_pool in it, like trust_pool file operators.pem")
		}
		provider := d.Val()
		module, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+provider)
		if err != nil {
			return err
		}
		c.TrustPoolRaw = caddyconfig.JSONModuleObject(module, "provider", provider, nil)
	}
	return nil
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Page)(nil)
