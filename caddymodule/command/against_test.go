package command

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/admin"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// candidate asks a policy about what a server says is registered.
func candidate(t *testing.T, address, expression string) (string, error) {
	t.Helper()
	file := filepath.Join(files(t, map[string]string{"new.cel": expression}), "new.cel")
	return run(t, "test", "--policy", file, "--against", "registry", "--workspace", "w", "--address", address)
}

// TestAgainst: what cannot be decided is what reads what was not kept, and any other
// fault refuses.
func TestAgainst(t *testing.T) {
	registered := map[string][]admin.Registration{"entries": {
		{ClientID: "old", Input: &verify.PolicyInput{Workspace: "w"}},
		{ClientID: "new", Input: &verify.PolicyInput{Workspace: "w", Certificate: &verify.PolicyCertificate{QWAC: true}}},
	}}
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(registered); err != nil {
			t.Error(err)
		}
	}))
	defer gateway.Close()
	for name, tc := range map[string]struct{ expression, prints, fails string }{
		"all pass":    {`workspace == "w"`, "0 of 2 registrations would be refused, 0 cannot be decided\n", ""},
		"token":       {`token.client_id == "a"`, " (the policy reads token, and tokens are not kept)\n", "2 registrations cannot be decided"},
		"certificate": {`certificate.qwac`, " (the policy reads certificate, and that of this old registration was not kept)\n0 of 2 registrations would be refused, 1 cannot be decided\n", "1 registration cannot be decided"},
		"both":        {`!certificate.qwac`, "1 of 2 registrations would be refused, 1 cannot be decided\n", "1 registration would be refused, 1 registration cannot be decided"},
		"approval":    {`require_approval("new")`, ": new\n0 of 2 registrations would be refused, 0 cannot be decided, 2 would need an approval\n", ""},
		"claim":       {`ssa.x == 1`, "2 of 2 registrations would be refused, 0 cannot be decided\n", "2 registrations would be refused"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := candidate(t, strings.TrimPrefix(gateway.URL, "http://"), tc.expression)
			if (err != nil) != (tc.fails != "") || err != nil && err.Error() != tc.fails {
				t.Errorf("got %v, want %q", err, tc.fails)
			}
			if !strings.Contains(out, tc.prints) || name == "claim" && strings.Contains(out, "not kept") {
				t.Errorf("got %s, want %q", out, tc.prints)
			}
		})
	}
}

// TestAgainstIsPrintable: what a TPP, or who poses as the gateway, has chosen does not command the
// operator's terminal, and forges no line.
func TestAgainstIsPrintable(t *testing.T) {
	odd := "\x1b]52;c;x\a\u009b2J\u202e\n0 of 2 registrations would be refused"
	registered := map[string][]admin.Registration{"entries": {{ClientID: odd, SoftwareID: odd, OrgID: odd, ClientName: odd, Input: &verify.PolicyInput{Workspace: odd}}}}
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(registered); err != nil {
			t.Error(err)
		}
	}))
	defer gateway.Close()
	out, err := candidate(t, strings.TrimPrefix(gateway.URL, "http://"), `workspace == "x" ? allow() : deny(workspace)`)
	printed, _, _ := strings.Cut(out, "Error:")
	if err == nil || strings.ContainsAny(printed, "\x1b\a\u009b\u202e") || strings.Count(printed, "\n") != 2 {
		t.Errorf("got %q, %v; want two lines without control characters", out, err)
	}
}

// TestErrorsOfAdminAPIAreShown: what the admin API says is told, and where to look if it says nothing.
func TestErrorsOfAdminAPIAreShown(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		fails   string
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"not found: workspace \"w\"; there are default/obuk"}`, http.StatusNotFound)
		}, `the gateway says: not found: workspace "w"; there are default/obuk`},
		"no gateway": {http.NotFound, "answers with HTTP 404, and not as a gateway does"},
		"nobody":     {nil, " does not answer: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := closed
			if tc.handler != nil {
				server = httptest.NewServer(tc.handler)
				defer server.Close()
			}
			_, err := candidate(t, strings.TrimPrefix(server.URL, "http://"), `true`)
			if err == nil || !strings.Contains(err.Error(), tc.fails) || strings.Contains(err.Error(), "{") {
				t.Errorf("got %v, want %q", err, tc.fails)
			}
		})
	}
}
