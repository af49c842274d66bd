// Package cel is the policy language CEL (Common Expression Language): one expression
// that is true for the registrations that a bank lets in.
package cel

import (
	"context"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Decide asks the expression.
func (p *Policy) Decide(ctx context.Context, in *verify.PolicyInput) (verify.Decision, error) {
	program := p.program.Program
	if p.program.uncounted != nil && isTypical(in) {
		program = p.program.uncounted
	}
	v, _, err := program.ContextEval(ctx, variablesOf(in))
	if err != nil {
		return verify.Decision{}, p.failed(ctx, in, err)
	}
	switch v := v.(type) {
	case decision:
		if !v.Allowed {
			v.Reason = p.path(ctx, in, v.Text)
		}
		return v.Decision, nil
	case types.Bool:
		if v {
			return verify.Decision{Allowed: true}, nil
		}
		return verify.Decision{Reason: p.why(ctx, in)}, nil
	}
	return verify.Decision{}, notBool(v)
}

// notBool is the error of what is neither true nor false.
func notBool(v ref.Val) error {
	return fmt.Errorf("gives %s, not true or false", v.Type().TypeName())
}

// Reads tells whether the expression names it.
func (p *Policy) Reads(name string) bool { return p.program.reads[name] }

// failed is an error for operators, who see where it comes from and how to mend it.
func (p *Policy) failed(ctx context.Context, in *verify.PolicyInput, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(err.Error(), errNull.Error()):
		err = errNull
	case strings.Contains(err.Error(), "cost limit exceeded"):
		return fmt.Errorf("costs more than its cost_limit, %d; make it cheaper, or raise cost_limit in its block (at most %d)", p.CostLimit, MaxCostLimit)
	}
	p.eachCondition(ctx, in, func(c condition, state interpreter.EvalState) bool {
		v, _ := state.Value(c.ID())
		switch v.(type) {
		case types.Bool, decision:
			return true
		case *types.Err:
		default:
			err = notBool(v)
		}
		err = fmt.Errorf("%s fails (line %d): %w", c.text, c.line, err)
		return false
	})
	switch {
	case strings.Contains(err.Error(), "no such overload"):
		err = fmt.Errorf("%w; it has a claim of another type than it takes", err)
	case strings.Contains(err.Error(), "no such key"):
		err = fmt.Errorf("%w; is it misspelt? If it is not, and may be absent, ask with has() first, or read it as .?name.orValue(...)", err)
	}
	return err
}

// eachCondition tells f of each of the parts that && joins, and what its own parts are,
// until it has enough.
func (p *Policy) eachCondition(ctx context.Context, in *verify.PolicyInput, f func(condition, interpreter.EvalState) bool) {
	state := p.explained(ctx, in)
	if state == nil {
		return
	}
	for _, c := range p.program.conditions {
		if _, ok := state.Value(c.ID()); ok && !f(c, state) {
			return
		}
	}
}

// variables give an expression the parts of the input that it names, for one decision.
type variables struct {
	in           *verify.PolicyInput
	request, ssa claims
}

func variablesOf(in *verify.PolicyInput) *variables {
	return &variables{in: in, request: claims{Object: in.Request}, ssa: claims{Object: in.SSA}}
}

// ResolveName is one variable's value.
func (v *variables) ResolveName(name string) (any, bool) {
	in := v.in
	switch name {
	case "operation":
		return types.String(in.Operation), true
	case "workspace":
		return types.String(in.Workspace), true
	case "remote":
		return types.String(in.Remote), true
	case "now":
		return types.Timestamp{Time: in.Now}, true
	case "request":
		return &v.request, true
	case "ssa":
		return &v.ssa, true
	case "registration":
		return orNull(in.Registration), true
	case "certificate":
		return orNull(in.Certificate), true
	case "client":
		return orNull(in.Client), true
	case "software":
		return orNull(in.Software), true
	case "token":
		return orNull(in.Token), true
	}
	return nil, false
}

// Parent is nil: there are no other variables.
func (*variables) Parent() interpreter.Activation { return nil }

func orNull[T any](p *T) any {
	if p == nil {
		return types.NullValue
	}
	return p
}
