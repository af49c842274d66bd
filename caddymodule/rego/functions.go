package rego

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// arguments are what the arguments of functions stand for, by the rules of a function
// and their variables: all places that it is called with anywhere.
type arguments struct {
	// rules of a function, by its path.
	rules map[string][]*ast.Rule
	of    map[*ast.Rule]map[ast.Var][]ast.Ref
	// grown: something was added.
	grown bool
	// tooMany: a rule that is called with more places than are followed.
	tooMany *ast.Rule
}

func newArguments(modules map[string]*ast.Module) *arguments {
	a := &arguments{rules: map[string][]*ast.Rule{}, of: map[*ast.Rule]map[ast.Var][]ast.Ref{}}
	for _, m := range modules {
		for _, rule := range m.Rules {
			if len(rule.Head.Args) > 0 {
				path := rule.Ref().String()
				a.rules[path] = append(a.rules[path], rule)
				a.of[rule] = map[ast.Var][]ast.Ref{}
			}
		}
	}
	return a
}

// pass notes the places that a call's argument is.
func (a *arguments) pass(function string, i int, places []ast.Ref) {
	for _, rule := range a.rules[function] {
		if i >= len(rule.Head.Args) {
			continue
		}
		v, ok := rule.Head.Args[i].Value.(ast.Var)
		if !ok || v.IsWildcard() {
			continue
		}
		for _, place := range places {
			known := a.of[rule][v]
			switch {
			case slices.ContainsFunc(known, func(o ast.Ref) bool { return o.Equal(place) }):
			case len(known) == maxPlaces:
				a.tooMany = rule
			default:
				a.of[rule][v] = append(known, place)
				a.grown = true
			}
		}
	}
}

// maxPlaces is how many places an argument may stand for.
const maxPlaces = 100

// pathOf is the path of a function as it is called in a module: a rule of its package, or of another.
func pathOf(m *ast.Module, called ast.Ref) string {
	name, ok := called[0].Value.(ast.Var)
	if !ok {
		return ""
	}
	for _, i := range m.Imports {
		if i.Name() == name {
			imported, _ := i.Path.Value.(ast.Ref)
			return imported.Concat(called[1:]).String()
		}
	}
	if name == "data" {
		return called.String()
	}
	return m.Package.Path.Extend(called).String()
}
