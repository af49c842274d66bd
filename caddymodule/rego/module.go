package rego

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// DefaultPackage is the package that is asked.
const DefaultPackage = "openbanking_dcr"

func init() {
	caddy.RegisterModule(new(Policy))
}

// Policy is a policy in Rego. It is read and checked when the configuration is loaded,
// and then asked with every registration.
type Policy struct {
	// File is one file of Rego. One of File, Directory and Bundle is required. They are
	// read again when they change. In each, placeholders may be used.
	File string `json:"file,omitempty"`
	// Directory holds files of Rego, and data: .json, .yaml and .yml, each at the path of
	// its folder below data, as opa run has it. Names that begin with a dot are left out,
	// and so are tests: files that end in _test.rego.
	Directory string `json:"directory,omitempty"`
	// Bundle is a bundle as opa build writes it, a .tar.gz. Its signature is not looked at.
	Bundle string `json:"bundle,omitempty"`
	// Package is the one whose rules decide. Default: openbanking_dcr.
	Package string `json:"package,omitempty"`

	program *program
	from    string // of File, Directory or Bundle
}

// CaddyModule returns the module's name.
func (*Policy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.openbanking_dcr.policies.rego", New: func() caddy.Module { return new(Policy) }}
}

// Provision reads, checks and compiles the rules.
func (p *Policy) Provision(caddy.Context) error {
	if p.Package == "" {
		p.Package = DefaultPackage
	}
	path, err := ast.ParseRef("data." + p.Package)
	if err != nil || !path.IsGround() {
		return fmt.Errorf("package %q: must be the name of a package", p.Package)
	}
	var from string
	var read func(string) (*sources, error)
	for _, source := range []struct {
		word, path string
		read       func(string) (*sources, error)
	}{{"file", p.File, readFile}, {"directory", p.Directory, readDirectory}, {"bundle", p.Bundle, readBundle}} {
		if source.path == "" {
			continue
		}
		if read != nil {
			return errOneSource
		}
		read = source.read
		if from, err = caddy.NewReplacer().ReplaceOrErr(source.path, true, true); err != nil {
			return fmt.Errorf("%s: %w", source.word, err)
		}
	}
	if read == nil {
		return errOneSource
	}
	p.from = from
	s, err := read(from)
	if err != nil {
		return err
	}
	p.program, err = compile(context.Background(), s, path)
	return err
}

// Files are those of the policy: it is read again when one of them changes, or another one
// comes or goes.
func (p *Policy) Files() ([]string, error) {
	if p.Directory == "" {
		return []string{p.from}, nil
	}
	return filesOf(p.from)
}

// UnmarshalCaddyfile reads
//
//	policy rego file <path> | directory <path> | bundle <path> {
//	    package <name>
//	}
func (p *Policy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // rego
	var word, path string
	if !d.AllArgs(&word, &path) {
		return d.Err("policy rego: must have file, directory or bundle, and a path")
	}
	switch word {
	case "file":
		p.File = path
	case "directory":
		p.Directory = path
	case "bundle":
		p.Bundle = path
	default:
		return d.Errf("policy rego %q: must be file, directory or bundle", word)
	}
	for d.NextBlock(0) {
		switch d.Val() {
		case "package":
			if p.Package != "" {
				return d.Err("package is written twice")
			}
			if !d.AllArgs(&p.Package) {
				return d.ArgErr()
			}
		default:
			return d.Errf("unknown word %q", d.Val())
		}
	}
	return nil
}

var errOneSource = errors.New("must have one of file, directory and bundle")

// Interface guards.
var (
	_ verify.Policy         = (*Policy)(nil)
	_ verify.Reader         = (*Policy)(nil)
	_ caddy.Provisioner     = (*Policy)(nil)
	_ caddyfile.Unmarshaler = (*Policy)(nil)
)
