package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// bind finds the places and other variables that the variables of a rule stand for, and
// the arguments of functions, which stand for anything.
func (r *references) bind(m *ast.Module, rule *ast.Rule) {
	r.arguments, r.aliases = map[ast.Var]bool{}, map[ast.Var][]ast.Ref{}
	for name, places := range r.rules[m.Package.Path.String()] {
		r.aliases[name] = slices.Clone(places)
	}
	call := func(terms []*ast.Term) {
		switch name, args := terms[0].Value.String(), terms[1:]; {
		case name == "assign" && len(args) == 2:
			r.alias(args[0], args[1])
		case name == "eq" && len(args) == 2:
			r.alias(args[0], args[1])
			r.alias(args[1], args[0])
		case name == "internal.member_2" && len(args) == 2, name == "internal.member_3" && len(args) == 3:
			r.alias(args[len(args)-2], args[len(args)-1], everyElement)
		}
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Args:
			for _, t := range x {
				ast.WalkVars(t, func(v ast.Var) bool {
					r.arguments[v] = true
					return false
				})
			}
		case *ast.Every:
			r.alias(x.Value, x.Domain, everyElement)
		case *ast.Expr:
			if terms, ok := x.Terms.([]*ast.Term); ok {
				call(terms)
			}
		case *ast.Term:
			if terms, ok := x.Value.(ast.Call); ok {
				call(terms)
			}
		}
		return false
	}).Walk(rule)
}

// everyElement is the step [_].
var everyElement = ast.VarTerm(ast.WildcardPrefix)

// valueOf is the place of input that a rule is, as in org := input.ssa.org.
func valueOf(rule *ast.Rule) []ast.Ref {
	if v := rule.Head.Value; v != nil && len(rule.Head.Args) == 0 && len(rule.Head.Ref()) == 1 && isInput(v) {
		return []ast.Ref{refOf(v)}
	}
	return nil
}

// alias notes that a variable stands for a place, or for its elements.
func (r *references) alias(name, of *ast.Term, steps ...*ast.Term) {
	v, ok := name.Value.(ast.Var)
	ref, is := of.Value.(ast.Ref)
	if other, variable := of.Value.(ast.Var); variable && !other.Equal(v) {
		ref, is = ast.Ref{of}, true
	}
	if ok && is && !v.IsWildcard() {
		r.aliases[v] = append(r.aliases[v], append(ref.Copy(), steps...))
	}
}

// maxAliases is how many variables one after another are followed.
const maxAliases = 16

// places are those of input that a term is: one, or those that its variable stands for,
// and those of arguments, which may be of input. A variable of that name in another scope
// of the rule counts, too: it can only demand more.
func (r *references) places(t *ast.Term, depth int) (found []ast.Ref) {
	if isInput(t) {
		return []ast.Ref{refOf(t)}
	}
	ref := refOf(t)
	v, ok := ref[0].Value.(ast.Var)
	if !ok || depth > maxAliases {
		return nil
	}
	if r.arguments[v] {
		found = append(found, ref)
	}
	for _, alias := range r.aliases[v] {
		for _, place := range r.places(ast.NewTerm(alias), depth+1) {
			found = append(found, append(place.Copy(), ref[1:]...))
		}
	}
	return found
}
