package cel

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// claims is a JSON object as a map of CEL. Its members are decoded when an expression
// reads them: most of a software statement nobody reads.
type claims struct{ verify.Object }

var _ traits.Mapper = claims{}

// Find is for keys that may be absent.
func (c claims) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	raw := c.Raw(string(name))
	if raw == nil {
		return nil, false
	}
	return value(raw), true
}

// Get is an error for a claim that is absent.
func (c claims) Get(key ref.Val) ref.Val {
	v, ok := c.Find(key)
	switch {
	case ok:
		return v
	case v != nil:
		return v
	}
	return types.NewErr("there is no claim %v; ask with has() whether there is, or read it as .?%v.orValue(...)", key, key)
}

func (c claims) Contains(key ref.Val) ref.Val {
	v, ok := c.Find(key)
	if !ok && v != nil {
		return v
	}
	return types.Bool(ok)
}

func (c claims) Size() ref.Val { return types.Int(len(c.Members())) }

func (c claims) Type() ref.Type { return types.MapType }

func (c claims) Value() any { return c.Object }

func (c claims) Iterator() traits.Iterator {
	names := make([]string, 0, len(c.Members()))
	for _, m := range c.Members() {
		names = append(names, m.Name)
	}
	return types.NewStringList(types.DefaultTypeAdapter, names).Iterator()
}

// Equal compares with another map as CEL does.
func (c claims) Equal(other ref.Val) ref.Val { return c.whole().Equal(other) }

func (c claims) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return c
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("claims are no %s", t.TypeName())
}

func (c claims) ConvertToNative(t reflect.Type) (any, error) { return c.whole().ConvertToNative(t) }

func (c claims) whole() ref.Val {
	m := make(map[ref.Val]ref.Val, len(c.Members()))
	for _, member := range c.Members() {
		m[types.String(member.Name)] = value(member.Value)
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, m)
}

// value decodes JSON that was read strictly before. A number without a fraction is an
// int, as claims like exp are.
func value(raw []byte) ref.Val {
	switch raw[0] {
	case '{':
		o, err := verify.ParseObject(raw)
		if err != nil {
			return types.WrapErr(err)
		}
		return claims{o}
	case '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return types.WrapErr(err)
		}
		list := make([]ref.Val, len(items))
		for i, item := range items {
			list[i] = value(item)
		}
		return types.NewRefValList(types.DefaultTypeAdapter, list)
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return types.WrapErr(err)
		}
		return types.String(s)
	case 't', 'f':
		return types.Bool(raw[0] == 't')
	case 'n':
		return types.NullValue
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return types.Int(n)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return types.WrapErr(fmt.Errorf("number %s: %w", verify.Quote(string(raw)), err))
	}
	return types.Double(f)
}
