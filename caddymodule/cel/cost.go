package cel

import (
	"slices"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// To count what an expression costs while it is evaluated takes as long as to evaluate
// it. So it is shown at load, where that is possible, that an expression costs less
// than its limit for every input with no text longer than usual; only other expressions,
// and other inputs, are counted.

// typicalTextLength is the length of a claim, as JSON, up to which nothing needs counting. A
// list within it has not more items either.
const typicalTextLength = 4096

// bulky is the claim that is longer in every request, and of no use to a policy.
const bulky = "software_statement"

// sizes bound what an input may have.
type sizes struct{}

func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	most := uint64(typicalTextLength)
	if path := node.Path(); len(path) > 1 && path[1] == bulky || node.Type() != nil && node.Type().Kind() == types.StringKind {
		most = verify.MaxRequest
	}
	return &checker.SizeEstimate{Min: 0, Max: most}
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// estimated are the functions whose cost CEL can estimate, and those that cost nothing.
var estimated = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse, operators.Equals, operators.NotEquals,
	operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.In, operators.Index, operators.Add, operators.Subtract,
	operators.Negate, operators.OptIndex, operators.OptSelect, "size", "startsWith", "endsWith", "contains", "matches", "duration", "timestamp", "string", "int", "orValue", "hasValue", "value",
	"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds",
	"allow", "require_approval", "deny", "reject", "scopes", "grants",
}

// costsLess tells whether every evaluation of an expression costs less than a limit.
func costsLess(env *celgo.Env, checked *celgo.Ast, limit uint64) bool {
	known := true
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && !slices.Contains(estimated, e.AsCall().FunctionName()) {
			known = false
		}
	}))
	if !known {
		return false
	}
	cost, err := env.EstimateCost(checked, sizes{})
	return err == nil && cost.Max < limit
}

// isTypical tells whether no claim of an input is longer than usual.
func isTypical(in *verify.PolicyInput) bool {
	objects := [3]strictjson.Object{in.Request, in.SSA}
	if in.Token != nil {
		objects[2] = in.Token.Claims
	}
	for _, o := range objects {
		for _, m := range o.Members() {
			if len(m.Value) > typicalTextLength && m.Name != bulky {
				return false
			}
		}
	}
	return true
}
