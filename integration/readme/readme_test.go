// Package readme_test runs the commands of the README.
package readme_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
)

// run runs a command in the repository's folder, with variables of its own and
// none of an outer make.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = checkout.Root()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "MFLAGS") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out.Bytes(), stderr.Bytes())
	}
	return out.String()
}

// TestReadme runs the commands of the README, and of the one about policies, as they are
// or as near as a test can.
func TestReadme(t *testing.T) {
	t.Parallel()
	var commands []string
	for _, page := range []string{"README.md", "docs/policies/README.md"} {
		text, err := os.ReadFile(filepath.Join(checkout.Root(), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range checkout.ShellBlocks(text) {
			commands = append(commands, strings.Split(strings.TrimSpace(block), "\n")...)
		}
	}
	for _, command := range commands {
		t.Run(command, func(t *testing.T) {
			switch words := strings.Fields(command); {
			case command == "make test": // runs this
			case command == "make build": // make demo runs it
			case command == "make demo":
				out := run(t, []string{"DEMO_ONCE=1", "DEMO_DIR=" + filepath.Join(t.TempDir(), "demo")}, words[0], words[1:]...)
				if lines := strings.Split(strings.TrimSpace(out), "\n"); !regexp.MustCompile(`^demo: (\d+) of (\d+) steps as expected$`).MatchString(lines[len(lines)-1]) {
					t.Errorf("the last line is %q", lines[len(lines)-1])
				}
			case words[0] == "xcaddy":
				binary := filepath.Join(t.TempDir(), "caddy")
				xcaddy, err := checkout.Build(t.Context(), "xcaddy", "github.com/caddyserver/xcaddy/cmd/xcaddy")
				if err != nil {
					t.Fatal(err)
				}
				run(t, []string{"GOWORK=off"}, xcaddy, append(words[1:], "--output", binary)...)
				hasModules(t, binary)
				if strings.Contains(command, "/rego@") {
					if out := run(t, nil, binary, "dcr", "policy", "test", "docs/policies"); !strings.Contains(out, "cases of 18 policies, 0 failed\n") {
						t.Errorf("with Rego: %s", out)
					}
				}
			case strings.HasSuffix(command, " ./caddy run --config Caddyfile"):
				// The configuration itself is what the end-to-end tests run.
				binary := filepath.Join(checkout.Root(), "caddy")
				hasModules(t, binary)
				run(t, nil, binary, "adapt", "--config", "Caddyfile.example")
				if out := run(t, nil, binary, "fmt", "--diff", "Caddyfile.example"); strings.Contains(out, "\n-") || strings.Contains(out, "\n+") {
					t.Errorf("caddy fmt: %s", out)
				}
			default:
				t.Error("no test runs this")
			}
		})
	}
	for _, must := range []string{"make build", "make demo", "make test"} {
		if !slices.Contains(commands, must) {
			t.Errorf("the README does not say %q", must)
		}
	}
}

func hasModules(t *testing.T, binary string) {
	t.Helper()
	modules := run(t, nil, binary, "list-modules")
	for _, m := range []string{"http.handlers.openbanking_dcr", "openbanking_dcr", "openbanking_dcr.stores.badger"} {
		if !strings.Contains("\n"+modules, "\n"+m+"\n") {
			t.Errorf("%s has no module %s", binary, m)
		}
	}
}
