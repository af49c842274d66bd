package rego

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// references are the places of the input that a policy's rules name: what is converted
// for it, and what must be there.
type references struct {
	read  part
	needs []need
	// nulls are the terms that are compared with null.
	nulls map[*ast.Term]bool
	// aliases are places that the variables of the rule that is walked stand for.
	aliases map[ast.Var][]ast.Ref
	// ways are those that were followed from one place.
	ways int
	// arguments are its own, if it is a function.
	arguments map[ast.Var]bool
	// bindings are the patterns of the rule that is walked, and what they get.
	bindings []binding
	// made are its variables, and rules of its package, whose values are made of claims.
	made made
	// packages are those of the policy, current the one of the rule.
	packages map[string]*rules
	current  *rules
	// imports are the names of rules and data of other packages in the module that is walked.
	imports map[ast.Var]ast.Ref
	faults  ast.Errors
}

// part is a place of the input that is read.
type part struct {
	*node
	// whole: with all its members.
	whole bool
	parts map[string]*part
}

// need is what must be there for the rules to mean what they say.
type need struct {
	path ast.Ref // below input; a variable stands for every element
	text string
	// notNull is for objects; collection: its elements are read.
	notNull, collection bool
	at                  *ast.Location
}

func newReferences() *references {
	return &references{read: part{node: inputShape, parts: map[string]*part{}}, nulls: map[*ast.Term]bool{}, packages: map[string]*rules{}}
}

// modules walks all modules, in the order of their names.
func (r *references) modules(modules map[string]*ast.Module) {
	for _, m := range modules {
		for _, rule := range m.Rules {
			r.packageOf(m).add(rule)
		}
	}
	r.deriveRules(modules)
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		r.module(modules[name])
	}
}

func (p *part) part(name string, n *node) *part {
	if p.parts[name] == nil {
		p.parts[name] = &part{node: n, parts: map[string]*part{}}
	}
	return p.parts[name]
}

func (r *references) fault(at *ast.Location, format string, args ...any) {
	e := ast.NewError(ast.CompileErr, at, format, args...)
	if !slices.ContainsFunc(r.faults, func(o *ast.Error) bool { return o.Error() == e.Error() }) {
		r.faults = append(r.faults, e)
	}
}

func (r *references) need(n need) {
	n.text = n.path.String()
	if !slices.ContainsFunc(r.needs, func(o need) bool {
		return o.text == n.text && o.notNull == n.notNull && o.collection == n.collection
	}) {
		r.needs = append(r.needs, n)
	}
}

// understood are functions that the walk gives a meaning. A rule of that name would
// have another.
var understood = []string{"object", "is_null", "equal", "eq", "neq", "assign", "internal"}

// module walks a module as it was parsed: the compiler makes variables of much.
func (r *references) module(m *ast.Module) {
	for _, i := range m.Imports {
		path, _ := i.Path.Value.(ast.Ref)
		if path.HasPrefix(ast.InputRootRef) {
			r.fault(i.Location, "import %v: what is read of input must be named where it is read", path)
		}
		if name := string(i.Name()); slices.Contains(understood, name) || name == "input" {
			r.fault(i.Location, "import %v: the name %s is taken", path, name)
		}
	}
	r.importsOf(m)
	for _, rule := range m.Rules {
		r.bind(m, rule)
		if name := rule.Head.Ref()[0].Value.String(); slices.Contains(understood, name) || name == "input" {
			r.fault(rule.Location, "the name %s is taken", name)
		}
		ast.NewGenericVisitor(r.visit).Walk(rule)
	}
}

// visit tells that it has seen to what is below.
func (r *references) visit(x any) bool {
	switch x := x.(type) {
	case *ast.Head:
		for _, t := range x.Reference[min(1, len(x.Reference)):] {
			r.walk(t)
		}
	case *ast.With:
		r.fault(x.Location, "with belongs in tests")
		return true
	case *ast.Not, *ast.LogicalAnd, *ast.LogicalOr:
		r.fault(x.(ast.Node).Loc(), "this form of Rego is not known here")
		return true
	case *ast.Expr:
		return r.expression(x)
	case *ast.SomeDecl:
		if call, ok := x.Symbols[0].Value.(ast.Call); ok {
			if _, variable := call[1].Value.(ast.Var); variable && len(call) == 4 { // a new one, for every key
				call = ast.Call{call[0], everyElement, call[2], call[3]}
			}
			r.call(call)
			return true
		}
	case *ast.Every:
		r.each(x.Domain, use{collection: true})
	case *ast.Term:
		return r.term(x)
	}
	return false
}

func (r *references) walk(t *ast.Term) { ast.NewGenericVisitor(r.visit).Walk(t) }

// expression is one line of a rule.
func (r *references) expression(e *ast.Expr) bool {
	if len(e.With) > 0 {
		r.fault(e.Location, "with belongs in tests")
	}
	switch t := e.Terms.(type) {
	case *ast.Term:
		return r.each(t, use{alone: true, negated: e.Negated})
	case []*ast.Term:
		r.call(t)
		return true
	}
	return false
}

func (r *references) term(t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.Call:
		r.call(v)
		return true
	case ast.Var, ast.Ref:
		return r.each(t, use{})
	}
	return false
}

// each follows a term to the places that it is; there are none if it is none of input. It
// tells whether it has seen to what is in the term.
func (r *references) each(t *ast.Term, u use) bool {
	refs := r.places(t)
	r.derived(t, u)
	for _, ref := range refs {
		u.own = len(ref) - len(refOf(t)) + 1
		if ofInput(ref) {
			r.place(ref, t.Location, u)
		} else {
			r.argument(ref, t.Location, u)
		}
	}
	ref, ok := t.Value.(ast.Ref)
	if !ok || len(refs) > 0 {
		return len(refs) > 0
	}
	if _, variable := ref[0].Value.(ast.Var); !variable {
		r.walk(ref[0])
	}
	for _, step := range ref[1:] {
		r.walk(step)
	}
	return true
}

// argument refuses to read below an argument of a function: it may be a claim of any
// form, and nobody looks at what the function is called with.
func (r *references) argument(ref ast.Ref, at *ast.Location, u use) {
	named := true
	for _, step := range ref[1:] {
		r.walk(step)
		named = named && fixed(step)
	}
	switch {
	case u.alone && u.negated && named: // it asks whether it is there
	case u.collection:
		r.fault(at, "%v: which elements an argument of a function has cannot be followed; go through them where it is called", ref)
	case len(ref) > 1:
		r.fault(at, "%v: what an argument of a function has cannot be followed; read it where it is called, or as object.get(%v, ..., default)", ref, ref[0])
	}
}

// isInput tells whether a term is input, or something of it.
func isInput(t *ast.Term) bool { return ofInput(refOf(t)) }

func ofInput(ref ast.Ref) bool { return ref[0].Value.Compare(ast.Var("input")) == 0 }

func refOf(t *ast.Term) ast.Ref {
	if ref, ok := t.Value.(ast.Ref); ok {
		return ref
	}
	return ast.Ref{t}
}

// names of an object, for errors.
func (n *node) list() string { return strings.Join(n.names, ", ") }

// describe is how errors tell what kind of value has no members.
func describe(n *node) string {
	return fmt.Sprintf("is %s, and has no members", map[shape]string{list: "an array", text: "a string", boolean: "a boolean", number: "a number"}[n.shape])
}
