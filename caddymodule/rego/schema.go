package rego

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// shape is what a value of the input may be.
type shape int

const (
	object shape = iota // its members are known, and always there
	claims              // its members are somebody else's
	list
	text
	boolean
	number
)

// node is one place of the input.
type node struct {
	shape
	// nullable: null stands for nothing.
	nullable bool
	// names and members of an object, in the order of its type; fields are theirs.
	names   []string
	members []*node
	fields  []int
	// item of a list.
	item *node
}

// inputShape is that of verify.PolicyInput.
var inputShape = shapeOf(reflect.TypeFor[verify.PolicyInput]())

func shapeOf(t reflect.Type) *node {
	switch {
	case t == reflect.TypeFor[strictjson.Object]():
		return &node{shape: claims}
	case t == reflect.TypeFor[time.Time]():
		return &node{shape: text}
	}
	switch t.Kind() {
	case reflect.Pointer:
		n := shapeOf(t.Elem())
		n.nullable = true
		return n
	case reflect.Struct:
		n := &node{shape: object}
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			if name == "" || f.Anonymous {
				panic(fmt.Sprintf("%v.%s has no name in JSON", t, f.Name))
			}
			n.names = append(n.names, name)
			n.members = append(n.members, shapeOf(f.Type))
			n.fields = append(n.fields, f.Index[0])
		}
		return n
	case reflect.Slice:
		return &node{shape: list, item: shapeOf(t.Elem())}
	case reflect.String:
		return &node{shape: text}
	case reflect.Bool:
		return &node{shape: boolean}
	case reflect.Int, reflect.Int64:
		return &node{shape: number}
	}
	panic(fmt.Sprintf("a policy cannot read a %v", t))
}

// member is one by its name, and its field; nil where there is none.
func (n *node) member(name string) (*node, int) {
	for i := range n.names {
		if n.names[i] == name {
			return n.members[i], n.fields[i]
		}
	}
	return nil, 0
}

// schema is the node as JSON schema, which OPA's compiler checks references with. It
// knows no null; what may be null is anything where nullable is set, and itself where not.
func (n *node) schema(nullable bool) map[string]any {
	if n.nullable && nullable {
		return map[string]any{}
	}
	switch n.shape {
	case object:
		properties := map[string]any{}
		for i, name := range n.names {
			properties[name] = n.members[i].schema(nullable)
		}
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	case claims:
		return map[string]any{"type": "object", "additionalProperties": true}
	case list:
		return map[string]any{"type": "array", "items": n.item.schema(nullable)}
	case boolean:
		return map[string]any{"type": "boolean"}
	case number:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "string"}
}
