package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// bind finds the places and other variables that the variables of a rule stand for, and
// the arguments of functions, which stand for anything.
func (r *references) bind(m *ast.Module, rule *ast.Rule) {
	r.arguments, r.aliases, r.bindings = map[ast.Var]bool{}, map[ast.Var][]ast.Ref{}, nil
	r.current = r.packageOf(m)
	for name, places := range r.current.places {
		r.aliases[name] = slices.Clone(places)
	}
	call := func(terms []*ast.Term) {
		switch name, args := terms[0].Value.String(), terms[1:]; {
		case name == "assign" && len(args) == 2:
			r.binds(args[0], args[1])
		case name == "eq" && len(args) == 2:
			r.binds(args[0], args[1])
			r.binds(args[1], args[0])
		case name == "internal.member_2" && len(args) == 2:
			r.binds(args[0], args[1], everyElement)
		case name == "internal.member_3" && len(args) == 3:
			r.bindsKey(args[0], args[2])
			r.binds(args[1], args[2], everyElement)
		case len(args) > r.arity(terms[0]): // the last one is the result
			r.binds(args[len(args)-1], ast.NewTerm(ast.Call(terms[:len(terms)-1])))
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
			if x.Key != nil {
				r.bindsKey(x.Key, x.Domain)
			}
			r.binds(x.Value, x.Domain, everyElement)
		case *ast.Expr:
			if terms, ok := x.Terms.([]*ast.Term); ok {
				call(terms)
			}
		case *ast.Term:
			switch v := x.Value.(type) {
			case ast.Call:
				call(v)
			case ast.Ref:
				for i, step := range v[1:] {
					r.bindsKey(step, ast.NewTerm(v[:i+1]))
				}
			}
		}
		return false
	}).Walk(rule)
	r.derive(r.current.made)
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
	ref = append(ref.Copy(), steps...)
	if ok && is && !v.IsWildcard() && !slices.ContainsFunc(r.aliases[v], func(o ast.Ref) bool { return o.Equal(ref) }) {
		r.aliases[v] = append(r.aliases[v], ref)
	}
}

// Bounds of what is followed from one variable or place. A rule that has more does not load.
const (
	maxAliases = 16   // variables one after another
	maxWays    = 4096 // ways from variable to variable: of many that are equal there are n!
)

// places are those of input that a term is: one, or those that its variable stands for,
// and those of arguments, which may be of input. A variable of that name in another scope
// of the rule counts, too: it can only demand more.
func (r *references) places(t *ast.Term, through ...ast.Var) (found []ast.Ref) {
	if isInput(t) {
		return []ast.Ref{refOf(t)}
	}
	ref := refOf(t)
	v, ok := ref[0].Value.(ast.Var)
	if !ok || slices.Contains(through, v) {
		return nil
	}
	if len(through) == 0 && r.ways <= maxWays {
		r.ways = 0
	}
	switch r.ways++; {
	case r.ways > maxWays+1: // and none is followed any more
		return nil
	case r.ways > maxWays:
		r.fault(ref[0].Location, "%v: variables that are equal to each other in more than %d ways cannot be followed", v, maxWays)
		return nil
	case len(through) > maxAliases:
		r.fault(ref[0].Location, "%v: more than %d variables, each of which is the one before, cannot be followed", v, maxAliases)
		return nil
	}
	if r.arguments[v] {
		found = append(found, ref)
	}
	for _, alias := range r.aliases[v] {
		for _, place := range r.places(ast.NewTerm(alias), append(through, v)...) {
			found = append(found, append(place.Copy(), ref[1:]...))
		}
	}
	return found
}
