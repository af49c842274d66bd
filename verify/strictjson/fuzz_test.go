package strictjson

import (
	"bytes"
	"testing"
)

// Whatever is accepted, encoding/json accepts with the same values, and it can
// be written and read again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a":[1,{"b":null}],"c":"d"} `, `{"iss":"x","i\u0073s":"y"}`, `{"a":"\ud83c\udfe6"}`, `{"a":"\ud83c"}`, `{"a":1e999,"b":-0,"c":01}`,
		`{"a":["b","\n"],"d":[{},{"e":true}]}`, "{\"\xff\":1}", `{"exp":1772366400}`, `{"a":{"a":{"a":{}}}}`, `{"a"`, `{"a":"\`, `{"a":"\u12`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := Parse(text)
		if err != nil {
			return
		}
		sameAsStandard(t, text, o)
		written := o.AppendJSON(nil)
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("%s does not read again: %v", written, err)
		}
		if twice := again.AppendJSON(nil); !bytes.Equal(twice, written) {
			t.Fatalf("%s becomes %s", written, twice)
		}
		for i, m := range again.Members() {
			if was := o.Members()[i]; was.Name != m.Name || !bytes.Equal(was.Value, m.Value) {
				t.Fatalf("member %q %s becomes %q %s", was.Name, was.Value, m.Name, m.Value)
			}
		}
	})
}
