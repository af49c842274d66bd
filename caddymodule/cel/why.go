package cel

import (
	"context"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// explained is what every part of the expression is for an input; nil if that cannot be
// told. It asks once more, which only denials and faults need.
func (p *Policy) explained(ctx context.Context, in *verify.PolicyInput) interpreter.EvalState {
	// The details are there beside an error, too.
	_, details, _ := p.program.explaining.ContextEval(ctx, variablesOf(in))
	if details == nil {
		return nil
	}
	return details.State()
}

// why names the conditions that do not hold.
func (p *Policy) why(ctx context.Context, in *verify.PolicyInput) string {
	var reasons []string
	p.eachCondition(ctx, in, func(c condition, state interpreter.EvalState) bool {
		if v, _ := state.Value(c.ID()); v == types.False {
			reasons = append(reasons, c.is(v))
		}
		return true
	})
	if len(reasons) == 0 {
		return "the expression is false"
	}
	return strings.Join(reasons, "; ")
}

// path names the deny or reject that gave a decision, the conditions of ? and : that led
// to it, and the text that it has.
func (p *Policy) path(ctx context.Context, in *verify.PolicyInput, text string) string {
	e, reasons := p.program.root, []string(nil)
	for state := p.explained(ctx, in); state != nil && isCall(e, operators.Conditional); {
		args := e.AsCall().Args()
		v, ok := state.Value(args[0].ID())
		if !ok || v != types.True && v != types.False {
			break
		}
		if e = args[1]; v == types.False {
			e = args[2]
		}
		reasons = append(reasons, p.program.tests(args[0], v == types.True, state)...)
	}
	reason := "the expression denies"
	if isCall(e, "deny") || isCall(e, "reject") {
		reason = fmt.Sprintf("%s (line %d)", e.AsCall().FunctionName(), p.program.lineOf(e))
	}
	if len(reasons) > 0 {
		reason += ": " + strings.Join(reasons, "; ")
	}
	if text != "" {
		reason += "; it tells the TPP: " + text
	}
	return reason
}

// tests are the parts of a condition that make it what it is: of a && b those that are
// false, else the whole.
func (p *program) tests(e ast.Expr, holds bool, state interpreter.EvalState) (reasons []string) {
	if !holds {
		for _, part := range conjuncts(e, nil) {
			if v, _ := state.Value(part.ID()); v == types.False {
				reasons = append(reasons, p.condition(part).is(types.False))
			}
		}
	}
	if len(reasons) == 0 {
		reasons = append(reasons, p.condition(e).is(types.Bool(holds)))
	}
	return reasons
}

// is tells of a condition what it is.
func (c condition) is(v any) string { return fmt.Sprintf("%s is %v (line %d)", c.text, v, c.line) }

func isCall(e ast.Expr, function string) bool {
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == function
}
