package policycases_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

// TestFolders: what looks as if it was tested is, or is told.
func TestFolders(t *testing.T) {
	const one, policy = "cases/one.json", "policy.cel"
	for name, tc := range map[string]struct {
		files []string
		// want are what each fault begins with, in their order.
		want []string
	}{
		"clean":                 {[]string{policy, one, "input.json", "README.md", ".hidden", "cases/README.md", "cases/.two.json.swp", "more/policy.cel", "more/cases/one.json"}, nil},
		"no folder of cases":    {[]string{"a/" + policy, "a/" + one, "Makefile", "notes.txt"}, nil},
		"hidden folder":         {[]string{policy, one, ".git/cases/x", ".git/policy.cel"}, nil},
		"ending of a case":      {[]string{policy, one, "cases/two.JSON", "cases/three.jsn"}, []string{"cases/three.jsn: nothing reads it: cases end in .json", "cases/two.JSON: nothing reads it: cases end in .json"}},
		"policy in the cases":   {[]string{policy, one, "cases/policy.cel"}, []string{"cases/policy.cel: nothing reads it: cases end in .json"}},
		"folder in the cases":   {[]string{policy, one, "cases/more/two.json"}, []string{"cases/more: nothing reads it: cases are files directly in "}},
		"ending of a policy":    {[]string{policy, one, "policy.cell", "other"}, []string{"other: nothing reads it: policies end in .cel or .rego,", "policy.cell: nothing reads it: policies end in .cel or .rego,"}},
		"no policy":             {[]string{"policy.CEL", one}, []string{"policy.CEL: nothing reads it", "cases: no policy beside it: put one there, a file that ends in .cel or .rego"}},
		"not in this build":     {[]string{"policy.rego", one}, []string{"policy.rego: not tested, and no other policy of its folder is: rego is not in this build; build Caddy with --with github.com/caddy-dcr/caddy-dcr/caddymodule/rego"}},
		"neither, and no cases": {[]string{"policy.rego"}, []string{"policy.rego: not tested"}},
		"beside one that is":    {[]string{policy, "policy.rego", one}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, file := range tc.files {
				text := `true`
				if filepath.Ext(file) == ".json" {
					text = `{"change":{},"want":{"allowed":true}}`
				}
				write(t, filepath.Join(dir, file), text)
			}
			report, err := policycases.Run(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Results {
				if r.Err != nil {
					t.Errorf("%s, %s: %v", r.Policy, r.Case, r.Err)
				}
			}
			same := len(report.Faults) == len(tc.want)
			for i := range tc.want {
				same = same && strings.HasPrefix(report.Faults[i].Error(), filepath.Join(dir, tc.want[i]))
			}
			if !same {
				t.Errorf("%v, want the faults %q", errors.Join(report.Faults...), tc.want)
			}
		})
	}
}

// TestLinkedFolders: a folder of cases may be a link to that of another policy, and so may
// the folder that is tested.
func TestLinkedFolders(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "policy.cel"), `true`)
	write(t, filepath.Join(dir, "a", "cases", "one.json"), `{"change":{},"want":{"allowed":true}}`)
	write(t, filepath.Join(dir, "b", "policy.cel"), `true`)
	if err := os.Symlink(filepath.Join("..", "a", "cases"), filepath.Join(dir, "b", "cases")); err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(t.TempDir(), "all")
	if err := os.Symlink(dir, all); err != nil {
		t.Fatal(err)
	}
	report, err := policycases.Run(t.Context(), all)
	if err != nil || len(report.Results) != 2 || report.Results[1].Err != nil {
		t.Errorf("%+v, %v; want two results without an error", report, err)
	}
}

// TestFolderWithoutPolicyIsAnError: what has no policies is an error that says what is one.
func TestFolderWithoutPolicyIsAnError(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "policy.cel"), `true`)
	write(t, filepath.Join(dir, "cases", "one.json"), `{"change":{},"want":{"allowed":true}}`)
	for path, want := range map[string]string{
		empty:                            "no policy there: a policy is a file that ends in .cel or .rego, and its cases are in the folder cases beside it",
		filepath.Join(dir, "cases"):      "no policy there",
		filepath.Join(dir, "policy.cel"): "is no folder: give the one that it is in",
	} {
		if _, err := policycases.Run(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
