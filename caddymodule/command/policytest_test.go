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
	if err != nil || !strings.HasSuffix(out, " policies, 0 failed\n") {
		t.Errorf("%s, %v", out, err)
	}
	dir := files(t, map[string]string{"policy.cel": "ssa.org_id == \"a\"", "cases/a.json": `{"change":{"ssa":{"org_id":"b"}},"want":{"allowed":true}}`})
	out, err = run(t, "test", dir)
	if err == nil || !strings.Contains(out, `allowed is false, not true; the reason: ssa.org_id == "a" is false (line 1)`) || !strings.Contains(out, "1 case of 1 policy, 1 failed\n") {
		t.Errorf("%s, %v", out, err)
	}
	for _, args := range [][]string{{"test"}, {"test", filepath.Join(dir, "none")}, {"test", filepath.Join(dir, "cases")}, {"test", dir, dir}} {
		if out, err := run(t, args...); err == nil {
			t.Errorf("%q: %s", args, out)
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
		t.Errorf("%v", err)
	}
	for _, line := range []string{"undeclared reference", "allowed is false, not true", "no cases: put them into " + filepath.Join(dir, "c", "cases"), "1 case of 1 policy, 1 failed; 2 policies could not be asked\n"} {
		if !strings.Contains(out, line) {
			t.Errorf("%s is not in %s", line, out)
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
