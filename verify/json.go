package verify

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Bounds of the JSON reader. A registration request with its SSA needs depth 6
// and about 60 members.
const (
	maxDepth   = 16
	maxMembers = 512
	maxItems   = 4096
)

// Object is a JSON object that was read strictly: UTF-8, no duplicate member
// at any depth, bounded. Names are compared exactly, unlike encoding/json,
// which lets "ISS" override "iss" and the last duplicate win.
//
// Values are kept as the bytes that were received and decoded when asked for,
// because most of an SSA is only handed on.
type Object struct {
	members []Member
}

// Member is one name with its value, as JSON text.
type Member struct {
	Name  string
	Value []byte
}

// ParseObject reads exactly one JSON object. The values share data's memory, which
// must not be changed any more; the names share a copy of it.
func ParseObject(data []byte) (Object, error) {
	p := parser{data: data}
	if !utf8.Valid(data) {
		return Object{}, errors.New("not UTF-8")
	}
	p.space()
	if p.peek() != '{' {
		return Object{}, errors.New("not a JSON object")
	}
	o := Object{members: make([]Member, 0, min(4+len(data)/64, 64))}
	if err := p.object(1, &o); err != nil {
		return Object{}, fmt.Errorf("at byte %d: %w", p.at, err)
	}
	p.space()
	if p.at != len(data) {
		return Object{}, fmt.Errorf("at byte %d: text after the object", p.at)
	}
	return o, nil
}

// Members are the members in the order received.
func (o Object) Members() []Member { return o.members }

// Raw is the member's value as JSON text, nil when there is none.
func (o Object) Raw(name string) []byte {
	for i := range o.members {
		if o.members[i].Name == name {
			return o.members[i].Value
		}
	}
	return nil
}

// Has tells whether the member is there (null counts).
func (o Object) Has(name string) bool { return o.Raw(name) != nil }

// With returns the object with the member set to raw, in its old place or at
// the end. The receiver is unchanged.
func (o Object) With(name string, raw []byte) Object {
	out := Object{members: append(make([]Member, 0, len(o.members)+1), o.members...)}
	for i := range out.members {
		if out.members[i].Name == name {
			out.members[i].Value = raw
			return out
		}
	}
	out.members = append(out.members, Member{name, raw})
	return out
}

// Without returns the object without the named members. The receiver is unchanged.
func (o Object) Without(names ...string) Object {
	return o.filter(func(m Member) bool { return !slices.Contains(names, m.Name) })
}

// Only returns the object with the named members alone. The receiver is unchanged.
func (o Object) Only(names ...string) Object {
	return o.filter(func(m Member) bool { return slices.Contains(names, m.Name) })
}

func (o Object) filter(keep func(Member) bool) (out Object) {
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
	raw := o.Raw(name)
	if raw == nil {
		return nil, false, nil
	}
	if raw[0] != '"' {
		return nil, true, fmt.Errorf("is %s, not a string", typeOf(raw))
	}
	return unquote(raw), true, nil
}

// Strings is the member's array of strings.
func (o Object) Strings(name string) (list []string, ok bool, err error) {
	raw := o.Raw(name)
	if raw == nil {
		return nil, false, nil
	}
	if raw[0] != '[' {
		return nil, true, fmt.Errorf("is %s, not an array of strings", typeOf(raw))
	}
	p := parser{data: raw, at: 1}
	list = make([]string, 0, min(1+bytes.Count(raw, []byte{','}), 64))
	for p.item() {
		if p.peek() != '"' {
			return nil, true, fmt.Errorf("holds %s, not only strings", typeOf(p.data[p.at:]))
		}
		start := p.at
		if err := p.str(); err != nil {
			return nil, true, err
		}
		list = append(list, p.name(start))
	}
	return list, true, nil
}

// Objects is the member's array of objects; an absent member is an error.
func (o Object) Objects(name string) ([]Object, error) {
	raw := o.Raw(name)
	if raw == nil {
		return nil, errors.New("missing")
	}
	if raw[0] != '[' {
		return nil, fmt.Errorf("is %s, not an array of objects", typeOf(raw))
	}
	p := parser{data: raw, at: 1}
	list := []Object{}
	for p.item() {
		if p.peek() != '{' {
			return nil, fmt.Errorf("holds %s, not only objects", typeOf(p.data[p.at:]))
		}
		var item Object
		if err := p.object(1, &item); err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, nil
}

// Integer is the member's whole number: digits only, no fraction and no
// exponent (a date as 1e9 or "1700000000" has been read differently by
// different software, so it is no date).
func (o Object) Integer(name string) (n int64, ok bool, err error) {
	raw := o.Raw(name)
	if raw == nil {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n > math.MaxInt64/2 || n < math.MinInt64/2 {
		return 0, true, errors.New("is not a whole number")
	}
	return n, true, nil
}

// Time is the member's moment, in seconds since 1970 (NumericDate, RFC 7519 2). One before
// that is an error: the zero time stands for none here.
func (o Object) Time(name string) (at time.Time, ok bool, err error) {
	n, ok, err := o.Integer(name)
	switch {
	case err != nil || !ok:
		return time.Time{}, ok, err
	case n < 0:
		return time.Time{}, true, errors.New("is before 1970")
	}
	return time.Unix(n, 0), true, nil
}

// Bool is the member's boolean.
func (o Object) Bool(name string) (v, ok bool, err error) {
	switch raw := string(o.Raw(name)); raw {
	case "":
		return false, false, nil
	case "true", "false":
		return raw == "true", true, nil
	default:
		return false, true, fmt.Errorf("is %s, not a boolean", typeOf([]byte(raw)))
	}
}

// Object is the member's object.
func (o Object) Object(name string) (v Object, ok bool, err error) {
	raw := o.Raw(name)
	if raw == nil {
		return Object{}, false, nil
	}
	if raw[0] != '{' {
		return Object{}, true, fmt.Errorf("is %s, not an object", typeOf(raw))
	}
	v, err = ParseObject(raw)
	return v, true, err
}

// Items are the items of an array that a member of an Object has or holds, as JSON
// text. They share its memory.
func Items(raw []byte) (items [][]byte) {
	p := parser{data: raw, at: 1}
	items = make([][]byte, 0, min(1+bytes.Count(raw, []byte{','}), 64))
	for p.item() {
		start := p.at
		if p.value(1) != nil {
			return items // of no array that was accepted
		}
		items = append(items, raw[start:p.at])
	}
	return items
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
