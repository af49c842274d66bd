package cel

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// TestErrorsShowTheirLine: an error has the line of the Caddyfile, and shows the line of the expression
// with a mark, because the columns are not those of the Caddyfile.
func TestErrorsShowTheirLine(t *testing.T) {
	const names = "\nthe names are operation, "
	for _, tc := range []struct{ name, caddyfile, want string }{
		{"one line", "x\n\tcel `true && sssa.x == 1`", "2: undeclared reference to 'sssa'\n | true && sssa.x == 1\n |         ^" + names},
		{"letters that are two bytes", "cel `\"üü\" == sssa.x`", "1: undeclared reference to 'sssa'\n | \"üü\" == sssa.x\n |         ^" + names},
		{"syntax", "cel `ssa.x === 1`", "1: Syntax error: token recognition error at: '= '\n | ssa.x === 1\n |         ^, at Caddyfile:1"},
		{"a pattern", "cel `ssa.x.matches(\"(\")`", "1: matches: regexp: missing closing ): `(`\n | ssa.x.matches(\"(\")\n |               ^, at Caddyfile:1"},
		{"escaped quotation marks", `cel "\"a\" == sssa.x"`, "1: undeclared reference to 'sssa'\n | \"a\" == sssa.x\n |        ^" + names},
		{"begins behind the backtick", "cel `true &&\n\tsssa.x == 1`", "2: undeclared reference to 'sssa'\n |  sssa.x == 1\n |  ^" + names},
		{"several lines", "cel `\n\ttrue &&\n\t\tsssa.x == 1\n`", "3: undeclared reference to 'sssa'\n |   sssa.x == 1\n |   ^" + names},
		{"Windows", "cel `\r\n\ttrue &&\r\n\t\tsssa.x == 1\r\n`", "3: undeclared reference to 'sssa'\n |   sssa.x == 1\n |   ^" + names},
		{"at its end", "cel `true &&\n`", "2: Syntax error: mismatched input '<EOF>' expecting "},
		{"heredoc", "cel <<CEL\n\t\ttrue &&\n\t\t\tsssa.x == 1\n\t\tCEL\n", "3: undeclared reference to 'sssa'\n |  sssa.x == 1\n |  ^" + names},
		{"as a whole", "cel `" + strings.Repeat("x", 1<<17) + "`", "1: expression code point size exceeds limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tokens, err := caddyfile.Tokenize([]byte(tc.caddyfile), "Caddyfile")
			if err != nil {
				t.Fatal(err)
			}
			for tokens[0].Text != "cel" {
				tokens = tokens[1:]
			}
			err = new(Policy).UnmarshalCaddyfile(caddyfile.NewDispenser(tokens))
			if want := "policy cel:\nCaddyfile:" + tc.want; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v\nwant %s", err, want)
			}
		})
	}
}
