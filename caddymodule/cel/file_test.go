package cel

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// A file that is not there is told with its path, and the line of the Caddyfile.
func TestAbsentFile(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	whole := filepath.Join(folder, "policies", "x.cel")
	for path, want := range map[string]string{
		"policies/x.cel": "file policies/x.cel: no such file or directory; tried " + whole + ", as a relative path counts from the working directory of the process",
		whole:            "file " + whole + ": no such file or directory",
		".":              "file .: is a directory; tried ",
	} {
		if err := (&Policy{File: path}).Provision(caddy.Context{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		err := new(Policy).UnmarshalCaddyfile(caddyfile.NewTestDispenser("\ncel file " + path))
		if err == nil || !strings.HasPrefix(err.Error(), "policy cel:\n"+want) || !strings.HasSuffix(err.Error(), ", at Testfile:2") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A path with a variable that the reader of the Caddyfile has not is looked at when
// the gateway loads it.
func TestFileOfVariable(t *testing.T) {
	p := new(Policy)
	if err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("cel file {env.CEL_TEST_UNSET}/x.cel")); err != nil {
		t.Error(err)
	}
	if err := p.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), "file: ") {
		t.Error(err)
	}
}
