package caddymodule

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// forwardProxy reads
//
//	proxy <url> {
//	    trust_pool <module> ...
//	}
//	proxy off
func forwardProxy(d *caddyfile.Dispenser) (p *ForwardProxy, err error) {
	p = new(ForwardProxy)
	if err := oneArg(d, &p.URL); err != nil {
		return nil, err
	}
	if p.URL == "off" {
		p.URL, p.Off = "", true
		return p, noBlock(d)
	}
	if err := at(d, p.check()); err != nil {
		return nil, err
	}
	return p, block(d, func() (err error) {
		if d.Val() != "trust_pool" {
			return unknown(d)
		}
		p.TrustPoolRaw, err = guest(d, "tls.ca_pool.source.", "provider")
		return err
	})
}
