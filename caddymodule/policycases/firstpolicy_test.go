package policycases_test

import (
	"encoding/json"
	"errors"
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

// errorRow is an expression of the documentation with its error, and what to write in its place.
var errorRow = regexp.MustCompile("(?m)^\\| `(.+?)` \\| `(.+?)`(?:, when it is asked)? \\| `(.+?)` \\|$")

// TestErrorsOfExpressions: each error that the documentation explains is that of its expression, and what is to be
// written in its place can be decided.
func TestErrorsOfExpressions(t *testing.T) {
	rows := errorRow.FindAllStringSubmatch(read(t, folder+"/first-policy.md"), -1)
	if len(rows) < 10 {
		t.Fatalf("%d errors, want 10 or more", len(rows))
	}
	for _, row := range rows {
		expression, want, instead := row[1], row[2], row[3]
		t.Run(expression, func(t *testing.T) {
			_, err := decided(t, expression)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
			if d, err := decided(t, instead); err != nil {
				t.Errorf("%s: %+v, %v, want a decision", instead, d, err)
			}
		})
	}
}

// TestExpressions: each expression that the documentation explains is asked about the
// input that it names.
func TestExpressions(t *testing.T) {
	rows := expressionRow.FindAllStringSubmatch(read(t, folder+"/first-policy.md"), -1)
	if len(rows) < 15 {
		t.Fatalf("got %d expressions, want 15 or more", len(rows))
	}
	for _, row := range rows {
		expression, want := strings.ReplaceAll(row[1], `\|`, "|"), row[2]
		t.Run(expression, func(t *testing.T) {
			d, err := decided(t, expression)
			got := "false"
			switch {
			case d.Allowed:
				got = "true"
			case d.Fault != nil:
				got = "denied"
			case err != nil:
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("got %s, want %s: %s", got, want, d.Reason)
			}
		})
	}
}

// decided is what an expression says of the input of the documentation, and why it does not load or cannot decide.
func decided(t *testing.T, expression string) (verify.Decision, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.cel")
	if err := os.WriteFile(file, []byte(expression), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, unload, err := policylanguage.Load(t.Context(), file)
	if err != nil {
		return verify.Decision{}, err
	}
	defer unload()
	var in verify.PolicyInput
	if err := json.Unmarshal([]byte(read(t, folder+"/input.json")), &in); err != nil {
		t.Fatal(err)
	}
	d := verify.Evaluate(t.Context(), policy, &in, time.Minute)
	if d.Fault != nil {
		return d, errors.New(d.Reason)
	}
	return d, nil
}
