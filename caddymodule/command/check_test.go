package command

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/check"
)

// dcrCheck runs the command, with what it prints and its error.
func dcrCheck(t *testing.T, args ...string) (out, stderr string, err error) {
	t.Helper()
	c := checkConfiguration()
	c.SilenceUsage = true
	var o, e bytes.Buffer
	c.SetOut(&o)
	c.SetErr(&e)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// inExample goes to a folder with the example as its Caddyfile.
func inExample(t *testing.T) {
	t.Helper()
	example, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AS_SECRET", "AS_IAT", "REGISTRAR_SECRET"} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	if err := os.WriteFile("Caddyfile", example, 0o600); err != nil {
		t.Fatal(err)
	}
}

// complete gives the example what it names.
func complete(t *testing.T) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	if err := os.WriteFile("open-banking-roots.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AS_SECRET", "AS_IAT", "REGISTRAR_SECRET"} {
		t.Setenv(name, "s3cret-of-a-test")
	}
	text, err := os.ReadFile("Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	// Whether /var/lib may be written to is another machine's affair.
	if err := os.WriteFile("Caddyfile", []byte(strings.Replace(string(text), "\t\tstore badger /var/lib/caddy-dcr\n", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCheckOfTheExample: it tells all that is a placeholder there, at once.
func TestCheckOfTheExample(t *testing.T) {
	inExample(t)
	out, _, err := dcrCheck(t)
	if err == nil || err.Error() != "found 5 errors" {
		t.Errorf("got %v, want 5 errors", err)
	}
	for _, want := range []string{
		"ERRORS (5)\n\nconfiguration-loads\n", "AS_SECRET is empty in the environment", "AS_IAT is empty", "REGISTRAR_SECRET is empty", "open open-banking-roots.pem: no such file",
		"an example is still there: auth.bank.example", "an example is still there: 0015800001HQQrZAAX", "an example is still there: as.internal",
		"  where   site auth.bank.example, workspace default/obuk, access_token, client, secret\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if errors, warnings := strings.Index(out, "ERRORS ("), strings.Index(out, "WARNINGS ("); errors != 0 || warnings < errors || strings.Index(out, "NOTES (") < warnings {
		t.Errorf("the worst does not come first in\n%s", out)
	}
	if last := regexp.MustCompile(`\nchecked \d+ of \d+ checks, \d+ left out: .*--live\n$`); !last.MatchString(out) || strings.Contains(out, "\x1b") {
		t.Errorf("got %s, want a last line that counts, and no colours", out)
	}
	if got := strings.Join(wrapped("- "+strings.Repeat("x", 20)+" y\x1b[2J zz", 10), "|"); got != "- "+strings.Repeat("x", 20)+"|y?[2J zz" {
		t.Errorf("wrapped to %q", got)
	}
	for line := range strings.Lines(out) {
		if len(line) > usual+1 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("the line is longer than %d: %s", usual, line)
		}
	}
}

// TestCheckExitStatus: errors count, warnings only with --strict, and a wrong use is told apart.
func TestCheckExitStatus(t *testing.T) {
	inExample(t)
	complete(t)
	for _, tc := range []struct {
		args   []string
		status int
		says   *regexp.Regexp
	}{
		{nil, 1, regexp.MustCompile(`^Error: found 1 error\n$`)},
		{[]string{"--strict"}, 1, regexp.MustCompile(`^Error: found 1 error( and \d+ warnings)?\n$`)}, // the store of a test is in a temporary folder
		{[]string{"x"}, 2, regexp.MustCompile(`^Error: "x" belongs to no flag`)},
		{[]string{"--wrong"}, 2, regexp.MustCompile("^Error: unknown flag")},
		{[]string{"--config", "none"}, 2, regexp.MustCompile("Error: ")},
		{[]string{"--address-outside", "203.0.113.7"}, 2, regexp.MustCompile("^Error: --address-outside goes with --live")},
		{[]string{"--stop-timeout", "-1s"}, 2, regexp.MustCompile("^Error: --stop-timeout")},
	} {
		if _, stderr, status := dcr(t, append([]string{"check"}, tc.args...)...); status != tc.status || !tc.says.MatchString(stderr) {
			t.Errorf("%q: got status %d, %q; want %d, %s", tc.args, status, stderr, tc.status, tc.says)
		}
	}
	for severity, strict := range map[check.Severity][2]bool{check.Note: {true, true}, check.Warning: {true, false}, check.Error: {false, false}} {
		report := &check.Report{Findings: []check.Finding{{Severity: severity}}}
		if got := [2]bool{(&checking{}).outcome(report) == nil, (&checking{strict: true}).outcome(report) == nil}; got != strict {
			t.Errorf("%s: got %v, want %v without and with --strict", severity, got, strict)
		}
	}
	t.Chdir(t.TempDir())
	if _, stderr, status := dcr(t, "check"); status != 2 || !strings.Contains(stderr, "give it with --config") {
		t.Errorf("without a configuration: got status %d, %q", status, stderr)
	}
}

// TestCheckJSON: an array with the members that are documented, and without secrets.
func TestCheckJSON(t *testing.T) {
	inExample(t)
	complete(t)
	out, _, err := dcrCheck(t, "--json")
	if err == nil {
		t.Error("got no error")
	}
	page, readErr := os.ReadFile(filepath.Join(repository, "docs/check.md"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	var findings []map[string]any
	if err := json.Unmarshal([]byte(out), &findings); err != nil || len(findings) == 0 {
		t.Fatalf("got %v, %s", err, out)
	}
	for _, f := range findings {
		for name := range f {
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("the member %s is not documented", name)
			}
		}
		for _, name := range []string{"check", "severity", "found", "why", "write"} {
			if f[name] == "" || f[name] == nil {
				t.Errorf("%v lacks %s", f, name)
			}
		}
	}
	if strings.Contains(out, "s3cret-of-a-test") {
		t.Errorf("got a secret in %s", out)
	}
	var empty bytes.Buffer
	if err := (&checking{}).printJSON(&empty, &check.Report{}); err != nil || empty.String() != "[]\n" {
		t.Errorf("got %q, %v for no findings, want an empty array", empty.String(), err)
	}
}

// repository is its folder, also once a test has gone to another one.
var repository, _ = filepath.Abs("../..")

// TestDocumentedChecks: the commands of the documentation run, beside sudo and the place of
// the file.
func TestDocumentedChecks(t *testing.T) {
	inExample(t)
	complete(t)
	for page, want := range map[string]int{"docs/operations.md": 2, "docs/check.md": 1} {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		commands := regexp.MustCompile(`(?m)^    (?:sudo -u caddy )?caddy dcr check(.*)$`).FindAllStringSubmatch(string(text), -1)
		if len(commands) != want {
			t.Errorf("%s has %d commands, want %d", page, len(commands), want)
		}
		for _, m := range commands {
			args := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(m[1], "/etc/caddy/", ""), "--live", ""))
			out, stderr, err := dcrCheck(t, args...)
			if err == nil || !strings.HasPrefix(err.Error(), "found ") || !strings.Contains(out, "store-temporary") {
				t.Errorf("%s: caddy dcr check %s: got %v, %s, %s", page, args, err, out, stderr)
			}
		}
	}
}
