package selftest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-dcr/caddy-dcr/caddymodule/cel"
)

// example is the Caddyfile of the repository.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tried runs a Caddyfile.
func tried(t *testing.T, caddyfile string, o Options) (*Report, error) {
	t.Helper()
	o.Config = filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(o.Config, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	return Run(t.Context(), o)
}

// TestExample: the configuration that operators begin with passes, though nothing that it
// names is there.
func TestExample(t *testing.T) {
	began := time.Now()
	report, err := tried(t, example(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if !row.OK {
			t.Errorf("%s: got %s, want %s\n%q", row.Name, row.Got, row.Expected, row.Details)
		}
	}
	t.Logf("%d rows, %d left out, in %v", len(report.Rows), len(report.LeftOut), time.Since(began))
}

// holes are edits of the example that take a protection away, or lead round the gateway.
// Each must be found, by a row that says where.
var holes = []struct {
	name     string
	old, new string
	row      string // a part of the name of a row that fails
	says     string // a part of its details
}{
	{"another site sends to the authorization server", "auth.bank.example {", "open.bank.example {\n\treverse_proxy https://as.internal:9443\n}\n\nauth.bank.example {",
		"requests for open.bank.example", "came to the authorization server past the gateway, through apps/http/servers/srv0/routes/"},
	{"a path of the site leads round, as unguarded allows", "\treverse_proxy https://as.internal:9443\n", "\treverse_proxy https://as.internal:9443\n}\n\nhttp://auth.bank.example:8080 {\n\thandle_path /backdoor/* {\n\t\treverse_proxy https://as.internal:9443\n\t}\n",
		"requests for auth.bank.example at the server srv1", "past the gateway, through apps/http/servers/srv1/routes/"},
	{"the proxy takes the certificate away", "\treverse_proxy https://as.internal:9443\n", "\treverse_proxy https://as.internal:9443 {\n\t\theader_up -Client-Cert\n\t}\n", "Connection names the certificate's header", "did not get the client's certificate"},
	{"client certificates are not verified", "mode verify_if_given\n\t\t\ttrust_pool file open-banking-roots.pem", "mode request", "register with tls_client_auth", ""},
}

// TestHoles: a configuration with a hole does not pass.
func TestHoles(t *testing.T) {
	for _, hole := range holes {
		t.Run(hole.name, func(t *testing.T) {
			text := strings.Replace(example(t), hole.old, hole.new, 1)
			if strings.Contains(hole.name, "unguarded") {
				text = strings.Replace(text, "\t\taudience", "\t\tunguarded upstream https://as.internal:9443\n\t\taudience", 1)
			}
			if text == example(t) {
				t.Fatal("the edit changes nothing")
			}
			report, err := tried(t, text, Options{})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, row := range report.Rows {
				if !row.OK {
					t.Logf("%s: %s, want %s %.300q", row.Name, row.Got, row.Expected, row.Details)
				}
				found = found || !row.OK && strings.Contains(row.Name, hole.row) && strings.Contains(strings.Join(row.Details, "\n"), hole.says)
			}
			if !found {
				t.Errorf("no row %q fails and says %q; %d failed", hole.row, hole.says, report.Failed())
			}
		})
	}
}

// adapted is a Caddyfile in JSON.
func adapted(t *testing.T, text string) []byte {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// TestPolicyOfTheBank: a policy that refuses the TPP of the story is told of by name, and
// claims for the statement help.
func TestPolicyOfTheBank(t *testing.T) {
	text := strings.Replace(example(t), "\t\taudience 0", "\t\tpolicy cel `ssa.org_id == 'bankOnly'` {\n\t\t\tname only-one\n\t\t}\n\t\taudience 0", 1)
	report, err := tried(t, text, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() != 2 || len(report.LeftOut) < 100 || !strings.Contains(strings.Join(report.Rows[1].Details, "\n"), "only-one") {
		t.Errorf("got %d rows that failed, %d left out and %+v, want the two registrations refused by only-one", report.Failed(), len(report.LeftOut), report.Rows)
	}
	report, err = tried(t, text, Options{Claims: map[string]any{"org_id": "bankOnly"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if !row.OK {
			t.Errorf("%s: got %s, want %s\n%q", row.Name, row.Got, row.Expected, row.Details)
		}
	}
}

// TestWorkspaces: one of several is tried alone, and one that is not there is an error.
func TestWorkspaces(t *testing.T) {
	second := strings.NewReplacer("auth.bank.example", "second.bank.example", "default/obuk", "default/second", "as.internal", "as2.internal").Replace(example(t)[strings.Index(example(t), "auth.bank.example {"):])
	text := example(t) + "\n" + second
	report, err := tried(t, text, Options{Workspace: "default/second"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range report.Rows {
		if row.Workspace != "default/second" || !row.OK {
			t.Errorf("%s: %s: got %s, want %s\n%q", row.Workspace, row.Name, row.Got, row.Expected, row.Details)
		}
	}
	_, err = tried(t, text, Options{Workspace: "none"})
	var unknown *UnknownWorkspaceError
	if !errors.As(err, &unknown) {
		t.Errorf("got %v, want that the workspace is not known", err)
	}
}
