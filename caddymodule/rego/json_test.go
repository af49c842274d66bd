package rego

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

func TestNumbers(t *testing.T) {
	for text, ok := range map[string]bool{
		"0": true, "-1.5": true, "1e400": true, "1e401": false, "1e-401": false, "1E+5": true, "1e-400": true, "1e99999999999999999999": false,
		strings.Repeat("1", 64): true, strings.Repeat("1", 65): false,
	} {
		if _, err := parse([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: got %v, want it accepted %t", text, err, ok)
		}
	}
}

// Claims are what OPA would read of them.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,{"b":null,"c":"\u00e9\"\\ud83d"}], "":true , "d" : false}`))
	f.Add([]byte(`{"a":[ ],"b":{ }}`))
	f.Add([]byte(`{"a":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		got, err := (&part{node: &node{shape: claims}, whole: true}).claims(o)
		if err != nil {
			if !strings.Contains(err.Error(), "too large") {
				t.Fatalf("%s: got %v, want none, or too large", text, err)
			}
			return
		}
		want, err := ast.ValueFromReader(strings.NewReader(string(text)))
		if err != nil {
			return // OPA bounds numbers, too
		}
		if want = withoutNull(want); got.Compare(want) != 0 {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	})
}

// withoutNull is a value whose objects have no members that are null: they are absent.
func withoutNull(v ast.Value) ast.Value {
	switch v := v.(type) {
	case ast.Object:
		out := ast.NewObject()
		v.Foreach(func(name, member *ast.Term) {
			if _, null := member.Value.(ast.Null); !null {
				out.Insert(name, ast.NewTerm(withoutNull(member.Value)))
			}
		})
		return out
	case *ast.Array:
		var items []*ast.Term
		v.Foreach(func(item *ast.Term) { items = append(items, ast.NewTerm(withoutNull(item.Value))) })
		return ast.NewArray(items...)
	}
	return v
}

// filled sets every field, to the depth of pointers and lists.
func filled(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)))
		return
	case strictjson.Object:
		o, _ := strictjson.Parse([]byte(`{"a":{"b":[1]}}`))
		v.Set(reflect.ValueOf(o))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				filled(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled(v.Index(0))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	}
}

// everything is a part that reads all there is.
func everything(n *node) *part {
	p := &part{node: n, whole: true, parts: map[string]*part{}}
	for i, name := range n.names {
		p.parts[name] = everything(n.members[i])
	}
	return p
}

// What a policy sees is the JSON of the input, for whoever tries it with opa eval.
func TestInputIsJSON(t *testing.T) {
	in := new(verify.PolicyInput)
	filled(reflect.ValueOf(in).Elem())
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ast.ValueFromReader(strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := everything(inputShape).value(reflect.ValueOf(in).Elem())
	if err != nil || got.Compare(want) != 0 {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// What is empty is there: no member is left out, and no list is null.
func TestEmptyInput(t *testing.T) {
	in := &verify.PolicyInput{Registration: new(verify.Metadata), Certificate: new(verify.PolicyCertificate), Token: new(verify.PolicyToken), Client: new(verify.PolicyClient), Software: new(verify.PolicySoftware)}
	got, err := everything(inputShape).value(reflect.ValueOf(in).Elem())
	if err != nil {
		t.Fatal(err)
	}
	ast.NewGenericVisitor(func(x any) bool {
		if ref, ok := x.(ast.Object); ok {
			ref.Foreach(func(k, v *ast.Term) {
				if _, null := v.Value.(ast.Null); null && !slices.Contains([]string{`"metadata"`, `"backchannel_user_code_parameter_supported"`}, k.String()) {
					t.Errorf("%v is null", k)
				}
			})
		}
		return false
	}).Walk(got)
	registration, _ := got.Find(ast.MustParseRef("x.registration")[1:])
	if n := registration.(ast.Object).Len(); n != reflect.TypeFor[verify.Metadata]().NumField() {
		t.Errorf("got %d members of the registration, want %d", n, reflect.TypeFor[verify.Metadata]().NumField())
	}
}
