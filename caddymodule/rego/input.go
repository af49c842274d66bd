package rego

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
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
		return p.claims(v.Interface().(strictjson.Object))
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

func (p *part) claims(o strictjson.Object) (value, error) {
	members := make([][2]*ast.Term, 0, len(p.parts))
	for _, m := range o.Members() {
		if !p.whole && p.parts[m.Name] == nil {
			continue
		}
		v, err := parse(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", refusal.Quote(m.Name), err)
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
	if n.notNull {
		if null(input, n.path) {
			return fmt.Errorf("reads below %s, which is null; let that be denied, or read it as %s", n.shown(), n.getNull())
		}
		return nil
	}
	return n.below(input, n.path)
}

// below follows the rest of a path.
func (n *need) below(v value, rest ast.Ref) error {
	for i, step := range rest {
		if _, every := step.Value.(ast.Var); every {
			return n.each(v, rest[i+1:])
		}
		found, err := v.Find(rest[i : i+1])
		if err != nil {
			return fmt.Errorf("reads %s, which the request does not have; read it as %s", n.shown(), n.get())
		}
		v = found
	}
	if n.collection && !hasElements(v) {
		return n.noElements(v)
	}
	return nil
}

// each follows the rest of a path below every element. There may be none, but what
// cannot have any is an error.
func (n *need) each(v value, rest ast.Ref) (err error) {
	check := func(element *ast.Term) {
		if err == nil {
			err = n.below(element.Value, rest)
		}
	}
	switch v := v.(type) {
	case *ast.Array:
		v.Foreach(check)
	case ast.Object:
		v.Foreach(func(_, element *ast.Term) { check(element) })
	default:
		return n.noElements(v)
	}
	return err
}

func (n *need) noElements(v value) error {
	return fmt.Errorf("reads elements of %s, but there is %s", n.shown(), ast.ValueName(v))
}

func hasElements(v value) bool {
	switch v.(type) {
	case *ast.Array, ast.Object:
		return true
	}
	return false
}

func null(input value, path ast.Ref) bool {
	found, err := input.Find(path)
	return err != nil || found.Compare(ast.NullValue) == 0
}

// shown is the path as rules write it.
func (n *need) shown() string { return ast.InputRootRef.Concat(n.path).String() }

// get is how a rule reads what may be absent: object.get, from what is there.
func (n *need) get() string {
	from := 1
	if n.path[0].Value.Compare(ast.String("token")) == 0 {
		from = 2
	}
	for i, step := range n.path[:len(n.path)-1] {
		if !fixed(step) {
			from = i + 1
		}
	}
	return getting(n.path[:from], n.path[from:])
}

// getNull is how a rule reads a member of what may be null.
func (n *need) getNull() string {
	return getting(nil, append(n.path.Copy(), ast.StringTerm("name")))
}

func getting(from, path ast.Ref) string {
	keys := make([]string, len(path))
	for i := range path {
		keys[i] = path[i].String()
	}
	key := strings.Join(keys, ", ")
	if len(keys) > 1 {
		key = "[" + key + "]"
	}
	return fmt.Sprintf(`object.get(%v, %s, "")`, ast.InputRootRef.Concat(from), key)
}
