package cel

import (
	"fmt"
	"slices"
	"strings"

	celgo "cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// functions are those that policies have use for, in the order in which errors list
// them. There are more.
var functions = []string{
	"size", "contains", "startsWith", "endsWith", "matches", "lowerAscii", "upperAscii", "trim", "split", "exists", "all", "exists_one", "filter", "map", "has",
	"timestamp", "duration", "string", "int", "sets.contains", "sets.intersects", "allow", "deny", "reject", "scopes", "grants",
}

// loops are the macros that go through a list.
var loops = []string{"exists", "all", "exists_one", "filter", "map"}

// foreign are functions of other languages, and what is written in place of them.
var foreign = map[string]string{
	"len": "size(list)", "length": "size(list)", "count": "size(list)", "isempty": "size(list) == 0",
	"tolower": "text.lowerAscii()", "lower": "text.lowerAscii()", "tolowercase": "text.lowerAscii()", "lowercase": "text.lowerAscii()",
	"toupper": "text.upperAscii()", "upper": "text.upperAscii()", "touppercase": "text.upperAscii()",
	"icontains": "text.lowerAscii().contains(\"...\") with the text in lower case", "equalsignorecase": "text.lowerAscii() == \"...\" with the text in lower case",
	"includes": "value in list", "any": "list.exists(x, ...)", "some": "list.exists(x, ...)", "every": "list.all(x, ...)", "hasprefix": "text.startsWith(\"...\")", "hassuffix": "text.endsWith(\"...\")",
	"match": "text.matches(\"...\")", "regex": "text.matches(\"...\")", "regexmatch": "text.matches(\"...\")", "date": "timestamp(\"2026-07-01T00:00:00Z\")", "now": "now, without brackets",
}

// unknownName is the error of a name that nothing has. A function is none of the input's
// names, and nobody looks for it among them.
func unknownName(at ast.Expr, name string) (text, hint string) {
	switch {
	case at != nil && at.Kind() == ast.CallKind && slices.Contains(loops, name):
		return fmt.Sprintf("%s wants a variable and what holds for it", name), fmt.Sprintf("write list.%s(x, x == \"...\")", name)
	case at != nil && at.Kind() == ast.CallKind:
		text = fmt.Sprintf("'%s' is no function of these policies", name)
		if instead := insteadOf(name); instead != "" {
			text += "; write " + instead
		}
		return text, "some functions are " + strings.Join(functions, ", ")
	case slices.Contains(functions, name):
		return fmt.Sprintf("'%s' is a function; write %s(...)", name, name), ""
	}
	names := make([]string, len(inputs))
	for i, v := range inputs {
		names[i] = v.name
	}
	return fmt.Sprintf("undeclared reference to '%s'", name), "the names are " + strings.Join(names, ", ")
}

// insteadOf is what is written in place of a function; empty if nobody knows.
func insteadOf(name string) string {
	for _, known := range functions {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return foreign[strings.ToLower(strings.ReplaceAll(name, "_", ""))]
}

// fieldsHint lists the names that the object has of which one was read.
func fieldsHint(env *celgo.Env, at ast.Expr) string {
	object := operand(at)
	of := typeOf(env, object)
	if of == nil {
		return ""
	}
	names, _ := env.CELTypeProvider().FindStructFieldNames(of.TypeName())
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "the names of " + dotted(object) + " are " + strings.Join(names, ", ")
}

// operand is what a member is read of; nil if it is no reading.
func operand(e ast.Expr) ast.Expr {
	switch {
	case e == nil:
		return nil
	case e.Kind() == ast.SelectKind:
		return e.AsSelect().Operand()
	case e.Kind() == ast.CallKind && len(e.AsCall().Args()) > 0: // a.?b
		return e.AsCall().Args()[0]
	}
	return nil
}

// typeOf is the type of one of the input's objects; nil if it is not known.
func typeOf(env *celgo.Env, e ast.Expr) *types.Type {
	switch {
	case e == nil:
		return nil
	case e.Kind() == ast.IdentKind:
		for _, v := range inputs {
			if v.name == e.AsIdent() {
				return v.of
			}
		}
	case e.Kind() == ast.SelectKind:
		if of := typeOf(env, e.AsSelect().Operand()); of != nil {
			if field, ok := env.CELTypeProvider().FindStructFieldType(of.TypeName(), e.AsSelect().FieldName()); ok {
				return field.Type
			}
		}
	}
	return nil
}

// dotted is an object of the input as it is written.
func dotted(e ast.Expr) string {
	if e.Kind() == ast.SelectKind {
		return dotted(e.AsSelect().Operand()) + "." + e.AsSelect().FieldName()
	}
	return e.AsIdent()
}
