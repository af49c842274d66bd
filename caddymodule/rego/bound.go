package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// bind finds the variables of a rule that have a value before they are a member's name:
// input.ssa.address[x] is then undefined if there is none of that name. All others go
// through every element.
func (r *references) bind(names map[ast.Var]bool, rule *ast.Rule) {
	r.bound = map[ast.Var]bool{}
	for name := range names {
		r.bound[name] = true
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
		case name == "walk" && len(args) == 2:
			all(args[1])
		case name == "eq" && len(args) == 2:
			for _, t := range args {
				if isPattern(t) {
					all(t)
				}
			}
		case name == "internal.member_2" && len(args) == 2, name == "internal.member_3" && len(args) == 3:
			for _, t := range args[:len(args)-1] {
				all(t)
			}
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
