package verify

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf16"
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

// ParseObject reads exactly one JSON object. The result shares data's memory.
func ParseObject(data []byte) (Object, error) {
	p := parser{data: data}
	if !utf8.Valid(data) {
		return Object{}, errors.New("not UTF-8")
	}
	p.space()
	if p.peek() != '{' {
		return Object{}, errors.New("not a JSON object")
	}
	o := Object{members: make([]Member, 0, 32)}
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
	var out Object
next:
	for _, m := range o.members {
		for _, n := range names {
			if m.Name == n {
				continue next
			}
		}
		out.members = append(out.members, m)
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
	raw := o.Raw(name)
	if raw == nil {
		return "", false, nil
	}
	if raw[0] != '"' {
		return "", true, fmt.Errorf("is %s, not a string", typeOf(raw))
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
	list = []string{}
	for p.space(); p.peek() != ']'; p.space() {
		if p.peek() == ',' {
			p.at++
			continue
		}
		if p.peek() != '"' {
			return nil, true, fmt.Errorf("holds %s, not only strings", typeOf(p.data[p.at:]))
		}
		start := p.at
		if err := p.str(); err != nil {
			return nil, true, err
		}
		list = append(list, unquote(raw[start:p.at]))
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
	for p.space(); p.peek() != ']'; p.space() {
		if p.peek() == ',' {
			p.at++
			continue
		}
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

// AppendString appends s as a JSON string. Only what JSON demands is escaped,
// and '<', so that an answer shown by a browser cannot become a page.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for len(s) > 0 {
		n := plainLength(s)
		b, s = append(b, s[:n]...), s[n:]
		if s == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == '<' || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
		s = s[size:]
	}
	return append(b, '"')
}

// plainLength is how many bytes s begins with that are plainASCII.
func plainLength[T string | []byte](s T) int {
	n := 0
	for n < len(s) && plainASCII[s[n]] {
		n++
	}
	return n
}

// plainASCII are the bytes that stand for themselves in a JSON string, also in
// one that a browser may show. A software statement has thousands in a row.
var plainASCII = func() (plain [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		plain[c] = c != '"' && c != '\\' && c != '<'
	}
	return plain
}()

// AppendStrings appends list as a JSON array.
func AppendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, s)
	}
	return append(b, ']')
}

// unquote decodes a JSON string that the parser has accepted.
func unquote(raw []byte) string {
	raw = raw[1 : len(raw)-1]
	i := 0
	for i < len(raw) && raw[i] != '\\' {
		i++
	}
	if i == len(raw) {
		return string(raw)
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		switch c := raw[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(raw[i+2:])
			i += 4
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, hex4(raw[i+4:]))
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		i += 2
	}
	return string(out)
}

// hex4 is the value of four hexadecimal digits, -1 when they are none.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
