package strictjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func nested(depth int, open, end string) string {
	return `{"a":` + strings.Repeat(open, depth-1) + strings.Repeat(end, depth-1) + `}`
}

func manyMembers(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", "not a JSON object"},
		{"blanks", " \n", "not a JSON object"},
		{"array", `[]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"byte order mark", "\ufeff{}", "not a JSON object"},
		{"duplicate", `{"a":1,"b":2,"a":1}`, "'a' twice"},
		{"duplicate of empty name", `{"":1,"":2}`, "'' twice"},
		{"duplicate in object", `{"x":{"a":1,"a":2}}`, "'a' twice"},
		{"duplicate in object in array", `{"x":[0,{"y":[{"a":1,"a":2}]}]}`, "'a' twice"},
		{"duplicate by escape", `{"iss":1,"i\u0073s":2}`, "'iss' twice"},
		{"duplicate by escaped slash", `{"a/b":1,"a\/b":2}`, "twice"},
		{"duplicate by surrogate pair", `{"🏦":1,"\ud83c\udfe6":2}`, "twice"},
		{"object too deep", nested(17, `{"a":`, "}"), "nested too deep"},
		{"arrays too deep", nested(17, "[", "]"), "nested too deep"},
		{"empty objects too deep", strings.Repeat(`{"a":`, 16) + "{}" + strings.Repeat("}", 16), "nested too deep"},
		{"very deep", `{"a":` + strings.Repeat("[", 1<<20), "nested too deep"},
		{"duplicate of the first of many", strings.TrimSuffix(manyMembers(200), "}") + `,"m0":0}`, "'m0' twice"},
		{"duplicate of the last of few", strings.TrimSuffix(manyMembers(64), "}") + `,"m63":0}`, "'m63' twice"},
		{"duplicate beyond few", strings.TrimSuffix(manyMembers(65), "}") + `,"m64":0}`, "'m64' twice"},
		{"escaped duplicate of many", strings.TrimSuffix(manyMembers(100), "}") + `,"\u006d7":0}`, "'m7' twice"},
		{"too many members", manyMembers(513), "more than 512 members"},
		{"too many items", `{"a":[` + strings.Repeat("0,", 4096) + `0]}`, "more than 4096 items"},
		{"second object", `{}{}`, "text after the object"},
		{"text after it", `{} x`, "text after the object"},
		{"NUL after it", "{}\x00", "text after the object"},
		{"not UTF-8 in value", "{\"a\":\"\xff\"}", "not UTF-8"},
		{"not UTF-8 in name", "{\"\xc3\":1}", "not UTF-8"},
		{"overlong UTF-8", "{\"a\":\"\xc0\x80\"}", "not UTF-8"},
		{"surrogate in UTF-8", "{\"a\":\"\xed\xa0\xbc\"}", "not UTF-8"},
		{"lone high surrogate", `{"a":"\ud83c"}`, "surrogate"},
		{"lone low surrogate", `{"a":"\udfe6"}`, "surrogate"},
		{"surrogates reversed", `{"a":"\udfe6\ud83c"}`, "surrogate"},
		{"high, then text", `{"a":"\ud83cxxxxxx"}`, "surrogate"},
		{"high, then another escape", `{"a":"\ud83c\u0041"}`, "surrogate"},
		{"high twice", `{"a":"\ud83c\ud83c"}`, "surrogate"},
		{"lone surrogate in name", `{"\ud83c":1}`, "surrogate"},
		{"lone surrogate deep", `{"a":[{"b":"\ud83c"}]}`, "surrogate"},
		{"escape of nothing", `{"a":"\x41"}`, "unknown escape"},
		{"escape of three digits", `{"a":"\u041"}`, "unknown escape"},
		{"escape at the end", `{"a":"\`, "without an end"},
		{"unicode escape at the end", `{"a":"\u00`, "unknown escape"},
		{"control character", "{\"a\":\"\n\"}", "control character"},
		{"NUL in name", "{\"a\x00\":1}", "control character"},
		{"no end of string", `{"a":"b}`, "without an end"},
		{"no end of object", `{"a":1`, "comma or the end"},
		{"no end of array", `{"a":[1`, "comma or the end"},
		{"comma at the end of object", `{"a":1,}`, "member name"},
		{"comma at the start", `{,"a":1}`, "member name"},
		{"comma at the end of array", `{"a":[1,]}`, "a value is missing"},
		{"comma at the start of array", `{"a":[,1]}`, "a value is missing"},
		{"no comma", `{"a":1 "b":2}`, "a comma"},
		{"no colon", `{"a" 1}`, "a colon"},
		{"no value", `{"a":}`, "a value is missing"},
		{"name without quotes", `{a:1}`, "member name"},
		{"single quotes", `{'a':1}`, "member name"},
		{"comment", `{/* */"a":1}`, "member name"},
		{"True", `{"a":True}`, "a value is missing"},
		{"nul", `{"a":nul}`, "a value is missing"},
		{"NaN", `{"a":NaN}`, "a value is missing"},
		{"plus", `{"a":+1}`, "a value is missing"},
		{"leading zero", `{"a":01}`, "a comma"},
		{"minus alone", `{"a":-}`, "not a number"},
		{"point alone", `{"a":1.}`, "not a number"},
		{"point first", `{"a":.1}`, "a value is missing"},
		{"exponent alone", `{"a":1e}`, "not a number"},
		{"exponent sign alone", `{"a":1e+}`, "not a number"},
		{"hexadecimal", `{"a":0x1}`, "a comma"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse([]byte(tc.text))
			if err == nil {
				t.Fatalf("read as %v", got)
			}
			if text := refusal.New(refusal.InvalidClientMetadata, "x", "%w", err).Description; !strings.Contains(text, tc.want) {
				t.Errorf("refused with %q, want %q", text, tc.want)
			}
		})
	}
}

