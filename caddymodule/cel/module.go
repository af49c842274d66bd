package cel

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

func init() {
	caddy.RegisterModule(new(Policy))
}

// Policy is one expression in CEL. It is checked when the configuration is loaded, and
// then asked with every registration.
type Policy struct {
	// Expression gives true or false, or what allow(), require_approval(reason), deny(text) and reject(text)
	// give. Either it or File is required.
	Expression string `json:"expression,omitempty"`
	// File holds the expression. It is read again when it changes. Placeholders may be used.
	File string `json:"file,omitempty"`
	// CostLimit is how much one decision may cost, in CEL's units: about one for each
	// step. Default: 1000000. At most 100000000.
	CostLimit uint64 `json:"cost_limit,omitempty"`

	program *program
	from    string // the path that File is
}

// CaddyModule returns the module's name.
func (*Policy) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.openbanking_dcr.policies.cel", New: func() caddy.Module { return new(Policy) }}
}

// Provision reads and checks the expression.
func (p *Policy) Provision(caddy.Context) (err error) {
	if (p.Expression == "") == (p.File == "") {
		return errOneSource
	}
	if p.CostLimit == 0 {
		p.CostLimit = DefaultCostLimit
	}
	if err := p.checkCostLimit(); err != nil {
		return err
	}
	if p.File == "" {
		p.program, err = compile(place{text: p.Expression, source: "expression", line: 1}, p.CostLimit)
		return err
	}
	if p.from, err = caddy.NewReplacer().ReplaceOrErr(p.File, true, true); err != nil {
		return fmt.Errorf("file: %w", err)
	}
	p.program, err = compileFile(p.from, p.CostLimit)
	return err
}

// Files is the policy's file: it is read again when that changes.
func (p *Policy) Files() ([]string, error) {
	if p.from == "" {
		return nil, nil
	}
	return []string{p.from}, nil
}

// UnmarshalCaddyfile reads
//
//	policy cel <expression> | file <path> {
//	    cost_limit <number>
//	}
//
// The expression is checked here already, where its place in the Caddyfile is known.
func (p *Policy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // cel
	args := d.RemainingArgs()
	switch {
	case len(args) > 0 && args[0] == "file" && (len(args) == 1 || args[1] == ""):
		return d.Err("policy cel file: the path is missing, like policies/active.cel")
	case len(args) == 1:
		p.Expression = args[0]
	case len(args) == 2 && args[0] == "file":
		p.File = args[1]
	default:
		return d.Err("policy cel: give one expression in backticks, or file and a path")
	}
	if err := p.check(d.Token()); err != nil {
		return d.Errf("policy cel:\n%w", err)
	}
	for d.NextBlock(0) {
		switch d.Val() {
		case "cost_limit":
			var text string
			if !d.AllArgs(&text) {
				return d.ArgErr()
			}
			var err error
			if p.CostLimit, err = strconv.ParseUint(text, 10, 63); err != nil || p.CostLimit == 0 {
				return d.Errf("cost_limit %q: must be a number above 0", text)
			}
			if err := p.checkCostLimit(); err != nil {
				return d.WrapErr(err)
			}
		default:
			return d.Errf("unknown word %q", d.Val())
		}
	}
	return nil
}

// check checks the expression, or its file, that a token names.
func (p *Policy) check(t caddyfile.Token) error {
	if p.File == "" {
		_, err := compile(placeIn(t), DefaultCostLimit)
		return err
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(p.File, true, true)
	if err != nil {
		return nil // a variable that only the gateway has
	}
	_, err = compileFile(path, DefaultCostLimit)
	return err
}

func (p *Policy) checkCostLimit() error {
	if p.CostLimit > MaxCostLimit {
		return fmt.Errorf("cost_limit: must be at most %d, because more takes longer than any timeout", MaxCostLimit)
	}
	return nil
}

var errOneSource = errors.New("must have one of expression and file")

// Interface guards.
var (
	_ verify.Policy         = (*Policy)(nil)
	_ verify.Reader         = (*Policy)(nil)
	_ caddy.Provisioner     = (*Policy)(nil)
	_ caddyfile.Unmarshaler = (*Policy)(nil)
)
