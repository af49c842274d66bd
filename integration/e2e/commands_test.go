package e2e_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestCommands: an operator finds a client, suspends, resumes and deletes it with caddy dcr
// alone, and each command ends with its status. It suspends the software of a TPP, so that
// its stage is its own.
func TestCommands(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, _ := registered(t, p)
		workspace := "default/obuk"
		dcr := func(status int, says string, args ...string) {
			t.Helper()
			args = append([]string{"dcr"}, args...)
			out, err := p.Gateway.Command(t.Context(), args...)
			got := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				got = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if got != status || !strings.Contains(out, says) || status > 0 && !strings.Contains(out, "Error: ") {
				t.Errorf("caddy %s: got status %d, %s; want %d, %q", strings.Join(args, " "), got, out, status, says)
			}
		}
		gateway := func(args ...string) []string { return append(args, "--config", "Caddyfile") }
		dcr(0, "authorization server", gateway("status")...)
		dcr(0, id, gateway("clients", "list", "--software-id", p.Acme.SoftwareID)...)
		dcr(0, `{"client_id":"`+id+`"`, gateway("clients", "list", "--client-id", id, "--registered-after", "1h", "--certificate-expires-within", "20000d", "--json")...)
		dcr(0, "no clients\n", gateway("clients", "list", "--client-id", id, "--suspended", "true")...)
		dcr(0, "\netag ", gateway("clients", "show", id)...)
		dcr(1, "there is no client", gateway("clients", "show", "nobody/..")...)
		dcr(1, "there are "+workspace, gateway("clients", "list", "--workspace", "else")...)

		dcr(2, "--reason is missing", gateway("clients", "suspend", id)...)
		dcr(0, "suspended client "+id, gateway("clients", "suspend", id, "--reason", "a test")...)
		if _, err := p.ClientToken(t.Context(), p.Acme, id); err == nil {
			t.Error("the suspended client got a token")
		}
		dcr(0, id, gateway("clients", "list", "--client-id", id, "--suspended", "true")...)
		dcr(0, "resumed client "+id, gateway("clients", "resume", id, "--reason", "a test", "--operator", "Anna Smith")...)
		dcr(0, "suspended software "+p.Acme.SoftwareID, gateway("software", "suspend", p.Acme.SoftwareID, "--reason", "a test")...)
		dcr(0, "suspended               yes\n", gateway("software", "show", p.Acme.SoftwareID)...)
		dcr(0, "resumed software "+p.Acme.SoftwareID, gateway("software", "resume", p.Acme.SoftwareID, "--reason", "a test")...)
		dcr(0, "suspended               no\n", gateway("organisations", "show", p.Acme.OrgID)...)
		dcr(0, "suspended               no\n", gateway("directories", "show", p.Directory.Issuer)...)
		if _, err := p.ClientToken(t.Context(), p.Acme, id); err != nil {
			t.Errorf("after it was resumed: %v", err)
		}
		dcr(0, "Anna Smith", gateway("audit", "list", "--workspace", workspace, "--since", "1h", "--all")...)

		dcr(0, p.Directory.Issuer, gateway("status")...)
		dcr(0, "directory", gateway("keys", "list", "--workspace", workspace)...)
		dcr(1, "no key set has this id", gateway("keys", "refresh", "nobody", "--reason", "a test")...)
		dcr(0, "", gateway("outbox", "list")...)
		dcr(1, "there is no entry of the outbox", gateway("outbox", "retry", "nobody", "--reason", "a test")...)
		dcr(0, "", gateway("discrepancies")...)
		dcr(1, "there is no discrepancy", gateway("discrepancies", "dismiss", "detached", "nobody", "--reason", "a test", "--yes")...)
		dcr(0, "epoch ", gateway("epoch", "show")...)
		dcr(1, "the gateway says: ", gateway("secrets", "rotate", id, "--reason", "a test")...) // it is native

		for _, line := range []string{"__complete dcr clients show --config Caddyfile " + id[:4], "completion bash"} {
			out, err := p.Gateway.Command(t.Context(), strings.Fields(line)...)
			if err != nil || !strings.Contains(out, id) && !strings.Contains(out, "__complete") {
				t.Errorf("caddy %s: %s, %v; want the client, or a script", line, out, err)
			}
		}

		dcr(2, "give --yes", gateway("clients", "delete", id, "--reason", "a test")...)
		dcr(0, "deleted client "+id, gateway("clients", "delete", id, "--reason", "a test", "--yes")...)
		dcr(1, "this client was deleted", gateway("clients", "show", id)...)
		dcr(2, "unknown command", "clints", "list")
		dcr(2, "unknown flag", gateway("clients", "list", "--nmae", "x")...)
		dcr(3, "does not answer", "status", "--address", "localhost:1")
		dcr(3, "does not answer", "status", "--address", "unix//nowhere/admin.sock")
		dcr(3, "does not answer", "explain", "--code", "x", "--address", "localhost:1")
	})
}
