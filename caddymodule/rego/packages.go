package rego

import "github.com/open-policy-agent/opa/v1/ast"

// rules are those of a package, by their names.
type rules struct {
	path ast.Ref
	// places are those of input that they stand for.
	places map[ast.Var][]ast.Ref
	// made are those that are made of claims.
	made made
	// arguments is how many a function has, patterns are those of its definitions.
	arguments map[ast.Var]int
	patterns  map[ast.Var][]ast.Args
}

func (r *references) packageOf(m *ast.Module) *rules {
	name := m.Package.Path.String()
	if r.packages[name] == nil {
		r.packages[name] = &rules{m.Package.Path, map[ast.Var][]ast.Ref{}, made{}, map[ast.Var]int{}, map[ast.Var][]ast.Args{}}
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
		p.patterns[name] = append(p.patterns[name], rule.Head.Args)
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

// rule is the one of a package below data that a reference names, and the steps below it:
// data.a.b.c may be b of the package a, or c of a.b.
func (r *references) rule(ref ast.Ref) (found *rules, name ast.Var, steps int) {
	ref = r.fromData(ref)
	for _, p := range r.packages {
		at := len(p.path)
		if len(ref) <= at || !ref.HasPrefix(p.path) || found != nil && at < len(found.path) {
			continue
		}
		if s, ok := ref[at].Value.(ast.String); ok && p.has(ast.Var(s)) {
			found, name, steps = p, ast.Var(s), len(ref)-at-1
		}
	}
	return found, name, steps
}

func (p *rules) has(name ast.Var) bool {
	_, ok := p.arguments[name]
	return ok
}

// builtin is the function of the language of that name, unless a rule or an import has it.
func (r *references) builtin(function *ast.Term) *ast.Builtin {
	name, _ := refOf(function)[0].Value.(ast.Var)
	if r.current.has(name) || r.imports[name] != nil {
		return nil
	}
	return ast.BuiltinMap[function.Value.String()]
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
	if b := r.builtin(function); b != nil {
		return b.Decl.Arity()
	}
	p, name := r.function(function)
	return p.arguments[name]
}

// function is one of the rules, here or in another package.
func (r *references) function(t *ast.Term) (*rules, ast.Var) {
	if p, name, _ := r.rule(refOf(t)); p != nil {
		return p, name
	}
	name, _ := refOf(t)[0].Value.(ast.Var)
	return r.current, name
}
