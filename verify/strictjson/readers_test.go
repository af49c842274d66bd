package strictjson

import (
	"strings"
	"testing"
	"time"
)

// TestNullIsAbsent: for both readers, at any depth, and in no JWS header (jws_test.go).
func TestNullIsAbsent(t *testing.T) {
	const text = `{"a":null,"b":{"c":null,"d":1},"e":[{"f":null,"g":2}],"h":null}`
	for name, read := range map[string]func([]byte) (Object, error){"strict": Parse, "tolerant": ParseAnswer} {
		o, err := read([]byte(text))
		if err != nil {
			t.Fatal(name, err)
		}
		inner, _, err := o.Object("b")
		if len(o.Members()) != 2 || o.Has("a") || o.Has("h") || err != nil || inner.Has("c") || !inner.Has("d") {
			t.Errorf("%s: %+v, %+v, %v; want two members without a and h, and d alone inside", name, o, inner, err)
		}
	}
	for _, twice := range []string{`{"a":null,"a":1}`, `{"a":1,"a":null}`, `{"a":null,"a":null}`} {
		if _, err := Parse([]byte(twice)); err == nil || !strings.Contains(err.Error(), "'a' twice") && !strings.Contains(err.Error(), `"a" twice`) {
			t.Errorf("strict, %s: %v", twice, err)
		}
	}
}

