package cel

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
)

// loadError tells every fault of an expression with its place, and then how to mend
// what is often meant.
func loadError(env *celgo.Env, expression string, issues *celgo.Issues, where place) error {
	parsed, unparsed := env.Parse(expression)
	var texts, hints []string
	for _, e := range issues.Errors() {
		text, hint := "", ""
		if unparsed.Err() != nil {
			text, hint = syntaxError(expression, e)
		} else {
			text, hint = checkError(env, parsed, e)
		}
		texts = append(texts, where.at(e.Location)+": "+text)
		if hint != "" && !slices.Contains(hints, hint) {
			hints = append(hints, hint)
		}
	}
	return errors.New(strings.Join(append(texts, hints...), "\n"))
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '(.+)' \(in container ''\)$`)
	noField    = regexp.MustCompile(`^undefined field '(.+)'$`)
	noMembers  = regexp.MustCompile(`^type '(.+)' does not support field selection$`)
	noOverload = regexp.MustCompile(`^found no matching overload for '(.+)' applied to '(.*)'$`)
	noItems    = regexp.MustCompile(`^expression of type '(.+)' cannot be range of a comprehension`)
	otherType  = regexp.MustCompile(`^expected type '(.+)' but found '(.+)'$`)
)

// checkError is an error of names and types in words. What it does not know it leaves
// in those of CEL.
func checkError(env *celgo.Env, parsed *celgo.Ast, e *common.Error) (text, hint string) {
	at := nodeOf(parsed, e.ExprID)
	if m := undeclared.FindStringSubmatch(e.Message); m != nil {
		return unknownName(at, m[1])
	}
	if m := noField.FindStringSubmatch(e.Message); m != nil {
		return e.Message, fieldsHint(env, at)
	}
	if m := noMembers.FindStringSubmatch(e.Message); m != nil {
		return fmt.Sprintf("%s has no members", kindOf(m[1])), ""
	}
	if m := noOverload.FindStringSubmatch(e.Message); m != nil {
		target, args := signature(m[2])
		if words := mismatch(m[1], target, args); words != "" {
			return words, ""
		}
	}
	if m := noItems.FindStringSubmatch(e.Message); m != nil {
		return notThrough(kindOf(m[1])), ""
	}
	if m := otherType.FindStringSubmatch(e.Message); m != nil && m[1] == "bool" {
		return notBool(kindOf(m[2])), ""
	}
	return strings.TrimSuffix(e.Message, " (in container '')"), ""
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
