package strictjson

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// parser walks JSON text (RFC 8259) once. It checks everything and decodes
// nothing but member names.
type parser struct {
	data []byte
	at   int
	// text is data once more, made when the first name is read: names are parts of
	// it, and not a copy each.
	text   string
	reader reader
}

// name is the string that began at start and ends here.
func (p *parser) name(start int) string {
	if p.text == "" {
		p.text = string(p.data)
	}
	if raw := p.text[start+1 : p.at-1]; strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	return string(unquote(p.data[start:p.at]))
}

func (p *parser) peek() byte {
	if p.at < len(p.data) {
		return p.data[p.at]
	}
	return 0
}

func (p *parser) space() {
	for p.at < len(p.data) {
		switch p.data[p.at] {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return
		}
	}
}

// object reads an object. Its members are appended to keep, or only checked
// when keep is nil. With an error keep has those that were read before it.
func (p *parser) object(depth int, keep *Object) error {
	if depth > maxDepth {
		return errors.New("nested too deep")
	}
	var nested Object
	if keep == nil {
		keep = &nested
	}
	keep.reader = p.reader
	names := memberNames{of: keep}
	p.at++ // {
	for p.space(); p.peek() != '}'; p.space() {
		if len(keep.members) > 0 {
			if p.peek() != ',' {
				return errors.New("a comma or the end of the object is missing")
			}
			p.at++
			p.space()
		}
		if p.peek() != '"' {
			return errors.New("a member name is missing")
		}
		start := p.at
		if err := p.str(); err != nil {
			return err
		}
		name := p.name(start)
		earlier := names.index(name)
		switch {
		case earlier >= 0 && p.reader != tolerantly:
			return fmt.Errorf("member %s twice", refusal.Quote(name))
		case len(keep.members) == MaxMembers:
			return fmt.Errorf("more than %d members", MaxMembers)
		}
		p.space()
		if p.peek() != ':' {
			return errors.New("a colon is missing")
		}
		p.at++
		p.space()
		start = p.at
		if err := p.value(depth); err != nil {
			return err
		}
		if value := p.data[start:p.at:p.at]; earlier < 0 {
			keep.members = append(keep.members, Member{Name: name, Value: value})
		} else {
			keep.members[earlier].again(value)
		}
	}
	p.at++
	return nil
}

func (p *parser) array(depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deep")
	}
	p.at++ // [
	items := 0
	for p.space(); p.peek() != ']'; p.space() {
		if items > 0 {
			if p.peek() != ',' {
				return errors.New("a comma or the end of the array is missing")
			}
			p.at++
			p.space()
		}
		if items++; items > MaxItems {
			return fmt.Errorf("more than %d items", MaxItems)
		}
		if err := p.value(depth); err != nil {
			return err
		}
	}
	p.at++
	return nil
}

// item goes to the next item of an array that was accepted, and tells whether there is one.
func (p *parser) item() bool {
	p.space()
	if p.peek() == ',' {
		p.at++
		p.space()
	}
	return p.peek() != ']'
}

func (p *parser) value(depth int) error {
	switch c := p.peek(); {
	case c == '"':
		return p.str()
	case c == '{':
		return p.object(depth+1, nil)
	case c == '[':
		return p.array(depth + 1)
	case c == 't':
		return p.word("true")
	case c == 'f':
		return p.word("false")
	case c == 'n':
		return p.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	return errors.New("a value is missing")
}

func (p *parser) word(w string) error {
	if len(p.data)-p.at < len(w) || string(p.data[p.at:p.at+len(w)]) != w {
		return errors.New("a value is missing")
	}
	p.at += len(w)
	return nil
}

func (p *parser) digits() bool {
	start := p.at
	for p.peek() >= '0' && p.peek() <= '9' {
		p.at++
	}
	return p.at > start
}

func (p *parser) number() error {
	bad := errors.New("not a number")
	if p.peek() == '-' {
		p.at++
	}
	if p.peek() == '0' {
		p.at++
	} else if !p.digits() {
		return bad
	}
	if p.peek() == '.' {
		p.at++
		if !p.digits() {
			return bad
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.at++
		if c := p.peek(); c == '+' || c == '-' {
			p.at++
		}
		if !p.digits() {
			return bad
		}
	}
	return nil
}

func (p *parser) str() error {
	p.at++ // "
	for {
		rest := p.data[p.at:]
		n := plainLength(rest)
		p.at += n
		if n == len(rest) {
			return errors.New("a string without an end")
		}
		switch c := rest[n]; {
		case c == '"':
			p.at++
			return nil
		case c < 0x20:
			return errors.New("a control character in a string")
		case c != '\\':
			p.at++
		default:
			if err := p.escape(); err != nil {
				return err
			}
		}
	}
}

// escape reads one escape. A lone surrogate is refused: decoders disagree on
// what it becomes, and two names that differ for us could be one for another.
func (p *parser) escape() error {
	if p.at+1 >= len(p.data) {
		return errors.New("a string without an end")
	}
	switch p.data[p.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.at += 2
		return nil
	case 'u':
	default:
		return errors.New("an unknown escape in a string")
	}
	r := hex4(p.data[p.at+2:])
	if r < 0 {
		return errors.New("an unknown escape in a string")
	}
	p.at += 6
	if !utf16.IsSurrogate(r) {
		return nil
	}
	switch pair := surrogatePair(r, p.data[p.at:]); {
	case pair != utf8.RuneError:
		p.at += 6
	case p.reader != tolerantly:
		return errors.New("half a surrogate pair in a string")
	}
	return nil
}
