package policycases_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

// TestFailures: a failure is told in the words of the case, and once.
func TestFailures(t *testing.T) {
	const (
		conditions = `operation == "x" is false (line 1)`
		noText     = "the policy has none of its own, so that a TPP reads the text of its block in the Caddyfile, which is not tested"
	)
	long := strings.Repeat("long ", 120)
	for name, tc := range map[string]struct{ policy, want, fails string }{
		"text":          {`deny("go away")`, `{"text": "go  away"}`, `text is "go away", not "go  away"; the reason: deny (line 1); it tells the TPP: go away`},
		"as it is":      {`deny(["a \"b\""][0])`, `{"text": "a \"b\""}`, `text is "a 'b'" for a TPP, which reads printable ASCII, 500 bytes at most; the policy has "a \"b\""; the reason: deny (line 1); it tells the TPP: a "b"`},
		"as it is told": {`deny(["a \"b\""][0])`, `{"text": "a 'b'"}`, ""},
		"no ASCII":      {`deny(["café <a>"][0])`, `{"text": "café"}`, `text is "caf? <a>", not "café"; the reason: deny (line 1); it tells the TPP: café <a>`},
		"too long":      {`deny(["` + long + `"][0])`, `{"text": "` + long + `"}`, `text is "` + long[:497] + `..." for a TPP, which reads printable ASCII, 500 bytes at most; the policy has "` + long + `"; the reason: deny (line 1); it tells the TPP: ` + long},
		"no own text":   {`operation == "x"`, `{"text": "go away"}`, `text: ` + noText + `; the case wants "go away"; the reason: ` + conditions},
		"general text":  {`operation == "x"`, `{"text": "the bank's registration policy does not let this software in; ask the bank"}`, `text: ` + noText + `; the case wants "the bank's registration policy does not let this software in; ask the bank"; the reason: ` + conditions},
		"code":          {`reject("x")`, `{"code": "unapproved_software_statement"}`, `code is "invalid_client_metadata", not "unapproved_software_statement"; the reason: reject (line 1); it tells the TPP: x`},
		"no own code":   {`operation == "x"`, `{"code": "invalid_client_metadata"}`, `code: the policy has none of its own, so that it is "unapproved_software_statement", or that of its block in the Caddyfile, which is not tested; the case wants "invalid_client_metadata"; the reason: ` + conditions},
		"reason":        {`operation == "x"`, `{"reason": "line 2"}`, `reason is "operation == \"x\" is false (line 1)", without "line 2"`},
		"allowed":       {`deny("go away")`, `{"allowed": true}`, `allowed is false, not true; the reason: deny (line 1); it tells the TPP: go away`},
		"both":          {`operation == "x"`, `{"fault": true, "reason": "line 2"}`, `fault is false, not true; reason is "operation == \"x\" is false (line 1)", without "line 2"`},
		"approval":      {`require_approval("new here")`, `{"allowed": true, "approval": "old"}`, `approval is "new here", not "old"`},
		"no approval":   {`allow()`, `{"allowed": true, "approval": "new"}`, `approval is "", not "new"`},
		"an approval":   {`require_approval("new")`, `{"allowed": true}`, `approval is "new", not ""`},
		"scopes":        {`allow().scopes(["a", "b"])`, `{"allowed": true, "scopes": ["b"]}`, `scopes is ["a","b"], not ["b"]`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "policy.cel"), tc.policy)
			write(t, filepath.Join(dir, "cases", "one.json"), `{"change": {"registration": {"scope": "a b"}}, "want": `+tc.want+`}`)
			report, err := policycases.Run(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			fails := ""
			if err := report.Results[0].Err; err != nil {
				fails = err.Error()
			}
			if fails != tc.fails {
				t.Errorf("fails %v, want %v", fails, tc.fails)
			}
		})
	}
}
