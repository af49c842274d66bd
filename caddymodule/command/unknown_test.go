package command

import (
	"bytes"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// TestUnknownCommand: a slip of the pen is an error, whatever follows it; a command that
// only holds others prints its help.
func TestUnknownCommand(t *testing.T) {
	for _, tc := range []struct{ line, fails, prints string }{
		{line: "dcr", prints: "Available Commands:\n"},
		{line: "dcr policy", prints: "Available Commands:\n"},
		{line: "dcr policy --help", prints: "Available Commands:\n"},
		{line: "dcr polcy test x", fails: `unknown command "polcy" for "caddy dcr": write one of `},
		{line: "dcr polcy test --against registry", fails: `unknown command "polcy" for "caddy dcr": write one of `},
		{line: "dcr policy tset bank", fails: `unknown command "tset" for "caddy dcr policy": write one of `},
		{line: "dcr policy tset bank --workspace x", fails: `unknown command "tset" for "caddy dcr policy": write one of `},
		{line: "dcr policy --workspace x", fails: "unknown flag: --workspace"},
		{line: "dcr policy test x --wrkspace x", fails: "unknown flag: --wrkspace"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			root := &cobra.Command{Use: "caddy", SilenceUsage: true}
			c := &cobra.Command{Use: "dcr"}
			caddycmd.Commands()["dcr"].CobraFunc(c)
			root.AddCommand(c)
			var out bytes.Buffer
			root.SetOut(&out)
			root.SetErr(&out)
			root.SetArgs(strings.Fields(tc.line))
			err := root.ExecuteContext(t.Context())
			if (err != nil) != (tc.fails != "") || err != nil && !strings.HasPrefix(err.Error(), tc.fails) {
				t.Errorf("got %v, want an error that begins with %q", err, tc.fails)
			}
			if !strings.Contains(out.String(), tc.prints) {
				t.Errorf("got %s, want %q", out.String(), tc.prints)
			}
		})
	}
}
