package rego

import (
	"maps"
	"math"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Rules may make values of claims: [input.ssa.org], a set of claims, an object of them, or
// what a function returns. The first steps below such a value are of the rules' own making.
// Below these a claim begins, and nobody looks whether the request has what is read there.
// So that is refused where the policy is loaded. A number is how many steps are the rules'
// own.

// noClaim is for a value without claims. All steps below it are the rules' own.
const noClaim = math.MaxInt32

// binding is a pattern whose variables get what is steps below a value.
type binding struct {
	pattern, value *ast.Term
	steps          int
}

// deriveRules finds the rules that are made of claims: until no further one is found.
func (r *references) deriveRules(modules map[string]*ast.Module) {
	for found := true; found; {
		found = false
		for _, m := range modules {
			r.importsOf(m)
			for _, rule := range m.Rules {
				r.bind(m, rule)
				if name, ok := rule.Head.Ref()[0].Value.(ast.Var); ok {
					found = r.packageOf(m).made.lower(name, r.ownOfRule(rule)) || found
				}
			}
		}
	}
}

// made are the own steps of variables and rules whose values are made of claims.
type made map[ast.Var]int

func (m made) own(v ast.Var) int {
	if own, ok := m[v]; ok {
		return own
	}
	return noClaim
}

// lower notes a value with fewer own steps, and tells whether that is new.
func (m made) lower(v ast.Var, own int) bool {
	if own >= m.own(v) {
		return false
	}
	m[v] = own
	return true
}

// ownOfRule are those of the value of a rule, or of a set or an object that it is one of.
func (r *references) ownOfRule(rule *ast.Rule) int {
	own := noClaim
	for one := rule; one != nil; one = one.Else {
		value, depth := one.Head.Value, len(one.Head.Ref())-1
		if one.Head.RuleKind() == ast.MultiValue {
			value, depth = one.Head.Key, depth+1
		}
		for i, step := range one.Head.Ref()[1:] {
			own = min(own, below(r.own(step), -i-1))
			if value != nil && r.own(step) == 0 && r.own(value) != noClaim {
				own = min(own, i) // see ownOfMember
			}
		}
		if value != nil && (one != rule || valueOf(rule) == nil) {
			own = min(own, below(r.own(value), -depth))
		}
	}
	return own
}

// below is how many steps of own are left some steps further down.
func below(own, steps int) int {
	if own == noClaim {
		return noClaim
	}
	return max(0, own-steps)
}

// binds notes that a pattern gets a value, or its elements.
func (r *references) binds(pattern, value *ast.Term, steps ...*ast.Term) {
	r.alias(pattern, value, steps...)
	r.bindings = append(r.bindings, binding{pattern, value, len(steps)})
}

// bindsKey notes that a pattern gets the keys of a value. Those of a claim are no place of
// input, and no alias.
func (r *references) bindsKey(pattern, of *ast.Term) {
	r.bindings = append(r.bindings, binding{pattern, ast.ArrayTerm(of), 2})
}

// derive finds the variables of a rule that are made of claims, beside the rules.
func (r *references) derive(rules made) {
	r.made = maps.Clone(rules)
	for found := true; found; {
		found = false
		for _, b := range r.bindings {
			own := r.own(b.value)
			if _, variable := b.pattern.Value.(ast.Var); variable && isReference(b.value) {
				own = r.ownOfReference(refOf(b.value)) // a place of input is an alias
			}
			found = r.give(b.pattern, below(own, b.steps)) || found
		}
	}
}

func isReference(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.Var, ast.Ref:
		return true
	}
	return false
}

// give has the variables of a pattern be made of claims.
func (r *references) give(pattern *ast.Term, own int) (found bool) {
	each := func(t *ast.Term) {
		if _, variable := t.Value.(ast.Var); variable && own == 0 {
			r.fault(pattern.Location, "%v: which elements or members a claim has cannot be followed by a pattern; read them by their names, or with object.get and a default", pattern)
		}
		found = r.give(t, below(own, 1)) || found
	}
	switch v := pattern.Value.(type) {
	case ast.Var:
		return !v.IsWildcard() && r.made.lower(v, own)
	case *ast.Array:
		v.Foreach(each)
	case ast.Object:
		v.Foreach(func(_, t *ast.Term) { each(t) })
	}
	return found
}

// own is for a value that becomes part of another one: a place of input is a claim.
func (r *references) own(t *ast.Term) int {
	own := noClaim
	part := func(t *ast.Term) { own = min(own, below(r.own(t), -1)) }
	switch v := t.Value.(type) {
	case ast.Var, ast.Ref:
		if len(r.places(t)) > 0 {
			return 0
		}
		return r.ownOfReference(refOf(t))
	case *ast.Array:
		v.Foreach(part)
	case ast.Set:
		v.Foreach(part)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { own = min(own, r.ownOfMember(key, value)) })
	case *ast.ArrayComprehension:
		part(v.Term)
	case *ast.SetComprehension:
		part(v.Term)
	case *ast.ObjectComprehension:
		return r.ownOfMember(v.Key, v.Value)
	case *ast.TemplateString:
		return 0
	case ast.Call:
		return r.ownOfCall(v)
	}
	return own
}

// ownOfMember are those of an object with that member. Where claims are found by claims, as
// in {k: v | some k, v in input.ssa.org}, there is none: which there are is the request's.
func (r *references) ownOfMember(key, value *ast.Term) int {
	k, v := r.own(key), r.own(value)
	if k == 0 && v != noClaim {
		return 0
	}
	return min(below(k, -1), below(v, -1))
}

// ownOfReference are those that are left where a reference ends that does not begin with
// input.
func (r *references) ownOfReference(ref ast.Ref) int {
	v, variable := ref[0].Value.(ast.Var)
	if !variable {
		return below(r.own(ref[0]), len(ref)-1)
	}
	if p, name, steps := r.rule(ref); p != nil {
		if len(p.places[name]) > 0 {
			return 0
		}
		return min(below(p.made.own(name), steps), below(r.made.own(v), len(ref)-1)) // or a variable has the name of an import
	}
	return below(r.made.own(v), len(ref)-1)
}

// derived refuses to read below a claim in a value that rules have made.
func (r *references) derived(t *ast.Term, u use) {
	ref, named := refOf(t), true
	for _, step := range ref[1:] {
		named = named && fixed(step)
	}
	if u.alone && u.negated && named { // it asks whether it is there
		return
	}
	read := len(ref)
	if u.collection && read > 1 {
		read++ // its elements
	}
	for i := 1; i < read; i++ {
		if r.ownOfReference(ref[:i]) == 0 {
			r.fault(t.Location, "%v: %v is a claim, and what it has cannot be followed; read it from input, or with object.get and a default", ref, ref[:i])
			return
		}
	}
	path := r.fromData(ref).GroundPrefix()
	for _, p := range r.packages {
		if path.HasPrefix(ast.DefaultRootRef) && p.path.HasPrefix(path) && len(p.made)+len(p.places) > 0 {
			r.fault(t.Location, "%v: which rule it is cannot be followed; name one", ref)
			return
		}
	}
}
