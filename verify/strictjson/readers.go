package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// There are two readers of JSON, and each thing that comes from outside has one of them:
//
//   - strict (Parse, UnverifiedClaims): what a TPP sends, and the software
//     statement, before and after its signature. Software that disagrees about a text
//     can be made to read two things in it: a member that is there twice, at any depth,
//     a name in another case, half a surrogate pair are refused. The one leniency is
//     that null is as if the member were not there (RFC 7592 2.2).
//   - tolerant (ParseAnswer, UnverifiedAnswer): what the bank's authorization server and
//     the directories say: their answers, tokens, discovery documents and JWKS. Nobody
//     gains by a trap there, and the TPP can mend nothing. What is odd in a member
//     concerns those who need that member: one that is there twice with different values
//     cannot be decoded. A byte order mark, and bytes that are not UTF-8, hurt nobody.
//
// Both read RFC 8259 and nothing looser, and both are bounded.
type reader uint8

const (
	strictly reader = iota
	tolerantly
	// ofHeader is strictly, and null is a value: a JWS header has no member without one.
	ofHeader
)

// Parse reads exactly one JSON object that a TPP has sent, strictly. The values
// share data's memory, which must not be changed any more; the names share a copy of it.
func Parse(data []byte) (Object, error) { return strictly.read(data) }

// ParseHeader is Parse for the header of a JWS, where null is a value: no member of
// one may be without (RFC 7515 4).
func ParseHeader(data []byte) (Object, error) { return ofHeader.read(data) }

// ParseAnswer reads exactly one JSON object of a configured server, tolerantly. With an
// error the object has the members that were read before it: of an answer that broke off
// in the middle. Memory is as for Parse.
func ParseAnswer(data []byte) (Object, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	return tolerantly.read(data)
}

func (r reader) read(data []byte) (Object, error) {
	p := parser{data: data, reader: r}
	if !utf8.Valid(data) {
		return Object{}, errors.New("not UTF-8")
	}
	p.space()
	if p.peek() != '{' {
		return Object{}, errors.New("not a JSON object")
	}
	o := Object{members: make([]Member, 0, min(4+len(data)/64, 64))}
	err := p.object(1, &o)
	o.dropNulls()
	if err != nil {
		return o, fmt.Errorf("at byte %d: %w", p.at, err)
	}
	p.space()
	if p.at != len(data) {
		return o, fmt.Errorf("at byte %d: text after the object", p.at)
	}
	return o, nil
}

// Ambiguous is the error of the first of the members that has several values, or several
// of a member of its own; nil for none.
func (o Object) Ambiguous(names []string) error {
	for _, name := range names {
		raw, err := o.value(name)
		if err == nil && len(raw) > 0 && raw[0] == '{' {
			err = o.ambiguousWithin(name)
		}
		if err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	return nil
}

func (o Object) ambiguousWithin(name string) error {
	inner, _, err := o.Object(name)
	if err != nil {
		return err
	}
	for _, m := range inner.members {
		if m.doubled {
			return fmt.Errorf("has %s, which %w", refusal.Quote(m.Name), ErrDoubled)
		}
	}
	return nil
}

// again is the member once more.
func (m *Member) again(value []byte) {
	text := func(raw []byte) bool { return raw[0] == '"' }
	same := bytes.Equal(m.Value, value) || text(m.Value) && text(value) && bytes.Equal(unquote(m.Value), unquote(value))
	m.Value, m.doubled = value, m.doubled || !same
}

// dropNulls removes members whose value is null, wherever that is as if they were not there.
func (o *Object) dropNulls() {
	if o.reader == ofHeader {
		return
	}
	for i := range o.members {
		if o.members[i].isNull() {
			*o = o.Filter(func(m Member) bool { return !m.isNull() })
			return
		}
	}
}

func (m *Member) isNull() bool { return m.Value[0] == 'n' && !m.doubled }

// fewMembers is up to how many members a name is looked for among them one by one:
// no real statement has more. Beyond, 64 KiB of short names would cost 4 ms.
const fewMembers = 64

// memberNames finds a name among the members that were read.
type memberNames struct {
	of   *Object
	many map[string]int // from fewMembers on
}

// index is where the member is, -1 when there is none yet. Whoever asks appends it next.
func (n *memberNames) index(name string) int {
	members := n.of.members
	if n.many == nil && len(members) < fewMembers {
		for i := range members {
			if members[i].Name == name {
				return i
			}
		}
		return -1
	}
	if n.many == nil {
		n.many = make(map[string]int, 2*fewMembers)
		for i := range members {
			n.many[members[i].Name] = i
		}
	}
	if i, ok := n.many[name]; ok {
		return i
	}
	n.many[name] = len(members)
	return -1
}
