package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// bind finds the variables of a rule that have a value before they are a member's name:
// input.ssa.address[x] is then undefined if there is none of that name. All others go
// through every element.
func (r *references) bind(m *ast.Module, rule *ast.Rule) {
	r.bound, r.aliases = map[ast.Var]bool{}, map[ast.Var][]ast.Ref{}
	for _, i := range m.Imports {
		r.bound[i.Name()] = true
	}
	for name, places := range r.rules[m.Package.Path.String()] {
		r.bound[name], r.aliases[name] = true, slices.Clone(places)
	}
	for rule := rule; rule != nil; rule = rule.Else {
		for name, places := range r.arguments.of[rule] {
			r.aliases[name] = append(r.aliases[name], places...)
		}
	}
	all := func(t *ast.Term) {
		ast.WalkVars(t, func(v ast.Var) bool {
			r.bound[v] = true
			return false
		})
	}
	call := func(terms []*ast.Term) {
		switch name, args := terms[0].Value.String(), terms[1:]; {
		case name == "assign" && len(args) == 2:
			all(args[0])
			r.alias(args[0], args[1])
		case name == "walk" && len(args) == 2:
			all(args[1])
		case name == "eq" && len(args) == 2:
			for i, t := range args {
				if isPattern(t) {
					all(t)
					r.alias(t, args[1-i])
				}
			}
		case name == "internal.member_2" && len(args) == 2, name == "internal.member_3" && len(args) == 3:
			for _, t := range args[:len(args)-1] {
				all(t)
			}
			r.alias(args[len(args)-2], args[len(args)-1], ast.VarTerm("_"))
		}
	}
	bases := map[ast.Var]string{}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref: // what goes through another's elements is no element of this one
			for i, step := range x[min(1, len(x)):] {
				if v, ok := step.Value.(ast.Var); ok {
					base := x[:i+1].String()
					if bases[v] != "" && bases[v] != base {
						r.bound[v] = true
					}
					bases[v] = base
				}
			}
		case ast.Args:
			for _, t := range x {
				all(t)
			}
		case *ast.Every:
			all(x.Value)
			r.alias(x.Value, x.Domain, ast.VarTerm("_"))
			if x.Key != nil {
				all(x.Key)
			}
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
	for name := range r.bound {
		if name.IsWildcard() {
			delete(r.bound, name)
		}
	}
}

// isPattern tells whether a term may bind variables by what it is compared with.
func isPattern(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.Var, *ast.Array, ast.Object:
		return true
	}
	return false
}

// lookup tells whether a step is a name that is not known before, not every element.
func (r *references) lookup(step *ast.Term) bool {
	v, variable := step.Value.(ast.Var)
	return !fixed(step) && (!variable || r.bound[v])
}

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

// inputs are the places of input that a term is: one, or those that its variable stands
// for. A variable of that name in another scope of the rule counts, too: it can only
// demand more.
func (r *references) inputs(t *ast.Term, depth int) []ast.Ref {
	if isInput(t) {
		return []ast.Ref{refOf(t)}
	}
	ref := refOf(t)
	v, ok := ref[0].Value.(ast.Var)
	if !ok || depth > maxAliases {
		return nil
	}
	var found []ast.Ref
	for _, alias := range r.aliases[v] {
		for _, place := range r.inputs(ast.NewTerm(alias), depth+1) {
			found = append(found, append(place.Copy(), ref[1:]...))
		}
	}
	return found
}
