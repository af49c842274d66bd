package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestCheck: the configuration of a running gateway is checked beside it, with its servers.
// What they have in order is no finding, the exit status is as documented, and the gateway
// goes on as before.
func TestCheck(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	x := &explaining{Play: p, t: t}
	check := func(args ...string) (out string, status int) {
		t.Helper()
		out, err := p.Gateway.Command(t.Context(), append([]string{"dcr", "check"}, args...)...)
		var exited *exec.ExitError
		if errors.As(err, &exited) {
			status = exited.ExitCode()
		} else if err != nil {
			t.Fatal(err, out)
		}
		return out, status
	}
	out, status := check("--config", "Caddyfile", "--live", "--json")
	begin, end := strings.Index(out, "["), strings.LastIndex(out, "]")
	var findings []struct{ Check, Severity, Found string }
	if err := json.Unmarshal([]byte(out[max(begin, 0):max(end+1, 0)]), &findings); err != nil {
		t.Fatal(err, out)
	}
	for _, f := range findings {
		// The test's store is in a temporary folder, and nothing else of it is wrong.
		if f.Severity == "error" && f.Check != "store-temporary" || strings.HasPrefix(f.Check, "as-") && f.Severity == "error" {
			t.Errorf("got %+v", f)
		}
	}
	if status != 1 {
		t.Errorf("got status %d, want 1 for %s", status, out)
	}
	if out, status := check("--confg", "x"); status != 2 || !strings.Contains(out, "unknown flag") {
		t.Errorf("got status %d, %s, want 2 for a wrong flag", status, out)
	}
	broken := edited(t, p.Caddyfile, gateway.Workspace("unknown_word"))
	if out, status := check("--config", x.write("Caddyfile.broken", broken), "--adapter", "caddyfile"); status != 1 || !strings.Contains(out, "configuration-loads") {
		t.Errorf("got status %d, %s, want 1 for a configuration that does not load", status, out)
	}
	x.prepares(nil)
	r, err := p.Client(p.Acme).Register(t.Context(), p.Register, x.token, x.body)
	answered(t, r, err, http.StatusCreated, "")
}
