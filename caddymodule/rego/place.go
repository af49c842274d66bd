package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// use is what is done with a place of the input.
type use struct {
	alone, negated bool // it is a line by itself, after not
	optional       bool // there is a default, for all but the first given steps
	given          int
	own            int  // where the steps begin that are written here, not where a variable is set
	null           bool // it is compared with null
	keys           bool // its names alone are read
	collection     bool // its elements are read
}

// place follows a reference through the input.
func (r *references) place(ref ast.Ref, at *ast.Location, u use) {
	for _, step := range ref[1:] {
		r.walk(step)
	}
	n, p := r.read.node, &r.read
	for i := 1; i < len(ref); i++ {
		so := ref[:i]
		if n.nullable && (!u.optional || i <= u.given) {
			r.need(need{path: so[1:].Copy(), notNull: true, at: at})
		}
		switch n.shape {
		case claims:
			r.claim(ref, i, p, u, at)
			return
		case object:
			name, ok := ref[i].Value.(ast.String)
			if !ok {
				r.fault(at, "%v: which member of %v it is cannot be followed; name one of %s", ref, so, n.list())
				return
			}
			child, _ := n.member(string(name))
			if child == nil {
				r.fault(at, "%v has no %s; it has %s", so, string(name), n.list())
				return
			}
			n, p = child, p.part(string(name), child)
		case list:
			p.whole = true
			if fixed(ref[i]) && !u.optional {
				r.need(need{path: ref[1 : i+1].Copy(), at: at})
			}
			if _, wrong := ref[i].Value.(ast.String); wrong || n.item.shape == object {
				r.fault(at, "%v: %v is an array", ref, so)
				return
			}
			if computed(ref[i]) && !u.optional {
				r.fault(at, "%v: which element of %v it is cannot be followed; go through all with [_] or in", ref, so)
				return
			}
			if u.alone && !u.negated {
				u.alone = false // it asks whether there is one
			}
			n = n.item
		default:
			r.fault(at, "%v: %v %s", ref, so, describe(n))
			return
		}
	}
	r.end(ref, n, p, u, at)
}

// end is a reference to something that is always there.
func (r *references) end(ref ast.Ref, n *node, p *part, u use, at *ast.Location) {
	switch {
	case u.null && n.nullable:
		// Compared, but not looked into.
	case u.null:
		r.fault(at, "%v is never null", ref)
	case u.keys && n.shape == claims:
		p.whole = true
	case n.shape == object || n.shape == claims:
		hint := "read its members by their names"
		switch {
		case n.shape == claims:
			hint += `, or as object.get(` + ref.String() + `, "name", default)`
		case n.nullable:
			hint += ", or compare it with null"
		}
		r.fault(at, "%v as a value cannot be followed; %s", ref, hint)
	case u.alone && (n.shape != boolean || n.nullable):
		r.fault(at, "%v is always there, and is no condition; compare it with a value", ref)
	default:
		p.whole = true
	}
}

// claim is a reference into claims: the path from ref[i] on.
func (r *references) claim(ref ast.Ref, i int, p *part, u use, at *ast.Location) {
	if u.optional && u.given > i { // object.get(input.ssa.address, ...): the address must be there
		ref, u = ref[:u.given], use{}
	}
	name, ok := ref[i].Value.(ast.String)
	switch {
	case !ok && u.optional:
		p.whole = true
		return
	case !ok:
		r.fault(at, `%v: which claim it is cannot be followed; name it, or read it as object.get(%v, [%v], default)`, ref, ref[:i], ref[i])
		return
	}
	p.part(string(name), &node{}).whole = true
	named := true
	for j, step := range ref[i+1:] {
		named = named && (fixed(step) || i+1+j < u.own)
		if computed(step) && !u.optional {
			r.fault(at, "%v: which member of a claim %v is cannot be followed; go through all with [_] or in, or read it with object.get and a default", ref, step)
			return
		}
	}
	if u.optional || u.alone && u.negated && named {
		return
	}
	r.need(need{path: ref[1:].Copy(), collection: u.collection, at: at})
}

// computed tells whether a step is neither a name nor an index, nor every element.
func computed(step *ast.Term) bool {
	return !fixed(step) && !isWildcard(step)
}

// fixed tells whether a step is a name or an index.
func fixed(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.String, ast.Number:
		return true
	}
	return false
}
