package cel

import (
	"fmt"
	"regexp"
	"strings"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// checkLiterals checks the times and patterns that are written out in an expression.
func checkLiterals(checked *celgo.Ast, where place) (err error) {
	native := checked.NativeRep()
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || err != nil || len(e.AsCall().Args()) == 0 {
			return
		}
		last := e.AsCall().Args()[len(e.AsCall().Args())-1]
		if last.Kind() != ast.LiteralKind {
			return
		}
		text, ok := last.AsLiteral().(types.String)
		if !ok {
			return
		}
		if wrong := wrongLiteral(e.AsCall().FunctionName(), text); wrong != nil {
			err = where.fault(native.SourceInfo().GetStartLocation(last.ID()), wrong.Error())
		}
	}))
	return err
}

func wrongLiteral(function string, text types.String) error {
	switch function {
	case "timestamp":
		if types.IsError(text.ConvertToType(types.TimestampType)) {
			return fmt.Errorf(`timestamp: %q is no time; write date, time and zone: timestamp("2026-07-01T00:00:00Z")`, string(text))
		}
	case "duration":
		if types.IsError(text.ConvertToType(types.DurationType)) {
			return fmt.Errorf(`duration: %q is no length of time; write it in h, m and s: duration("720h")`, string(text))
		}
	case "matches":
		if _, err := regexp.Compile(string(text)); err != nil {
			return fmt.Errorf("matches: %s", strings.TrimPrefix(err.Error(), "error parsing "))
		}
	}
	return nil
}
