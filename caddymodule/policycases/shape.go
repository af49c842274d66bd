package policycases

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// The types whose form is not that of their fields.
var (
	timeType   = reflect.TypeFor[time.Time]()
	claimsType = reflect.TypeFor[strictjson.Object]()
	inputType  = reflect.TypeFor[verify.PolicyInput]()
	changeType = reflect.TypeFor[json.RawMessage]()
	anyType    = reflect.TypeFor[any]()
)

// check compares the next value with a type: encoding/json takes names in any case, the last of
// two members, and tells neither where a fault is nor what should be there. In a change
// null takes a member away.
func (d *document) check(t reflect.Type, name string, change bool) error {
	at := d.next()
	d.at[name] = at
	token, err := d.tokens.Token()
	if err != nil {
		return d.fault(at, "%v", err)
	}
	within := change
	if t == changeType {
		t, within = inputType, true
	}
	if token == nil && (change || t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case token == json.Delim('{') && isObject(t):
		return d.members(t, name, within)
	case token == json.Delim('[') && (t == anyType || t.Kind() == reflect.Slice):
		return d.items(t, name)
	case !fits(token, t):
		if name == "" {
			name = d.is
		}
		return d.fault(at, "%s must be %s", name, form(t))
	}
	return nil
}

// next is where the next value or name begins.
func (d *document) next() int {
	at := int(d.tokens.InputOffset())
	for at < len(d.text) && strings.IndexByte(" \t\r\n:,", d.text[at]) >= 0 {
		at++
	}
	return at
}

func (d *document) members(t reflect.Type, name string, change bool) error {
	of, known, names := d.is, map[string]reflect.Type{}, []string{}
	if name != "" {
		of, name = name, name+"."
	}
	if t.Kind() == reflect.Struct && t != claimsType {
		for i := range t.NumField() {
			if member, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); member != "-" {
				known[member], names = t.Field(i).Type, append(names, member)
			}
		}
	}
	seen := map[string]bool{}
	for d.tokens.More() {
		at := d.next()
		token, err := d.tokens.Token()
		if err != nil {
			return d.fault(at, "%v", err)
		}
		member := token.(string)
		of := of
		switch {
		case seen[member]:
			return d.fault(at, "%s has %q twice", of, member)
		case len(names) == 0:
			known[member] = anyType
		case known[member] == nil:
			return d.fault(at, "%s has no member %q: there are %s", of, member, strings.Join(names, ", "))
		}
		seen[member] = true
		if err := d.check(known[member], name+member, change); err != nil {
			return err
		}
	}
	_, err := d.tokens.Token()
	return err
}

func (d *document) items(t reflect.Type, name string) error {
	item := anyType
	if t != anyType {
		item = t.Elem()
	}
	for i := 0; d.tokens.More(); i++ {
		if err := d.check(item, name+"["+strconv.Itoa(i)+"]", false); err != nil {
			return err
		}
	}
	_, err := d.tokens.Token()
	return err
}

func isObject(t reflect.Type) bool {
	return t == anyType || t.Kind() == reflect.Struct && t != timeType
}

// fits tells whether a value that is neither object nor list is of a type.
func fits(token json.Token, t reflect.Type) bool {
	if t == anyType {
		return true
	}
	switch v := token.(type) {
	case string:
		return t.Kind() == reflect.String || t == timeType && new(time.Time).UnmarshalText([]byte(v)) == nil
	case json.Number:
		_, err := v.Int64()
		return t.Kind() == reflect.Int64 && err == nil
	case bool:
		return t.Kind() == reflect.Bool
	}
	return false
}

// form is a type in words.
func form(t reflect.Type) string {
	switch {
	case t == timeType:
		return "a time like 2026-07-01T00:00:00Z"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int64:
		return "a whole number"
	case t.Kind() == reflect.Slice:
		return "a list of texts"
	}
	return "an object"
}
