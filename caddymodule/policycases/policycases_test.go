package policycases_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/cel"
	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

const folder = "../../docs/policies"

// TestDocumentedPoliciesPassTheirCases: every policy of the documentation decides as its cases say.
func TestDocumentedPoliciesPassTheirCases(t *testing.T) {
	report, err := policycases.Run(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]bool{}
	for _, r := range report.Results {
		policies[r.Policy] = true
		if r.Err != nil {
			t.Errorf("%s, %s: %v", r.Policy, r.Case, r.Err)
		}
	}
	if folders, err := filepath.Glob(folder + "/*/cases"); err != nil || len(folders) != len(policies) || report.Untested["rego"] != len(folders) || len(report.Faults) > 0 {
		t.Errorf("%d folders with cases, %d policies, %v not tested, %v, %v", len(folders), len(policies), report.Untested, report.Faults, err)
	}
}

// TestDocumented: the documentation shows every policy with an input and its verdict,
// and names everything that a policy may look at.
func TestDocumented(t *testing.T) {
	page := read(t, folder+"/README.md")
	policies, err := filepath.Glob(folder + "/*/policy.cel")
	if err != nil || len(policies) < 7 {
		t.Fatalf("%d policies, %v; want seven or more", len(policies), err)
	}
	for _, file := range policies {
		if !strings.Contains(page, "```cel\n"+read(t, file)+"```") {
			t.Errorf("%s is not in it", file)
		}
		if other := strings.TrimSuffix(file, "cel") + "rego"; !strings.Contains(page, "```rego\n"+read(t, other)+"```") {
			t.Errorf("%s is not in it", other)
		}
		cases, err := filepath.Glob(filepath.Join(filepath.Dir(file), "cases", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(cases, func(c string) bool { return strings.Contains(page, "```json\n"+read(t, c)+"```") }) {
			t.Errorf("no case of %s is in it", file)
		}
	}
	whole := reflect.TypeFor[verify.PolicyInput]()
	for i := range whole.NumField() {
		name := whole.Field(i).Tag.Get("json")
		if name == "-" {
			continue
		}
		if !strings.Contains(page, "| `"+name) {
			t.Errorf("%s is not in it", name)
		}
		part := whole.Field(i).Type
		if name == "registration" || part.Kind() != reflect.Pointer {
			continue
		}
		for j := range part.Elem().NumField() {
			if field := part.Elem().Field(j).Tag.Get("json"); !regexp.MustCompile("(?m)^\\| `" + name + "\\..*\\b" + field + "`").MatchString(page) {
				t.Errorf("%s.%s is not in it", name, field)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestInvalidCasesAreReported: a case that is not as written is seen, whatever is wrong with it.
func TestInvalidCasesAreReported(t *testing.T) {
	for name, tc := range map[string]struct{ policy, text, want string }{
		"allowed":          {`false`, `{"change":{},"want":{"allowed":true}}`, "allowed is false, not true"},
		"denied":           {`true`, `{"change":{},"want":{"allowed":false}}`, "allowed is true, not false"},
		"code":             {`reject("x")`, `{"change":{},"want":{"code":"unapproved_software_statement"}}`, `code is "invalid_client_metadata"`},
		"text":             {`deny("x")`, `{"change":{},"want":{"text":"y"}}`, `text is "x", not "y"`},
		"reason":           {`operation == "x"`, `{"change":{},"want":{"reason":"y"}}`, `operation == \"x\" is false`},
		"fault":            {`ssa.x == 1`, `{"change":{},"want":{"allowed":false}}`, "fault is true, not false"},
		"scopes":           {`allow().scopes(["a"])`, `{"change":{"registration":{"scope":"a b"}},"want":{"allowed":true,"scopes":["b"]}}`, `scopes is ["a"], not ["b"]`},
		"no want":          {`false`, `{"change":{}}`, "want says nothing: write what the policy must decide"},
		"empty want":       {`false`, `{"change":{},"want":{}}`, "one.json:1:21: want says nothing"},
		"no input":         {`true`, `{"want":{"allowed":true}}`, "one.json:1:1: neither base nor change: "},
		"text of allowed":  {`true`, `{"change":{},"want":{"allowed":true,"text":"y"}}`, `one.json:1:44: want.text is compared with "allowed": false alone: write that, or take it away`},
		"scopes of denied": {`false`, `{"change":{},"want":{"scopes":["a"]}}`, `want.scopes is compared with "allowed": true alone`},
		"no registration":  {`true`, `{"change":{},"want":{"allowed":true,"grant_types":["a"]}}`, "the input has no registration"},
		"policy unchecked": {`sssa.x == 1`, `{"change":{},"want":{"allowed":false}}`, "undeclared reference"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "policy.cel"), tc.policy)
			write(t, filepath.Join(dir, "cases", "one.json"), tc.text)
			report, err := policycases.Run(t.Context(), dir)
			if err == nil {
				err = report.Results[0].Err
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// TestRunWithoutCasesFails: neither an empty folder nor a policy without cases passes.
func TestRunWithoutCasesFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := policycases.Run(t.Context(), dir); err == nil {
		t.Error("an empty folder passes")
	}
	write(t, filepath.Join(dir, "policy.cel"), `true`)
	if report, err := policycases.Run(t.Context(), dir); err != nil || report.Results[0].Err == nil {
		t.Error("a policy without cases passes")
	}
	if _, err := policycases.Run(t.Context(), filepath.Join(dir, "none")); err == nil {
		t.Error("no folder passes")
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
