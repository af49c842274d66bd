package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

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
