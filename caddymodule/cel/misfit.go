package cel

import (
	"regexp"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// notIterable is CEL's error of a loop through something else.
var notIterable = regexp.MustCompile(`got 'types\.(\w+)', expected iterable type`)

// misfit tells in words which part of a condition got a claim of another kind than it
// takes; empty where that is not why it fails, or where nobody has words for it.
func misfit(c condition, state interpreter.EvalState) (words string) {
	whole, ok := state.Value(c.ID())
	if !ok || fitsCondition(whole) {
		return ""
	}
	why, ok := whole.(*types.Err)
	if !ok {
		return notBool(kindOfValue(whole))
	}
	if m := notIterable.FindStringSubmatch(why.Error()); m != nil {
		return notThrough(kindOf(strings.ToLower(m[1])))
	}
	const overload = "no such overload"
	if !strings.HasPrefix(why.Error(), overload) {
		return ""
	}
	ast.PostOrderVisit(c.Expr, ast.NewExprVisitor(func(e ast.Expr) {
		v, _ := state.Value(e.ID())
		if failed, ok := v.(*types.Err); ok && words == "" && e.Kind() == ast.CallKind && strings.HasPrefix(failed.Error(), overload) {
			words = misfits(e.AsCall(), state)
		}
	}))
	return words
}

// misfits is the same for one call that has failed.
func misfits(call ast.CallExpr, state interpreter.EvalState) string {
	kind := func(e ast.Expr) string {
		if e.Kind() == ast.LiteralKind {
			return kindOfValue(e.AsLiteral())
		}
		v, ok := state.Value(e.ID())
		if !ok || types.IsUnknownOrError(v) {
			return ""
		}
		return kindOfValue(v)
	}
	target := ""
	if call.IsMemberFunction() {
		if target = kind(call.Target()); target == "" {
			return ""
		}
	}
	args := make([]string, len(call.Args()))
	for i, arg := range call.Args() {
		// Of condition ? a : b one side is enough, and none of the two is at fault.
		if args[i] = kind(arg); args[i] == "" && (call.FunctionName() != "_?_:_" || i == 0) {
			return ""
		}
	}
	return mismatch(call.FunctionName(), target, args)
}

func kindOfValue(v ref.Val) string { return kindOf(v.Type().TypeName()) }

// fitsCondition tells whether a condition may be this.
func fitsCondition(v ref.Val) bool {
	switch v.(type) {
	case types.Bool, decision:
		return true
	}
	return false
}
