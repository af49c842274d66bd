package policycases_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// expressionRow is an expression of the documentation with its verdict.
var expressionRow = regexp.MustCompile("(?m)^\\| `(.+?)` \\| (true|false|denied) \\|")

// TestExpressions: each expression that the documentation explains is asked about the
// input that it names.
func TestExpressions(t *testing.T) {
	rows := expressionRow.FindAllStringSubmatch(read(t, folder+"/first-policy.md"), -1)
	if len(rows) < 15 {
		t.Fatalf("%d expressions", len(rows))
	}
	for _, row := range rows {
		expression, want := strings.ReplaceAll(row[1], `\|`, "|"), row[2]
		t.Run(expression, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "policy.cel")
			if err := os.WriteFile(file, []byte(expression), 0o600); err != nil {
				t.Fatal(err)
			}
			policy, unload, err := policylanguage.Load(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			defer unload()
			var in verify.PolicyInput
			if err := json.Unmarshal([]byte(read(t, folder+"/input.json")), &in); err != nil {
				t.Fatal(err)
			}
			d := verify.Evaluate(t.Context(), policy, &in, time.Minute)
			got := "false"
			switch {
			case d.Allowed:
				got = "true"
			case d.Fault != nil:
				got = "denied"
			}
			if got != want {
				t.Errorf("%s, not %s: %s", got, want, d.Reason)
			}
		})
	}
}
