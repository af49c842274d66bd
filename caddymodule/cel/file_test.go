package cel

import (
	"os"
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
			t.Errorf("%s: got %v, want an error that begins with %q", path, err, want)
		}
		err := new(Policy).UnmarshalCaddyfile(caddyfile.NewTestDispenser("\ncel file " + path))
		if err == nil || !strings.HasPrefix(err.Error(), "policy cel:\n"+want) || !strings.HasSuffix(err.Error(), ", at Testfile:2") {
			t.Errorf("%s: got %v, want %q at Testfile:2", path, err, want)
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

// What an editor has saved otherwise is told so.
func TestFileEncoding(t *testing.T) {
	for text, want := range map[string]string{
		"\xEF\xBB\xBFtrue":          "line 1 begins with a byte order mark (BOM); save it as UTF-8 without one",
		"\xFF\xFEt\x00r\x00u\x00":   "line 1 is UTF-16; save it as UTF-8",
		"// \n// f\xFCr alle\ntrue": "line 2 is not UTF-8; save it as UTF-8",
		"true\x00":                  "line 1 has a NUL character; take it out, or save the file as UTF-8",
		"// für alle\ntrue":         "",
	} {
		path := filepath.Join(t.TempDir(), "x.cel")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&Policy{File: path}).Provision(caddy.Context{})
		if (err == nil) != (want == "") || err != nil && err.Error() != "file "+path+": "+want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