// What is accepted means the same to encoding/json.
func TestParseAccepts(t *testing.T) {
	for _, tc := range []struct{ name, text string }{
		{"empty", `{}`},
		{"blanks everywhere", " {\t\"a\" :\r\n[ 1 , 2 ] , \"b\" : { } }\n"},
		{"every kind", `{"a":"s","b":-0.5e+3,"c":true,"d":false,"f":[],"g":{}}`},
		{"every escape", `{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83c\udfe6"}`},
		{"escaped name", `{"\u0061\"":1}`},
		{"names in other case are others", `{"iss":1,"ISS":2,"Iss":3}`},
		{"equal names in different objects", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}`},
		{"deepest", nested(16, "[", "]")},
		{"most members", manyMembers(512)},
		{"most items", `{"a":[` + strings.Repeat("0,", 4095) + `0]}`},
		{"number beyond int64", `{"a":123456789012345678901234567890}`},
		{"number beyond float64", `{"a":1e999999}`},
		{"replacement character", `{"a":"�\ufffd"}`},
		{"NUL escaped", `{"a":"\u0000"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := Parse([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			sameAsStandard(t, []byte(tc.text), o)
		})
	}
}

// sameAsStandard holds an accepted object against encoding/json: the same
// members, in the order received, with the same values.
func sameAsStandard(t *testing.T, text []byte, o Object) {
	t.Helper()
	var want map[string]json.RawMessage
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("encoding/json refuses what was accepted: %v", err)
	}
	for name, raw := range want { // null is as if it were not there
		if string(raw) == "null" {
			delete(want, name)
		}
	}
	if len(want) != len(o.Members()) {
		t.Errorf("%d members, encoding/json has %d", len(o.Members()), len(want))
	}
	for _, m := range o.Members() {
		raw, ok := want[m.Name]
		if !ok || string(raw) != string(m.Value) {
			t.Errorf("member %q is %s, encoding/json has %s", m.Name, m.Value, raw)
		}
		if got := o.Raw(m.Name); string(got) != string(m.Value) {
			t.Errorf("Raw(%q) is %s", m.Name, got)
		}
		switch s, ok, err := o.String(m.Name); {
		case !ok:
			t.Errorf("String(%q): absent", m.Name)
		case err == nil:
			var std string
			if json.Unmarshal(raw, &std) != nil || raw[0] != '"' || std != s {
				t.Errorf("String(%q) is %q, encoding/json has %q of %s", m.Name, s, std, raw)
			}
		case raw[0] == '"':
			t.Errorf("String(%q): %v", m.Name, err)
		}
		if list, _, err := o.Strings(m.Name); err == nil {
			var std []string
			if json.Unmarshal(raw, &std) != nil || !reflect.DeepEqual(std, list) {
				t.Errorf("Strings(%q) is %q, encoding/json has %q of %s", m.Name, list, std, raw)
			}
		}
		if n, _, err := o.Integer(m.Name); err == nil {
			var std int64
			if json.Unmarshal(raw, &std) != nil || raw[0] == 'n' || std != n {
				t.Errorf("Integer(%q) is %d, encoding/json has %d of %s", m.Name, n, std, raw)
			}
		}
		if inner, _, err := o.Object(m.Name); err == nil {
			sameAsStandard(t, raw, inner)
		}
		if list, _, err := o.Array(m.Name); err == nil {
			var std []json.RawMessage
			if json.Unmarshal(raw, &std) != nil || len(std) != len(list) {
				t.Fatalf("Array(%q) has %d, encoding/json %d of %s", m.Name, len(list), len(std), raw)
			}
			for i := range list {
				if string(list[i]) != string(std[i]) {
					t.Errorf("item %d of %q is %s, encoding/json has %s", i, m.Name, list[i], std[i])
				}
			}
		}
	}
}
