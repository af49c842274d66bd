package cel

import (
	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// checkTexts checks the texts for TPPs that are written out in an expression. One that
// is computed is cleaned when it is told.
func checkTexts(checked *celgo.Ast, where place) (err error) {
	native := checked.NativeRep()
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || err != nil {
			return
		}
		name := e.AsCall().FunctionName()
		if name != "deny" && name != "reject" {
			return
		}
		for _, text := range texts(e.AsCall().Args()[0], nil) {
			if wrong := verify.CheckPolicyText(text.AsLiteral().Value().(string)); wrong != nil {
				err = where.fault(native.SourceInfo().GetStartLocation(text.ID()), name+": "+wrong.Error())
				return
			}
		}
	}))
	return err
}

// texts are the literals that a text is, or that it is chosen or put together from.
func texts(e ast.Expr, found []ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.LiteralKind:
		if _, ok := e.AsLiteral().(types.String); ok {
			return append(found, e)
		}
	case ast.CallKind:
		args := e.AsCall().Args()
		switch e.AsCall().FunctionName() {
		case operators.Add:
			return texts(args[1], texts(args[0], found))
		case operators.Conditional:
			return texts(args[2], texts(args[1], found))
		}
	}
	return found
}
