package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// call is a function with its arguments.
func (r *references) call(terms []*ast.Term) {
	r.called(terms)
	name, args := terms[0].Value.String(), terms[1:]
	switch {
	case name == "object.get" && len(args) >= 2 && slices.ContainsFunc(r.places(args[0]), ofInput):
		r.get(args[0], args[1])
		args = args[2:]
	case name == "object.keys" && len(args) >= 1 && isInput(args[0]):
		r.each(args[0], use{keys: true})
		args = args[1:]
	case (name == "equal" || name == "eq" || name == "neq") && len(args) == 2:
		for i, t := range args {
			if _, null := args[1-i].Value.(ast.Null); null && isInput(t) {
				r.nulls[t] = true
				r.each(t, use{null: true})
				return
			}
		}
	case name == "is_null" && len(args) == 1 && isInput(args[0]):
		r.nulls[args[0]] = true
		r.each(args[0], use{null: true})
		return
	case name == "internal.member_2" && len(args) == 2, name == "internal.member_3" && len(args) == 3:
		of := args[len(args)-1]
		r.each(of, use{collection: true})
		if len(args) == 3 && !isWildcard(args[0]) { // "name", x in of
			r.each(&ast.Term{Value: append(refOf(of).Copy(), args[0]), Location: of.Location}, use{})
		}
	}
	for _, t := range append(slices.Clone(refOf(terms[0])[1:]), args...) {
		r.walk(t)
	}
}

func isWildcard(t *ast.Term) bool {
	v, ok := t.Value.(ast.Var)
	return ok && v.IsWildcard()
}

// get is object.get, which reads what may be absent.
func (r *references) get(from, key *ast.Term) {
	var steps []*ast.Term
	if path, ok := key.Value.(*ast.Array); ok && path.Len() > 0 {
		path.Foreach(func(t *ast.Term) { steps = append(steps, t) })
	} else if _, ok := key.Value.(ast.String); ok {
		steps = append(steps, key)
	} else {
		r.fault(key.Location, "object.get(%v, %v, ...): the key must be a string or an array of strings, as in [%v]", from, key, key)
		return
	}
	for _, ref := range r.places(from) {
		if ofInput(ref) {
			r.place(append(ref.Copy(), steps...), from.Location, use{optional: true, given: len(ref)})
		} else {
			r.argument(ref, from.Location, use{})
		}
	}
}

// called gives the patterns of a function what it is called with.
func (r *references) called(terms []*ast.Term) {
	p, name := r.function(terms[0])
	kept := r.made
	for _, patterns := range p.patterns[name] {
		for i, t := range terms[1:min(len(terms), len(patterns)+1)] {
			own := r.own(t)
			r.made = made{} // the variables are others
			r.give(patterns[i], own)
			r.made = kept
		}
	}
}

// ownOfCall are those of what a function returns.
func (r *references) ownOfCall(call ast.Call) int {
	b, of := r.builtin(call[0]), call[1:]
	if b == nil {
		return r.ownOfReference(refOf(call[0]))
	}
	if b.Name == ast.ObjectGet.Name && len(of) > 1 { // a key is in nothing
		of = append(slices.Clone(of[:1]), of[2:]...)
	}
	for _, t := range of {
		if r.own(t) != noClaim {
			return ownOfType(b.Decl.Result())
		}
	}
	return noClaim
}

// ownOfType are those of what a function makes of claims. A text may be JSON, and be parsed.
func ownOfType(t types.Type) int {
	own := noClaim
	switch t := t.(type) {
	case nil, types.Null, types.Boolean, types.Number:
		return noClaim
	case types.Any: // one of these, or anything
		for _, one := range t {
			own = min(own, ownOfType(one))
		}
		if len(t) > 0 {
			return own
		}
	case *types.Set:
		return below(ownOfType(t.Of()), -1)
	case *types.Array:
		if holdsAny(t.Dynamic()) {
			return 0
		}
		for i := range t.Len() {
			own = min(own, below(ownOfType(t.Select(i)), -1))
		}
		return min(own, below(ownOfType(t.Dynamic()), -1))
	}
	return 0
}

// holdsAny tells whether values of a type may have members that nobody knows.
func holdsAny(t types.Type) bool {
	switch t := t.(type) {
	case nil, types.Null, types.Boolean, types.Number, types.String:
		return false
	case *types.Set:
		return holdsAny(t.Of())
	case *types.Array:
		for i := range t.Len() {
			if holdsAny(t.Select(i)) {
				return true
			}
		}
		return holdsAny(t.Dynamic())
	}
	return true
}
