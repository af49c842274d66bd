package cel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// loadError tells every fault of an expression in the words of cel-go, with its place,
// and then which names there are where one is unknown.
func loadError(env *celgo.Env, where place, issues *celgo.Issues) error {
	parsed, unparsed := env.Parse(where.text)
	var faults []error
	var names []string
	for _, e := range issues.Errors() {
		faults = append(faults, where.fault(e.Location, strings.TrimSuffix(e.Message, " (in container '')"))) // policies have one container, without a name
		if unparsed.Err() != nil {
			continue // there is no tree to look into
		}
		if known := knownNames(env, parsed, e); known != "" && !slices.Contains(names, known) {
			names = append(names, known)
		}
	}
	for _, known := range names {
		faults = append(faults, errors.New(known))
	}
	return errors.Join(faults...)
}

// knownNames lists the names that an expression could have had in place of one that is
// unknown; empty for other faults. The two messages of cel-go decide on this list alone.
func knownNames(env *celgo.Env, parsed *celgo.Ast, e *common.Error) string {
	at := nodeOf(parsed, e.ExprID)
	switch {
	case at == nil:
	case strings.HasPrefix(e.Message, "undeclared reference") && at.Kind() == ast.IdentKind:
		names := make([]string, len(inputs))
		for i, v := range inputs {
			names[i] = v.name
		}
		return "the names are " + strings.Join(names, ", ")
	case strings.HasPrefix(e.Message, "undefined field"):
		return fieldNames(env, parsed, at)
	}
	return ""
}

// fieldNames lists the names that the object has of which one was read.
func fieldNames(env *celgo.Env, parsed *celgo.Ast, at ast.Expr) string {
	var object ast.Expr
	switch {
	case at.Kind() == ast.SelectKind:
		object = at.AsSelect().Operand()
	case at.Kind() == ast.CallKind && len(at.AsCall().Args()) > 0: // a.?b
		object = at.AsCall().Args()[0]
	default:
		return ""
	}
	text, err := celgo.ExprToString(object, parsed.NativeRep().SourceInfo())
	if err != nil {
		return ""
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return ""
	}
	names, _ := env.CELTypeProvider().FindStructFieldNames(checked.OutputType().TypeName())
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("the names of %s are %s", text, strings.Join(slices.Sorted(slices.Values(names)), ", "))
}

// nodeOf is the part of an expression with an id, or nil.
func nodeOf(parsed *celgo.Ast, id int64) (found ast.Expr) {
	ast.PostOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			found = e
		}
	}))
	return found
}
