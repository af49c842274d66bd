package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// unmarshal reads
//
//	policy <language> <argument...> {
//	    name    <name>
//	    on      create|read|update|delete...
//	    shadow
//	    text    <text>
//	    code    unapproved_software_statement|invalid_client_metadata
//	    timeout <duration>
//	    ...     # the language's own words
//	}
func (p *Policy) unmarshal(d *caddyfile.Dispenser) error {
	all := d.NextSegment()
	d = caddyfile.NewDispenser(all)
	d.Next() // policy
	if !d.NextArg() {
		return d.Err("policy: the language is missing, like cel")
	}
	language, own := d.Val(), caddyfile.Segment{d.Token()}
	for d.NextArg() {
		own = append(own, d.Token())
	}
	open := len(own) + 1 // where all has its brace, if it has one
	var words caddyfile.Segment
	err := block(d, func() error {
		if known, err := p.word(d); known {
			return err
		}
		words = append(words, d.NextSegment()...)
		return nil
	})
	if err != nil {
		return err
	}
	if len(words) > 0 {
		own = append(append(append(own, all[open]), words...), all[len(all)-1])
	}
	d = caddyfile.NewDispenser(own)
	d.Next()
	module, err := caddyfile.UnmarshalModule(d, policyNamespace+"."+language)
	if err != nil {
		if language == "rego" && strings.Contains(err.Error(), "not registered") {
			return d.Err("policy rego: not in this build; build Caddy with --with github.com/caddy-dcr/caddy-dcr/caddymodule/rego too")
		}
		return err
	}
	p.PolicyRaw = caddyconfig.JSONModuleObject(module, "language", language, nil)
	return nil
}

// word reads a word that every policy has.
func (p *Policy) word(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "name":
		return true, oneArg(d, &p.Name)
	case "on":
		return true, someArgs(d, &p.On)
	case "shadow":
		p.Shadow = true
		return true, noArgs(d)
	case "text":
		return true, oneArg(d, &p.Text)
	case "code":
		return true, oneArg(d, &p.Code)
	case "timeout":
		return true, duration(d, &p.Timeout)
	}
	return false, nil
}
