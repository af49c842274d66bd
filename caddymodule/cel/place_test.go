package cel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// TestPlaces: an error's line and column are those of the Caddyfile, or there is none.
func TestPlaces(t *testing.T) {
	for _, tc := range []struct{ name, caddyfile, want string }{
		{"one line, type", "x\n\tcel `true && sssa.x == 1`", ":2:15: undeclared"},
		{"one line, syntax", "cel `ssa.x = 1`", ":1:12: Syntax"},
		{"one line after a letter that is two bytes", "cel `\"ü\" == ssa.x && sssa.x`", ":1:22: undeclared"},
		{"quotation marks", `cel "true && sssa.x == 1"`, ":1:14: undeclared"},
		{"escaped quotation marks", `cel "\"a\" == sssa.x"`, ":1: undeclared"},
		{"bare word", "cel sssa", ":1:5: undeclared"},
		{"bare word twice", "cel cel", ":1: undeclared"},
		{"the same twice in a line", "cel `sssa` # `sssa`", ":1: undeclared"},
		{"begins behind the backtick", "cel `true &&\n\tsssa.x == 1`", ":2:2: undeclared"},
		{"error in the line of the backtick", "cel `sssa.x == 1 &&\n\ttrue`", ":1:6: undeclared"},
		{"several lines", "cel `\n\ttrue &&\n\t\tsssa.x == 1\n`", ":3:3: undeclared"},
		{"Windows", "cel `\r\n\ttrue &&\r\n\t\tsssa.x == 1\r\n`", ":3:3: undeclared"},
		{"heredoc", "cel <<CEL\n\t\ttrue &&\n\t\t\tsssa.x == 1\n\t\tCEL\n", ":3:4: undeclared"},
		{"replaced", "cel `\"{$CEL_TEST_VARIABLE}\" == \"y\" && sssa.x == 1`", ":1: undeclared"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("CEL_TEST_VARIABLE", "value")
			file := filepath.Join(t.TempDir(), "Caddyfile")
			if err := os.WriteFile(file, []byte(tc.caddyfile), 0o600); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{file: tc.want, "not-there": ""} {
				tokens, err := caddyfile.Tokenize([]byte(strings.ReplaceAll(tc.caddyfile, "{$CEL_TEST_VARIABLE}", "value")), name)
				if err != nil {
					t.Fatal(err)
				}
				for tokens[0].Text != "cel" {
					tokens = tokens[1:]
				}
				err = new(Policy).UnmarshalCaddyfile(caddyfile.NewDispenser(tokens))
				if err == nil || !strings.Contains(err.Error(), "policy cel:\n"+name+want) {
					t.Errorf("want %s%s, have: %v", name, want, err)
				}
			}
		})
	}
}

// Where there is no file to look into, lines that begin as in the expression have their
// column, and others none.
func TestPlacesWithoutFile(t *testing.T) {
	for text, want := range map[string]string{
		"cel `sssa.x == 1`":                        "Testfile:1: undeclared",
		"cel `" + strings.Repeat("x", 1<<17) + "`": "Testfile:1: expression code point size exceeds limit",
		"cel `true &&\n sssa.x == 1`":              "Testfile:2:2: undeclared",
		"cel <<A\n true &&\n sssa\n A\n":           "Testfile:3: undeclared",
	} {
		err := new(Policy).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q: %v", text, err)
		}
	}
}
