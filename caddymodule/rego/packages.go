package rego

import "github.com/open-policy-agent/opa/v1/ast"

// rules are those of a package, by their names.
type rules struct {
	path ast.Ref
	// places are those of input that they stand for.
	places map[ast.Var][]ast.Ref
	// made are those that are made of claims.
	made made
	// arguments is how many a function has.
	arguments map[ast.Var]int
}

func (r *references) packageOf(m *ast.Module) *rules {
	name := m.Package.Path.String()
	if r.packages[name] == nil {
		r.packages[name] = &rules{m.Package.Path, map[ast.Var][]ast.Ref{}, made{}, map[ast.Var]int{}}
	}
	return r.packages[name]
}

func (p *rules) add(rule *ast.Rule) {
	if name, ok := rule.Head.Ref()[0].Value.(ast.Var); ok {
		if places := valueOf(rule); places != nil {
			p.places[name] = append(p.places[name], places...)
		}
		if n, ok := p.arguments[name]; !ok || len(rule.Head.Args) < n {
			p.arguments[name] = len(rule.Head.Args)
		}
	}
}

// importsOf are the names that a module has for what is in other packages.
func (r *references) importsOf(m *ast.Module) {
	r.imports = map[ast.Var]ast.Ref{}
	for _, i := range m.Imports {
		if path, ok := i.Path.Value.(ast.Ref); ok && path.HasPrefix(ast.DefaultRootRef) {
			r.imports[i.Name()] = path
		}
	}
}

// rule is the one of a package below data that a reference names, and the steps below it.
func (r *references) rule(ref ast.Ref) (p *rules, name ast.Var, steps int) {
	ref = r.fromData(ref)
	for _, p := range r.packages {
		if at := len(p.path); len(ref) > at && ref.HasPrefix(p.path) {
			if name, ok := ref[at].Value.(ast.String); ok {
				return p, ast.Var(name), len(ref) - at - 1
			}
		}
	}
	return nil, "", 0
}

// fromData is a reference with the path of what it begins with, if that is imported.
func (r *references) fromData(ref ast.Ref) ast.Ref {
	if v, ok := ref[0].Value.(ast.Var); ok && r.imports[v] != nil {
		return r.imports[v].Concat(ref[1:])
	}
	return ref
}

// arity is how many arguments a function has.
func (r *references) arity(function *ast.Term) int {
	if b := ast.BuiltinMap[function.Value.String()]; b != nil {
		return b.Decl.Arity()
	}
	p, name, _ := r.rule(refOf(function))
	if p == nil {
		p, name = r.current, refOf(function)[0].Value.(ast.Var)
	}
	return p.arguments[name]
}
