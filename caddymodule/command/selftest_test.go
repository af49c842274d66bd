package command

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/selftest"
)

// dcrSelftest runs the command, with what it prints, its exit status and its error.
func dcrSelftest(t *testing.T, args ...string) (out string, status int, err error) {
	t.Helper()
	root := dcrRoot()
	var o, e bytes.Buffer
	root.SetOut(&o)
	root.SetErr(&e)
	root.SetArgs(append([]string{"dcr", "selftest"}, args...))
	err = root.ExecuteContext(t.Context())
	return o.String(), exitStatus(err), err
}

// TestSelftest: the example passes, and the output says what it cannot show. With a hole the
// exit status is 1 and the output names the place. A wrong use is told apart.
func TestSelftest(t *testing.T) {
	inExample(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	example, err := os.ReadFile("Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	out, status, err := dcrSelftest(t)
	if status != 0 || err != nil {
		t.Errorf("got %d, %v, want 0\n%s", status, err, out)
	}
	for _, want := range []string{
		"OK   WHAT ", "yes  register without a client certificate", "\nLeft out, and so not tested:\n", "\nReplaced for this run:\n", "\nA selftest cannot show:\n", " rows are as they must be, ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	for name, edited := range map[string]string{
		"hole":  strings.Replace(string(example), "auth.bank.example {", "open.bank.example {\n\treverse_proxy https://as.internal:9443\n}\n\nauth.bank.example {", 1),
		"fails": strings.Replace(string(example), "provision rfc7591", "provision nothing", 1),
	} {
		if err := os.WriteFile(name, []byte(edited), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, status, err = dcrSelftest(t, "--config", "hole", "--adapter", "caddyfile", "--json")
	if status != 1 || err == nil {
		t.Errorf("got %d, %v, want 1", status, err)
	}
	var report struct {
		Rows []struct {
			Name    string   `json:"name"`
			OK      bool     `json:"ok"`
			Details []string `json:"details"`
		} `json:"rows"`
		LeftOut, Replaced, Unproven []any
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, row := range report.Rows {
		if !row.OK && (row.Name != "requests for open.bank.example at the server srv0 (:443)" || !strings.Contains(strings.Join(row.Details, " "), "past the gateway, through apps/http/servers/srv0/routes/")) {
			t.Errorf("%+v", row)
		}
	}
	if out, status, err := dcrSelftest(t, "--config", "fails", "--adapter", "caddyfile"); status != 1 || out != "" {
		t.Errorf("got %d, %v, %s for a configuration that does not load, want 1", status, err, out)
	}
	for _, args := range [][]string{{"x"}, {"--wrong"}, {"--config", "none"}, {"--claims", "none"}, {"--workspace", "none"}} {
		if _, status, err := dcrSelftest(t, args...); status != 2 || err == nil {
			t.Errorf("%q: got %d, %v, want 2", args, status, err)
		}
	}
	if entries, err := filepath.Glob(filepath.Join(temporary, "*")); err != nil || len(entries) > 0 {
		t.Errorf("got %v, %v, want that nothing is left", entries, err)
	}
}

// TestDocumentedSelftests: the commands of the documentation are ones that there are, and the
// members of --json are documented.
func TestDocumentedSelftests(t *testing.T) {
	for page, want := range map[string]int{"docs/operations.md": 1, "docs/selftest.md": 2} {
		text, err := os.ReadFile(filepath.Join(repository, page))
		if err != nil {
			t.Fatal(err)
		}
		commands := regexp.MustCompile(`(?m)^    caddy (dcr selftest.*)$`).FindAllStringSubmatch(string(text), -1)
		if len(commands) != want {
			t.Errorf("%s has %d commands, want %d", page, len(commands), want)
		}
		for _, m := range commands {
			c, args, err := dcrRoot().Find(strings.Fields(m[1]))
			if err == nil {
				err = c.ParseFlags(args)
			}
			if err != nil || len(c.Flags().Args()) > 0 {
				t.Errorf("%s: %s: %v, %q", page, m[1], err, c.Flags().Args())
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(repository, "docs/selftest.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []any{selftest.Report{}, selftest.Row{}, selftest.LeftOut{}, selftest.Replaced{}} {
		kind := reflect.TypeOf(of)
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(string(text), "`"+name+"`") {
				t.Errorf("the member %s of %s is not documented", name, kind)
			}
		}
	}
}
