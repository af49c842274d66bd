package rego

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Bounds of a number's text: arithmetic costs as many digits as it has written out.
const (
	maxNumber   = 64
	maxExponent = 400
)

// parser reads JSON that was read strictly before: its form is known to be right.
type parser struct {
	text []byte
	at   int
}

// parse converts the value of a claim.
//
// Errors: of numbers that are too large or too small.
func parse(text []byte) (value, error) {
	p := parser{text: text}
	return p.value()
}

var errJSON = errors.New("not JSON")

// next is the next byte that is no blank; 0 at the end.
func (p *parser) next() byte {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) value() (value, error) {
	switch c := p.next(); c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		s, err := p.string()
		return ast.String(s), err
	case 't', 'f', 'n':
		return p.word(c)
	case 0:
		return nil, errJSON
	}
	return p.number()
}

func (p *parser) word(first byte) (value, error) {
	word, v := "null", value(ast.NullValue)
	switch first {
	case 't':
		word, v = "true", ast.Boolean(true)
	case 'f':
		word, v = "false", ast.Boolean(false)
	}
	if len(p.text)-p.at < len(word) || string(p.text[p.at:p.at+len(word)]) != word {
		return nil, errJSON
	}
	p.at += len(word)
	return v, nil
}

func (p *parser) object() (value, error) {
	var members [][2]*ast.Term
	for p.at++; p.next() != '}'; {
		switch p.next() {
		case ',':
			p.at++
			continue
		case '"':
		default:
			return nil, errJSON
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.next() != ':' {
			return nil, errJSON
		}
		p.at++
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if _, null := v.(ast.Null); !null { // as if it were not there, as at the top of the claims
			members = append(members, [2]*ast.Term{ast.StringTerm(name), ast.NewTerm(v)})
		}
	}
	p.at++
	return ast.NewObject(members...), nil
}

func (p *parser) array() (value, error) {
	var items []*ast.Term
	for p.at++; p.next() != ']'; {
		if p.next() == ',' {
			p.at++
			continue
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		items = append(items, ast.NewTerm(v))
	}
	p.at++
	return ast.NewArray(items...), nil
}

func (p *parser) string() (string, error) {
	start, plain := p.at, true
	for p.at++; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\\':
			plain = false
			p.at++
		case '"':
			p.at++
			if plain {
				return string(p.text[start+1 : p.at-1]), nil
			}
			var s string
			err := json.Unmarshal(p.text[start:p.at], &s)
			return s, err
		}
	}
	return "", errJSON
}

func (p *parser) number() (value, error) {
	start := p.at
	for p.at < len(p.text) && strings.IndexByte("0123456789-+.eE", p.text[p.at]) >= 0 {
		p.at++
	}
	text := string(p.text[start:p.at])
	exponent := 0
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(text[e+1:]); err != nil {
			exponent = math.MaxInt
		}
	}
	if len(text) > maxNumber || exponent > maxExponent || exponent < -maxExponent {
		return nil, fmt.Errorf("number %s: too large, or too small", verify.Quote(text))
	}
	if text == "" {
		return nil, errJSON
	}
	return ast.Number(text), nil
}
