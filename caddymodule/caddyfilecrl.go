package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// revocationWord reads a word of the revocation of client certificates:
//
//	crl <file|url...> {       # several times
//	    private_addresses
//	    trust_pool <module> ...
//	    proxy <url>|off
//	}
//	crl_mode soft|strict
func (h *Handler) revocationWord(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "crl":
		c := new(CRL)
		if err := someArgs(d, &c.From); err != nil {
			return err
		}
		h.CRL = append(h.CRL, c)
		for _, from := range c.From {
			if err := checkCRLSource(from); err != nil {
				return d.Errf("crl: %v", err)
			}
		}
		return block(d, func() error { return c.word(d) })
	case "crl_mode":
		return oneOf(d, &h.CRLMode, "soft", "strict")
	}
	return h.reviewWord(d)
}

func (c *CRL) word(d *caddyfile.Dispenser) (err error) {
	switch d.Val() {
	case "private_addresses":
		c.PrivateAddresses = true
		return noArgs(d)
	case "trust_pool":
		c.TrustPoolRaw, err = guest(d, "tls.ca_pool.source.", "provider")
		return err
	case "proxy":
		c.Proxy, err = forwardProxy(d)
		return err
	}
	return unknown(d)
}
