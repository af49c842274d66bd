package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func object(t testing.TB, text string) Object {
	t.Helper()
	o, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestInteger(t *testing.T) {
	for _, tc := range []struct {
		name, value string
		want        int64
		ok          bool
	}{
		{"zero", "0", 0, true},
		{"date", "1772366400", 1772366400, true},
		{"negative", "-1", -1, true},
		{"exponent", "1e9", 0, false},
		{"capital exponent", "1E9", 0, false},
		{"fraction", "1772366400.0", 0, false},
		{"fraction of nothing", "1.5", 0, false},
		{"string", `"1772366400"`, 0, false},
		{"boolean", "true", 0, false},
		{"array", "[1]", 0, false},
		{"beyond int64", "9223372036854775808", 0, false},
		{"so large that seconds overflow", "9223372036854775807", 0, false},
		{"so small that seconds overflow", "-9223372036854775808", 0, false},
		{"thirty digits", "123456789012345678901234567890", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n, ok, err := object(t, `{"exp":`+tc.value+`}`).Integer("exp")
			if (err == nil) != tc.ok || n != tc.want || !ok {
				t.Errorf("got %d, %v, %v", n, ok, err)
			}
		})
	}
	if _, ok, err := object(t, `{"EXP":1}`).Integer("exp"); ok || err != nil {
		t.Errorf("absent: %v, %v", ok, err)
	}
}

func TestTypesAreNotConverted(t *testing.T) {
	values := map[string]string{
		"string": `"x"`, "empty string": `""`, "number": "1", "boolean": "true", "object": "{}", "array": "[]",
		"strings": `["a","b"]`, "mixed": `["a",1]`, "nested": `[["a"]]`, "objects": `[{"a":1},{}]`,
	}
	accepted := map[string][]string{
		"String": {"string", "empty string"}, "Strings": {"array", "strings"}, "Array": {"array", "strings", "mixed", "nested", "objects"},
		"Object": {"object"}, "Bool": {"boolean"}, "Integer": {"number"}, "Time": {"number"}, "NumericDate": {"number"},
	}
	read := map[string]func(o Object) (any, bool, error){
		"String":      func(o Object) (any, bool, error) { v, ok, err := o.String("v"); return v, ok, err },
		"Strings":     func(o Object) (any, bool, error) { v, ok, err := o.Strings("v"); return v, ok, err },
		"Array":       func(o Object) (any, bool, error) { v, ok, err := o.Array("v"); return v, ok, err },
		"NumericDate": func(o Object) (any, bool, error) { v, ok, err := o.NumericDate("v"); return v, ok, err },
		"Object":      func(o Object) (any, bool, error) { v, ok, err := o.Object("v"); return v, ok, err },
		"Bool":        func(o Object) (any, bool, error) { v, ok, err := o.Bool("v"); return v, ok, err },
		"Time":        func(o Object) (any, bool, error) { v, ok, err := o.Time("v"); return v, ok, err },
		"Integer":     func(o Object) (any, bool, error) { v, ok, err := o.Integer("v"); return v, ok, err },
	}
	for method, f := range read {
		for kind, value := range values {
			want := false
			for _, a := range accepted[method] {
				want = want || a == kind
			}
			if v, ok, err := f(object(t, `{"v":`+value+`}`)); (err == nil) != want || !ok {
				t.Errorf("%s of %s: %v, %v, %v", method, kind, v, ok, err)
			}
		}
		for _, text := range []string{`{"V":1,"v ":1}`, `{"v":null}`} {
			if _, ok, err := f(object(t, text)); ok || err != nil {
				t.Errorf("%s of an absent member, %s: %v, %v", method, text, ok, err)
			}
		}
	}
}

func TestWithAndWithout(t *testing.T) {
	o := object(t, `{"a":1,"b":"x","c":[1, 2]}`)
	for _, tc := range []struct {
		name string
		got  Object
		want string
	}{
		{"unchanged", o, `{"a":1,"b":"x","c":[1, 2]}`},
		{"replaced in place", o.With("b", []byte("null")), `{"a":1,"b":null,"c":[1, 2]}`},
		{"appended", o.With("d", []byte("{}")), `{"a":1,"b":"x","c":[1, 2],"d":{}}`},
		{"to nothing", Object{}.With("d", []byte("{}")), `{"d":{}}`},
		{"name is escaped", Object{}.With("d\"<\n", []byte("1")), `{"d\"\u003c\u000a":1}`},
		{"removed", o.Without("a", "c", "z"), `{"b":"x"}`},
		{"all removed", o.Without("a", "b", "c"), `{}`},
		{"receiver is as before", o, `{"a":1,"b":"x","c":[1, 2]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(tc.got.AppendJSON(nil)); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	// Two objects made of one must not write into each other's memory.
	x, y := o.With("x", []byte("1")), o.With("y", []byte("2"))
	if x.Has("y") || y.Has("x") {
		t.Errorf("%s and %s share members", x.AppendJSON(nil), y.AppendJSON(nil))
	}
}

func TestAppendStrings(t *testing.T) {
	list := []string{"", `a"b\c`, "</script>", "\x00\x1f\x7f", "é🏦", "\u2028"}
	text := AppendStrings([]byte("x"), list)
	var back []string
	if err := json.Unmarshal(text[1:], &back); err != nil || !reflect.DeepEqual(back, list) {
		t.Errorf("%s reads as %q, %v", text, back, err)
	}
	if strings.Contains(string(text), "<") {
		t.Errorf("%s has a '<'", text)
	}
	o := object(t, `{"v":`+string(text[1:])+`}`)
	if got, _, err := o.Strings("v"); err != nil || !reflect.DeepEqual(got, list) {
		t.Errorf("read back as %q, %v", got, err)
	}
	if got := string(AppendStrings(nil, nil)); got != "[]" {
		t.Errorf("nil is %s", got)
	}
}

// Items and Text read what encoding/json does.
func TestItems(t *testing.T) {
	for _, text := range []string{`[]`, `[ ]`, `["a"]`, `[1, -2.5e3 ,true,null,"\u00e4\\\"x"]`, `[[1,[2]],{"a":[3,"]"]}, "]"]`} {
		o := object(t, `{"a":`+text+`}`)
		var want []json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		got := Items(o.Raw("a"))
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %d items", text, got, len(want))
			continue
		}
		for i := range got {
			if string(got[i]) != string(want[i]) {
				t.Errorf("%s: %s, want %s", text, got[i], want[i])
			}
			var s string
			if got[i][0] == '"' && (json.Unmarshal(want[i], &s) != nil || Text(got[i]) != s) {
				t.Errorf("%s: %s, want %q", text, Text(got[i]), s)
			}
		}
	}
}
