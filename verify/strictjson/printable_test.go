package strictjson

import (
	"encoding/json"
	"testing"
)

// TestPrintable: a terminal gets nothing but printable characters, and a reader the same values.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"{\n \"é\": \"世界 🏦\"\n}\n":                 "{\n \"é\": \"世界 🏦\"\n}\n",
		"[\"\u009b2J\u202e\u200b\x7f\U000e0001\"]": `["\u009b2J\u202e\u200b\u007f\udb40\udc01"]`,
	} {
		got := Printable([]byte(text))
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		var before, after any
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Errorf("%s: %v", got, err)
		}
		one, _ := json.Marshal(before)
		if other, _ := json.Marshal(after); string(one) != string(other) {
			t.Errorf("got the values %s, want %s", other, one)
		}
	}
}
