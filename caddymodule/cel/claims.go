package cel

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// claims is a JSON object as a map of CEL. Its members are decoded when an expression
// reads them, once in a decision: most of a software statement nobody reads.
type claims struct {
	strictjson.Object
	decoded []ref.Val
}

var _ traits.Mapper = (*claims)(nil)

// Find is for keys that may be absent.
func (c *claims) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(key), false
	}
	members := c.Members()
	for i := range members {
		if members[i].Name == string(name) {
			return c.value(i), true
		}
	}
	return nil, false
}

func (c *claims) value(i int) ref.Val {
	if c.decoded == nil {
		c.decoded = make([]ref.Val, len(c.Members()))
	}
	if c.decoded[i] == nil {
		c.decoded[i] = value(c.Members()[i].Value)
	}
	return c.decoded[i]
}

// Get is an error for a claim that is absent.
func (c *claims) Get(key ref.Val) ref.Val {
	v, ok := c.Find(key)
	if ok || v != nil {
		return v
	}
	return types.NewErr("no such key: %v", key)
}

func (c *claims) Contains(key ref.Val) ref.Val {
	v, ok := c.Find(key)
	if !ok && v != nil {
		return v
	}
	return types.Bool(ok)
}

func (c *claims) Size() ref.Val { return types.Int(len(c.Members())) }

func (c *claims) Type() ref.Type { return types.MapType }

func (c *claims) Value() any { return c.Object }

func (c *claims) Iterator() traits.Iterator {
	names := make([]string, 0, len(c.Members()))
	for _, m := range c.Members() {
		names = append(names, m.Name)
	}
	return types.NewStringList(types.DefaultTypeAdapter, names).Iterator()
}

// Equal compares with another map as CEL does.
func (c *claims) Equal(other ref.Val) ref.Val { return c.whole().Equal(other) }

func (c *claims) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.MapType:
		return c
	case types.TypeType:
		return types.MapType
	}
	return types.NewErr("claims are no %s", t.TypeName())
}

func (c *claims) ConvertToNative(t reflect.Type) (any, error) { return c.whole().ConvertToNative(t) }

func (c *claims) whole() ref.Val {
	m := make(map[ref.Val]ref.Val, len(c.Members()))
	for i, member := range c.Members() {
		m[types.String(member.Name)] = c.value(i)
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, m)
}

// value decodes JSON that was read strictly before. A number without a fraction is an
// int, as claims like exp are.
func value(raw []byte) ref.Val {
	switch raw[0] {
	case '{':
		o, err := strictjson.ParseAnswer(raw) // its reader has accepted it
		if err != nil {
			return types.WrapErr(err)
		}
		return &claims{Object: o}
	case '[':
		items := strictjson.Items(raw)
		list := make([]ref.Val, len(items))
		for i, item := range items {
			list[i] = value(item)
		}
		return types.NewRefValList(types.DefaultTypeAdapter, list)
	case '"':
		return types.String(strictjson.Text(raw))
	case 't', 'f':
		return types.Bool(raw[0] == 't')
	case 'n':
		return types.NullValue
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return types.Int(n)
	}
	// What is out of range is infinite, and no error: within a list or a map an error
	// would be equal to anything.
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return types.WrapErr(fmt.Errorf("number %s: %w", refusal.Quote(string(raw)), err))
	}
	return types.Double(f)
}
