package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
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
//
// before are the workspace's policies that are written before it.
func (p *Policy) unmarshal(d *caddyfile.Dispenser, before []*Policy) error {
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
		if known, err := p.word(d, before); known {
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
	if err := policylanguage.Missing(language); err != nil {
		return d.Errf("policy: %w", err)
	}
	module, err := caddyfile.UnmarshalModule(d, policylanguage.Namespace+"."+language)
	if err != nil {
		return err
	}
	p.PolicyRaw = caddyconfig.JSONModuleObject(module, "language", language, nil)
	return at(d, untaken(p.nameAt(len(before)), before))
}

// word reads a word that every policy has.
func (p *Policy) word(d *caddyfile.Dispenser, before []*Policy) (known bool, err error) {
	check := func() error { return nil }
	switch d.Val() {
	case "name":
		err, check = oneArg(d, &p.Name), func() error { return untaken(p.Name, before) }
	case "on":
		err, check = someArgs(d, &p.On), p.checkOn
	case "shadow":
		p.Shadow = true
		err = noArgs(d)
	case "text":
		err, check = text(d, &p.Text), p.checkText
	case "code":
		err, check = oneArg(d, &p.Code), p.checkCode
	case "timeout":
		err, check = duration(d, &p.Timeout), p.checkTimeout
	default:
		return false, nil
	}
	if err != nil {
		return true, err
	}
	return true, at(d, check())
}

// text reads a text for TPPs.
func text(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	if *to == "" {
		return d.Err("text: must not be empty; without it the TPP is told that the bank's policy refuses the request")
	}
	return nil
}

// at adds file and line to an error.
func at(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}
