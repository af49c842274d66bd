package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// caddyfileOfPolicy is the policy's block with explain on, in the documentation.
var caddyfileOfPolicy = regexp.MustCompile("(?s)\t\tpolicy cel file bank.*?\t\texplain on\n")

// TestFirstPolicy goes the way of docs/policies/first-policy.md, from an empty folder to
// a policy in shadow that explains what it would have refused.
func TestFirstPolicy(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	binary, err := gateway.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, target := range map[string]string{"caddy": binary, "docs": filepath.Join(checkout.Root(), "docs")} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "docs", "policies", "first-policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := checkout.ShellBlocks(page)
	if len(commands) != 2 {
		t.Fatalf("%d blocks of commands, want 2", len(commands))
	}
	shell := func(script string) (string, error) {
		command := exec.CommandContext(t.Context(), "sh", "-ec", script)
		command.Dir = dir
		out, err := command.CombinedOutput()
		return string(out), err
	}
	if out, err := shell(commands[0]); err != nil || !strings.Contains(out, "4 cases of 1 policy, 0 failed") {
		t.Errorf("got %v, %s, want 4 cases of 1 policy, 0 failed", err, out)
	}
	client := p.Client(p.Acme)
	id := registers(t, p, client, nil).Text("client_id")
	admin := " --address " + adminListener.FindStringSubmatch(p.Caddyfile)[1]
	if out, err := shell(strings.TrimSpace(commands[1]) + admin); err == nil || !strings.Contains(out, id) || !strings.Contains(out, "1 of 1 registrations would be refused") {
		t.Errorf("got %v, %s, want an error, and %s refused", err, out, id)
	}
	block := caddyfileOfPolicy.FindStringSubmatch(string(page))
	policy := gateway.Workspace(strings.Replace(block[0], "bank/", dir+"/bank/", 1))
	reload(t, p, policy)
	r := registers(t, p, client, nil)
	if r.Status != 201 {
		t.Errorf("got %v, want 201", r)
	}
	x := &explaining{Play: p, t: t, token: "none of them", body: "none.none."}
	e := x.kept(t, r.Header.Get("x-fapi-interaction-id"))
	if !strings.Contains(strings.Join(verdicts(e), "\n"), "would_refuse policy organisations") {
		t.Errorf("got %+v, want would_refuse of the policy organisations", e)
	}
	reload(t, p, policy, gateway.At("policy", "shadow").Remove())
	r = answered(t, registers(t, p, client, nil), nil, 400, "unapproved_software_statement")
	if !strings.Contains(r.Text("error_description"), "no contract with the organisation") {
		t.Errorf("got %v, want no contract with the organisation", r)
	}
}
