package cel

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// A text that a TPP would read cut or mangled does not load.
func TestMangledTextsDoNotLoad(t *testing.T) {
	for _, tc := range []struct{ expression, want string }{
		{`deny("organisation: not active; ask the directory")`, ""},
		{`deny(ssa.org_id)`, ""},
		{`deny("org_id: '" + ssa.org_id + "' is not known here")`, ""},
		{`ssa.org_id == "Zürich" ? allow() : deny("no")`, ""},
		{"ssa.org_id == \"x\" ?\n  allow() :\n  deny(\"Nur für Banken\")", "expression:3:8: deny: the text has 'ü', which does not reach a TPP; write printable ASCII, "},
		{`reject("no \"mode\"")`, `expression:1:8: reject: the text has '"', which`},
		{`deny("a\\b")`, `expression:1:6: deny: the text has '\\', which`},
		{`deny("a\nb")`, `expression:1:6: deny: the text has '\n', which`},
		{`deny('''` + "a\nb" + `''')`, `expression:1:6: deny: the text has '\n', which`},
		{`deny("")`, "expression:1:6: deny: the text is empty; write what the TPP can do"},
		{`deny("` + strings.Repeat("x", 501) + `")`, "expression:1:6: deny: the text has 501 characters, of which 500 reach a TPP; make it shorter"},
		{`deny("für " + ssa.org_id)`, "expression:1:6: deny: the text has 'ü'"},
		{`deny(ssa.a == "b" ? "c" : "ü")`, "expression:1:27: deny: the text has 'ü'"},
	} {
		err := (&Policy{Expression: tc.expression}).Provision(caddy.Context{})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.60s: got %v, want %q", tc.expression, err, tc.want)
		}
	}
}
