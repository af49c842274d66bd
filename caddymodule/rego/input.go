package rego

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// value is an ast.Value.
type value = ast.Value

// input converts what the rules name of an input, and nothing else.
func (r *references) input(in *verify.PolicyInput) (value, error) {
	return r.read.value(reflect.ValueOf(in).Elem())
}

// value converts a place. What is empty is there nevertheless: "", [] or null.
func (p *part) value(v reflect.Value) (value, error) {
	if p.nullable {
		if v.IsNil() {
			return ast.NullValue, nil
		}
		v = v.Elem()
	}
	switch p.shape {
	case object:
		return p.members(v)
	case claims:
		return p.claims(v.Interface().(verify.Object))
	case list:
		items := make([]*ast.Term, v.Len())
		for i := range items {
			item, err := (&part{node: p.item, whole: true}).value(v.Index(i))
			if err != nil {
				return nil, err
			}
			items[i] = ast.NewTerm(item)
		}
		return ast.NewArray(items...), nil
	case boolean:
		return ast.Boolean(v.Bool()), nil
	case number:
		return ast.Number(fmt.Sprint(v.Int())), nil
	}
	if v.Kind() != reflect.String { // text is time, else
		return ast.String(v.Interface().(time.Time).UTC().Format(time.RFC3339Nano)), nil
	}
	return ast.String(v.String()), nil
}

func (p *part) members(v reflect.Value) (value, error) {
	members := make([][2]*ast.Term, 0, len(p.parts))
	for name, child := range p.parts {
		_, field := p.member(name)
		m, err := child.value(v.Field(field))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		members = append(members, [2]*ast.Term{ast.InternedTerm(name), ast.NewTerm(m)})
	}
	return ast.NewObject(members...), nil
}

func (p *part) claims(o verify.Object) (value, error) {
	members := make([][2]*ast.Term, 0, len(p.parts))
	for _, m := range o.Members() {
		if !p.whole && p.parts[m.Name] == nil {
			continue
		}
		v, err := parse(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", verify.Quote(m.Name), err)
		}
		members = append(members, [2]*ast.Term{ast.InternedTerm(m.Name), ast.NewTerm(v)})
	}
	return ast.NewObject(members...), nil
}

// byNature are null for operations that have no such thing: what reads below them does
// not hold there.
var byNature = map[string]bool{"registration": true, "client": true}

// missing is an error for the first thing that the rules read and an input does not have.
func (r *references) missing(input value) error {
	for i := range r.needs {
		if err := r.needs[i].missing(input); err != nil {
			return fmt.Errorf("%w (%s:%d)", err, r.needs[i].at.File, r.needs[i].at.Row)
		}
	}
	return nil
}

func (n *need) missing(input value) error {
	first := n.path[0].Value
	if name, _ := first.(ast.String); byNature[string(name)] && null(input, n.path[:1]) {
		return nil
	}
	found, err := input.Find(n.path)
	switch {
	case n.notNull && (err != nil || found.Compare(ast.NullValue) == 0):
		return fmt.Errorf("reads below %s, which is null; compare it with null in a policy of its own, or read it as %s", n.shown(), n.getNull())
	case n.notNull:
		return nil
	case err != nil:
		return fmt.Errorf("reads %s, which the request does not have; read it as %s", n.shown(), n.get())
	}
	if n.collection {
		switch found.(type) {
		case *ast.Array, ast.Object:
		default:
			return fmt.Errorf("reads elements of %s, which is %s", n.shown(), ast.ValueName(found))
		}
	}
	return nil
}

func null(input value, path ast.Ref) bool {
	found, err := input.Find(path)
	return err == nil && found.Compare(ast.NullValue) == 0
}

// shown is the path as rules write it.
func (n *need) shown() string { return ast.InputRootRef.Concat(n.path).String() }

// get is how a rule reads what may be absent.
func (n *need) get() string {
	claims := 1
	if n.path[0].Value.Compare(ast.String("token")) == 0 {
		claims = 2
	}
	rest := n.path[claims:]
	key := rest[0].String()
	if len(rest) > 1 {
		keys := make([]string, len(rest))
		for i := range rest {
			keys[i] = rest[i].String()
		}
		key = "[" + strings.Join(keys, ", ") + "]"
	}
	return fmt.Sprintf(`object.get(%v, %s, "")`, ast.InputRootRef.Concat(n.path[:claims]), key)
}

// getNull is how a rule reads a member of what may be null.
func (n *need) getNull() string {
	keys := make([]string, len(n.path))
	for i := range n.path {
		keys[i] = n.path[i].String()
	}
	return fmt.Sprintf(`object.get(input, [%s, "name"], "")`, strings.Join(keys, ", "))
}
