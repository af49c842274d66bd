package caddymodule

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// block reads the words of a block, each with word. A word that is written twice
// is refused, unless it may come often: the second would silently win.
func block(d *caddyfile.Dispenser, word func() error, often ...string) error {
	var seen []string
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if w := d.Val(); slices.Contains(seen, w) && !slices.Contains(often, w) {
			return d.Errf("%s is written twice", w)
		}
		seen = append(seen, d.Val())
		if err := word(); err != nil {
			return err
		}
	}
	return nil
}

// noBlock refuses the words of a block that is not looked at.
func noBlock(d *caddyfile.Dispenser) error {
	return block(d, func() error { return unknown(d) })
}

func unknown(d *caddyfile.Dispenser) error { return d.Errf("unknown word %q", d.Val()) }

// oneArg reads exactly one argument.
func oneArg(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) || *to == "" {
		return d.ArgErr()
	}
	return nil
}

func noArgs(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// placeholderArg reads a secret.
func placeholderArg(d *caddyfile.Dispenser, to *string) error {
	name := d.Val()
	if err := oneArg(d, to); err != nil {
		return err
	}
	if err := mustBePlaceholder(name, *to); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// guest reads <module> ... of a namespace.
func guest(d *caddyfile.Dispenser, namespace, inline string) (json.RawMessage, error) {
	if !d.NextArg() {
		return nil, d.ArgErr()
	}
	name := d.Val()
	module, err := caddyfile.UnmarshalModule(d, namespace+name)
	if err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(module, inline, name, nil), nil
}

func oneOf(d *caddyfile.Dispenser, to *string, words ...string) error {
	name := d.Val()
	if err := oneArg(d, to); err != nil {
		return err
	}
	if !slices.Contains(words, *to) {
		return d.Errf("%s %q: must be one of %q", name, *to, words)
	}
	return nil
}

// client reads <id> <placeholder>.
func client(d *caddyfile.Dispenser) (*Credentials, error) {
	var c Credentials
	if !d.AllArgs(&c.ID, &c.Secret) {
		return nil, d.ArgErr()
	}
	if err := mustBePlaceholder("the secret of client "+c.ID, c.Secret); err != nil {
		return nil, d.WrapErr(err)
	}
	return &c, nil
}

// unmarshal reads
//
//	access_token off
//	access_token dcr_register {
//	    client         <id> <placeholder>
//	    token_lifetime <duration>
//	}
func (t *AccessToken) unmarshal(d *caddyfile.Dispenser) error {
	var what string
	if err := oneOf(d, &what, "off", "dcr_register"); err != nil {
		return err
	}
	t.Off = what == "off"
	return block(d, func() (err error) {
		if t.Off {
			return unknown(d)
		}
		switch d.Val() {
		case "client":
			t.Client, err = client(d)
		case "token_lifetime":
			err = duration(d, &t.Lifetime)
		default:
			err = unknown(d)
		}
		return err
	})
}
