package verify

import (
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// What passes reaches a TPP as it is written; what does not is told with its mending.
func TestCheckPolicyText(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"org_id: 'x' is not active; ask the directory", ""},
		{strings.Repeat("x", refusal.MaxDescription), ""},
		{"", "the text is empty; write what the TPP can do"},
		{strings.Repeat("x", refusal.MaxDescription+1), "the text has 501 characters, of which 500 reach a TPP; make it shorter"},
		{"Nur für Banken", "the text has 'ü', which does not reach a TPP; write printable ASCII, without quotation marks and backslashes (RFC 6749 5.2)"},
		{"ask {env.CONTACT}", "the text has a placeholder, {env.X}, which is not replaced; write the value itself"},
		{`no "mode"`, `the text has '"', which`},
		{`a\b`, `the text has '\\', which`},
		{"a\nb", `the text has '\n', which`},
		{"a\xffb", "the text has '\uFFFD', which"},
	} {
		err := CheckPolicyText(tc.text)
		if (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%.20q: %v, want %q", tc.text, err, tc.want)
		}
		if passed := refusal.New(refusal.InvalidClientMetadata, "x", "%s", tc.text).Description; err == nil && passed != tc.text {
			t.Errorf("%.20q reaches the TPP as %q", tc.text, passed)
		}
	}
}
