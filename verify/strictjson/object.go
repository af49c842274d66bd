// Package strictjson reads one JSON object (RFC 8259) without the leniencies of
// encoding/json: a member that is there twice, a name in another case, text after the
// object. It decodes a member when it is asked for one.
//
// encoding/json/jsontext replaces it once Go ships that without an experiment flag. So
// the package stays as small as what that does not have: Parse, ParseAnswer, ParseHeader,
// and what an Object tells of its members.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Bounds of the JSON reader. A registration request with its SSA needs depth 6
// and about 60 members.
const (
	maxDepth   = 16
	MaxMembers = 512
	MaxItems   = 4096
)

// Object is a JSON object, as one of the readers has read it (jsonreaders.go). Names are
// compared exactly, unlike encoding/json, which lets "ISS" override "iss".
//
// Values are kept as the bytes that were received and decoded when asked for,
// because most of an SSA is only handed on.
type Object struct {
	members []Member
	reader  reader
}

// Member is one name with its value, as JSON text.
type Member struct {
	Name  string
	Value []byte

	// doubled: it was there more than once, with different values.
	doubled bool
}

// Members are the members in the order received.
func (o Object) Members() []Member { return o.members }

// Raw is the member's value as JSON text, nil when there is none.
func (o Object) Raw(name string) []byte {
	raw, _ := o.value(name)
	return raw
}

// ErrDoubled is in the chain of the error of a member that has several values.
var ErrDoubled = errors.New("is there more than once, with different values")

// value is Raw; a member with several values is an error for all that decode it.
func (o Object) value(name string) ([]byte, error) {
	for i := range o.members {
		if m := &o.members[i]; m.Name == name {
			if m.doubled {
				return m.Value, ErrDoubled
			}
			return m.Value, nil
		}
	}
	return nil, nil
}

// Has tells whether the member is there. null is as if it were not.
func (o Object) Has(name string) bool { return o.Raw(name) != nil }

// With returns the object with the member set to raw, in its old place or at
// the end. The receiver is unchanged.
func (o Object) With(name string, raw []byte) Object {
	out := Object{members: append(make([]Member, 0, len(o.members)+1), o.members...), reader: o.reader}
	for i := range out.members {
		if out.members[i].Name == name {
			out.members[i] = Member{Name: name, Value: raw}
			return out
		}
	}
	out.members = append(out.members, Member{Name: name, Value: raw})
	return out
}

// Without returns the object without the named members. The receiver is unchanged.
func (o Object) Without(names ...string) Object {
	return o.Filter(func(m Member) bool { return !slices.Contains(names, m.Name) })
}

// Only returns the object with the named members alone. The receiver is unchanged.
func (o Object) Only(names ...string) Object {
	return o.Filter(func(m Member) bool { return slices.Contains(names, m.Name) })
}

// Filter is the object with those members alone that keep tells to keep.
func (o Object) Filter(keep func(Member) bool) Object {
	out := Object{reader: o.reader}
	for _, m := range o.members {
		if keep(m) {
			out.members = append(out.members, m)
		}
	}
	return out
}

// AppendJSON appends the object's text to b.
func (o Object) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, m.Name)
		b = append(b, ':')
		b = append(b, m.Value...)
	}
	return append(b, '}')
}

// String is the member's string value. ok is false when the member is absent;
// another type is an error.
func (o Object) String(name string) (s string, ok bool, err error) {
	text, ok, err := o.Bytes(name)
	return string(text), ok, err
}

// Bytes is String without a copy where nothing is escaped: it may be the
// object's own memory, and must not be changed.
func (o Object) Bytes(name string) (s []byte, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return nil, raw != nil, err
	}
	if raw[0] != '"' {
		return nil, true, fmt.Errorf("is %s, not a string", typeOf(raw))
	}
	return unquote(raw), true, nil
}

// Strings is the member's array of strings.
func (o Object) Strings(name string) (list []string, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return nil, raw != nil, err
	}
	if raw[0] != '[' {
		return nil, true, fmt.Errorf("is %s, not an array of strings", typeOf(raw))
	}
	p := parser{data: raw, at: 1, reader: o.reader}
	list = make([]string, 0, min(1+bytes.Count(raw, []byte{','}), 64))
	for p.item() {
		start := p.at
		switch {
		case p.peek() == '"':
			if err := p.str(); err != nil {
				return nil, true, err
			}
			list = append(list, p.name(start))
		case o.reader == tolerantly && p.word("null") == nil:
		default:
			return nil, true, fmt.Errorf("holds %s, not only strings", typeOf(p.data[p.at:]))
		}
	}
	return list, true, nil
}

// Array is the member's array, each item as JSON text. The items share the object's memory.
func (o Object) Array(name string) (items [][]byte, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return nil, raw != nil, err
	}
	if raw[0] != '[' {
		return nil, true, fmt.Errorf("is %s, not an array", typeOf(raw))
	}
	return Items(raw), true, nil
}

// Bool is the member's boolean.
func (o Object) Bool(name string) (v, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return false, raw != nil, err
	}
	if raw[0] != 't' && raw[0] != 'f' {
		return false, true, fmt.Errorf("is %s, not a boolean", typeOf(raw))
	}
	return raw[0] == 't', true, nil
}

// Object is the member's object.
func (o Object) Object(name string) (v Object, ok bool, err error) {
	raw, err := o.value(name)
	if raw == nil || err != nil {
		return Object{}, raw != nil, err
	}
	if raw[0] != '{' {
		return Object{}, true, fmt.Errorf("is %s, not an object", typeOf(raw))
	}
	v, err = o.reader.read(raw)
	return v, true, err
}

// Items are the items of an array that a member of an Object has or holds, as JSON
// text. They share its memory.
func Items(raw []byte) (items [][]byte) {
	items = make([][]byte, 0, min(1+bytes.Count(raw, []byte{','}), 64))
	for item := range EachItem(raw) {
		items = append(items, item)
	}
	return items
}

// EachItem is Items, one after another.
func EachItem(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		p := parser{data: raw, at: 1, reader: tolerantly} // one of the readers has accepted it
		for p.item() {
			start := p.at
			if p.value(1) != nil || !yield(raw[start:p.at]) {
				return // the first: of no array that was accepted
			}
		}
	}
}

// Text is the text of a string that a member of an Object has or holds.
func Text(raw []byte) string { return string(unquote(raw)) }

func typeOf(raw []byte) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// MarshalJSON is the object as received, without blanks between its members.
func (o Object) MarshalJSON() ([]byte, error) { return o.AppendJSON(nil), nil }

// UnmarshalJSON is Parse.
func (o *Object) UnmarshalJSON(data []byte) (err error) {
	*o, err = Parse(append([]byte(nil), data...))
	return err
}
