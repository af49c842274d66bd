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
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "cases"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"policy.cel": "ssa.org_id == \"a\"", "cases/a.json": `{"change":{"ssa":{"org_id":"b"}},"want":{"allowed":true}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err = run(t, "test", dir)
	if err == nil || !strings.Contains(out, `allowed is false, not true; the reason: ssa.org_id == "a" is false (line 1)`) || !strings.Contains(out, "1 cases of 1 policies, 1 failed") {
		t.Errorf("%s, %v", out, err)
	}
	for _, args := range [][]string{{"test"}, {"test", filepath.Join(dir, "none")}, {"test", filepath.Join(dir, "cases")}, {"test", dir, dir}} {
		if out, err := run(t, args...); err == nil {
			t.Errorf("%q: %s", args, out)
		}
	}
}