// TestParseAnswer: what is odd in a member concerns those who need it.
func TestParseAnswer(t *testing.T) {
	const doubled = "is there more than once, with different values"
	for _, tc := range []struct{ name, text, fault string }{
		{"plain", `{"a":"x"}`, ""},
		{"twice, with one value", `{"a":"x","a":"x"}`, ""},
		{"twice, with one value in two spellings", `{"a":"x","a":"\u0078"}`, ""},
		{"twice, with different values", `{"a":"x","a":"y"}`, doubled},
		{"three times, the first again at last", `{"a":"x","a":"y","a":"x"}`, doubled},
		{"null before", `{"a":null,"a":"x"}`, doubled},
		{"null after", `{"a":"x","a":null}`, doubled},
		{"another type", `{"a":"x","a":["x"]}`, doubled},
		{"another one twice", `{"a":"x","b":1,"b":2}`, ""},
		{"twice in what nobody needs", `{"b":{"c":1,"c":2},"a":"x"}`, ""},
		{"byte order mark", "\ufeff" + `{"a":"x"}`, ""},
		{"bytes that are not UTF-8", "{\"b\":\"caf\xe9\",\"a\":\"x\"}", ""},
		{"half a surrogate pair", `{"b":"\ud83c","c":"\udfe6\u0041","d":"\ud83c\ud83c","a":"x"}`, ""},
		{"beyond few members", strings.TrimSuffix(manyMembers(100), "}") + `,"a":"x","m0":1,"a":"y"}`, doubled},
		{"one of beyond few", strings.TrimSuffix(manyMembers(100), "}") + `,"a":"x","m99":1}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := ParseAnswer([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			text, ok, err := o.String("a")
			if tc.fault == "" && (err != nil || text != "x") || tc.fault != "" && (err == nil || err.Error() != tc.fault) || !ok || !o.Has("a") {
				t.Errorf("got %q, %v, %v", text, ok, err)
			}
			for _, m := range o.Members() { // none of them panics
				_ = Text(append([]byte(`"`), append(m.Value, '"')...))
				_, _, _ = o.Strings(m.Name)
			}
			if _, err := tolerantly.read(o.AppendJSON(nil)); err != nil {
				t.Errorf("%s: %v", o.AppendJSON(nil), err)
			}
		})
	}
	t.Run("every decoder", func(t *testing.T) {
		for _, text := range []string{`{"a":1,"a":2}`, `{"a":true,"a":false}`, `{"a":{"b":1},"a":{}}`, `{"a":[],"a":["x"]}`} {
			o, err := ParseAnswer([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			_, _, e1 := o.Integer("a")
			_, _, e2 := o.NumericDate("a")
			_, _, e3 := o.Bool("a")
			_, _, e4 := o.Object("a")
			_, _, e5 := o.Strings("a")
			_, _, e6 := o.Array("a")
			for i, err := range []error{e1, e2, e3, e4, e5, e6} {
				if err == nil || err.Error() != doubled {
					t.Errorf("%s, decoder %d: %v", text, i+1, err)
				}
			}
			if got := string(o.With("a", []byte("3")).AppendJSON(nil)); got != `{"a":3}` {
				t.Errorf("replaced: %s", got)
			}
			if n, _, err := o.With("a", []byte("3")).Integer("a"); n != 3 || err != nil {
				t.Errorf("replaced: %d, %v", n, err)
			}
		}
	})
	t.Run("twice inside", func(t *testing.T) {
		o, err := ParseAnswer([]byte(`{"cnf":{"x5t#S256":"a","x5t#S256":"b"}}`))
		if err != nil {
			t.Fatal(err)
		}
		cnf, _, err := o.Object("cnf")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cnf.String("x5t#S256"); err == nil || err.Error() != doubled {
			t.Errorf("got %v", err)
		}
	})
	t.Run("null in a list", func(t *testing.T) {
		o, err := ParseAnswer([]byte(`{"a":[null,"x", null ,"y",null]}`))
		if err != nil {
			t.Fatal(err)
		}
		if list, _, err := o.Strings("a"); err != nil || strings.Join(list, " ") != "x y" {
			t.Errorf("got %q, %v", list, err)
		}
		if _, _, err := object(t, `{"a":[null]}`).Strings("a"); err == nil {
			t.Error("what a TPP sends may hold null in a list")
		}
	})
}

// TestAmbiguous: nothing that is said of a token may have several values, or have a member
// that has.
func TestAmbiguous(t *testing.T) {
	const doubled = "is there more than once, with different values"
	for _, name := range []string{"active", "client_id", "azp", "sub", "scope", "cnf", "exp", "iat", "iss", "aud", "jti", "access_token"} {
		for text, want := range map[string]string{
			`{"NAME":"a","NAME":"b"}`: name + " " + doubled, `{"NAME":null,"NAME":"b"}`: name + " " + doubled,
			`{"NAME":{"x":1,"x":2}}`:  name + ` has "x", which ` + doubled,
			`{"NAME":"a","NAME":"a"}`: "", `{"NAME":"a","x":1,"x":2}`: "",
		} {
			o, err := ParseAnswer([]byte(strings.ReplaceAll(text, "NAME", name)))
			if err != nil {
				t.Fatal(err)
			}
			if err := o.Ambiguous([]string{"active", "client_id", "azp", "sub", "scope", "cnf", "exp", "iat", "iss", "aud", "jti", "access_token"}); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		}
	}
}

// TestBrokenAnswer: what came before the fault is there.
func TestBrokenAnswer(t *testing.T) {
	for _, text := range []string{
		`{"client_id":"c","x":null,"client_secret":"s`, `{"client_id":"c"`, `{"client_id":"c",`, `{"client_id":"c"} <!-- -->`,
	} {
		o, err := ParseAnswer([]byte(text))
		if id, _, idErr := o.String("client_id"); err == nil || idErr != nil || id != "c" || len(o.Members()) != 1 {
			t.Errorf("%s: %v, %q, %v; want an error, and client_id c alone", text, err, id, idErr)
		}
	}
	for _, text := range []string{"", "<html>", `["client_id"]`, `{"client_id":"c`} {
		if o, err := ParseAnswer([]byte(text)); err == nil || len(o.Members()) != 0 {
			t.Errorf("%s: %v, %v; want an error and no member", text, o, err)
		}
	}
}

func TestNumericDate(t *testing.T) {
	noon := time.Unix(1772366400, 0)
	for value, want := range map[string]time.Time{
		"0": time.Unix(0, 0), "1772366400": noon, "1772366400.0": noon, "1772366400.5": noon.Add(time.Second / 2), "1.7723664e9": noon, "1.7723664E+9": noon,
		"17723664000e-1": noon, "17723664005e-1": noon.Add(time.Second / 2), "0.9999999999999999999999": time.Unix(0, 999_999_999), "-0": time.Unix(0, 0), "-0.0": time.Unix(0, 0),
	} {
		if at, ok, err := object(t, `{"exp":`+value+`}`).NumericDate("exp"); err != nil || !ok || at.Sub(want).Abs() > time.Microsecond {
			t.Errorf("%s: %v, %v, %v; want %v", value, at, ok, err, want)
		}
	}
	for value, want := range map[string]string{
		"-1": "before 1970", "-0.5": "before 1970", "-1e9": "before 1970", "-1e999": "too large", "1e999": "too large", "9223372036854775807": "too large",
		"5e18": "too large", `"1772366400"`: "is a string", "true": "is a boolean", "[1]": "is an array", "{}": "is an object",
	} {
		if at, _, err := object(t, `{"exp":`+value+`}`).NumericDate("exp"); err == nil || !strings.Contains(err.Error(), want) || !at.IsZero() {
			t.Errorf("%s: %v, %v, want %q", value, at, err, want)
		}
	}
}
