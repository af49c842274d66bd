package rego

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Bounds of a number's text: arithmetic costs as many digits as it has written out.
const (
	maxNumber   = 64
	maxExponent = 400
)

// parse converts the value of a claim, whose JSON a reader has accepted before.
//
// Errors: of numbers that are too large or too small.
func parse(raw []byte) (value, error) {
	switch raw[0] {
	case '{':
		o, err := strictjson.ParseAnswer(raw) // without the members that are null, as at the top of the claims
		if err != nil {
			return nil, err
		}
		return (&part{whole: true}).claims(o)
	case '[':
		items := strictjson.Items(raw)
		terms := make([]*ast.Term, len(items))
		for i, item := range items {
			v, err := parse(item)
			if err != nil {
				return nil, err
			}
			terms[i] = ast.NewTerm(v)
		}
		return ast.NewArray(terms...), nil
	case '"':
		return ast.String(strictjson.Text(raw)), nil
	case 't', 'f':
		return ast.Boolean(raw[0] == 't'), nil
	case 'n':
		return ast.NullValue, nil
	}
	return parseNumber(string(raw))
}

func parseNumber(text string) (value, error) {
	exponent := 0
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(text[e+1:]); err != nil {
			exponent = math.MaxInt
		}
	}
	if len(text) > maxNumber || exponent > maxExponent || exponent < -maxExponent {
		return nil, fmt.Errorf("number %s: too large, or too small", refusal.Quote(text))
	}
	return ast.Number(text), nil
}
