package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/cel"
)

func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	c := policy()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestPolicyTest(t *testing.T) {
	out, err := run(t, "test", "../../docs/policies")
	if err != nil || !strings.HasSuffix(out, " of 9 policies, 0 failed; 9 policies in rego not tested: not in this build\n") {
		t.Errorf("got %s, %v, want 9 policies, 0 failed, and 9 in rego not tested", out, err)
	}
	dir := files(t, map[string]string{"policy.cel": "ssa.org_id == \"a\"", "cases/a.json": `{"change":{"ssa":{"org_id":"b"}},"want":{"allowed":true}}`})
	out, err = run(t, "test", dir)
	if err == nil || !strings.Contains(out, `allowed is false, not true; the reason: ssa.org_id == "a" is false (line 1)`) || !strings.Contains(out, "1 case of 1 policy, 1 failed\n") {
		t.Errorf("got %s, %v, want 1 case failed, and its reason", out, err)
	}
	for _, args := range [][]string{{"test"}, {"test", filepath.Join(dir, "none")}, {"test", filepath.Join(dir, "cases")}, {"test", dir, dir}} {
		if out, err := run(t, args...); err == nil {
			t.Errorf("%q: got %s, want an error", args, out)
		}
	}
}

// TestPolicyThatDoesNotCompile: it fails, and hides nothing of the others.
func TestPolicyThatDoesNotCompile(t *testing.T) {
	dir := files(t, map[string]string{
		"a/policy.cel": `sssa.x == 1`, "a/cases/a.json": `{"change":{},"want":{"allowed":true}}`,
		"b/policy.cel": `false`, "b/cases/a.json": `{"change":{},"want":{"allowed":true}}`,
		"c/policy.cel": `true`,
	})
	out, err := run(t, "test", dir)
	if err == nil || err.Error() != "1 case failed, 2 policies could not be asked" {
		t.Errorf("got %v, want 1 case failed, and 2 policies that could not be asked", err)
	}
	for _, line := range []string{"undeclared reference", "allowed is false, not true", "no cases: put them into " + filepath.Join(dir, "c", "cases"), "1 case of 1 policy, 1 failed; 2 policies could not be asked\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("got %s, want %s in it", out, line)
		}
	}
}

// TestNothingIsLeftOutSilently: a policy in a language that is not in this build is named.
// It is an error where nothing else is tested, and so is a file that nothing reads.
func TestNothingIsLeftOutSilently(t *testing.T) {
	const one = `{"change":{},"want":{"allowed":true}}`
	for name, tc := range map[string]struct {
		files         map[string]string
		summary, fail string
	}{
		"both": {map[string]string{"a/policy.cel": `true`, "a/policy.rego": ``, "a/cases/a.json": one}, "1 case of 1 policy, 0 failed; 1 policy in rego not tested: not in this build", ""},
		"foreign": {map[string]string{"a/policy.cel": `true`, "a/cases/a.json": one, "b/policy.rego": ``, "b/cases/a.json": one},
			"1 case of 1 policy, 0 failed; 1 file or folder could not be tested; 1 policy in rego not tested: not in this build", "1 file or folder could not be tested"},
		"foreign alone": {map[string]string{"policy.rego": ``, "cases/a.json": one},
			"0 cases of 0 policies, 0 failed; 1 file or folder could not be tested; 1 policy in rego not tested: not in this build", "1 file or folder could not be tested"},
		"endings": {map[string]string{"policy.cel": `true`, "policy.cell": ``, "cases/a.json": one, "cases/b.JSON": ``}, "1 case of 1 policy, 0 failed; 2 files or folders could not be tested", "2 files or folders could not be tested"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, "test", files(t, tc.files))
			if (err != nil) != (tc.fail != "") || err != nil && err.Error() != tc.fail {
				t.Errorf("got %v, want %q", err, tc.fail)
			}
			if !strings.Contains(out, tc.summary+"\n") {
				t.Errorf("got %s, want %s", out, tc.summary)
			}
		})
	}
}

// TestHelp says what a case does not show.
func TestHelp(t *testing.T) {
	out, err := run(t, "test", "--help")
	for _, words := range []string{"cases/*.json", "without the words of its block", "costs have their default limit", "10 seconds"} {
		if !strings.Contains(out, words) {
			t.Errorf("%q is not in it, %v", words, err)
		}
	}
}

// files writes some below a new folder, by their paths.
func files(t *testing.T, texts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
