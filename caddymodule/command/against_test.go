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
		"no gateway": {http.NotFound, "answers with HTTP 404, as if it was of no gateway with openbanking_dcr"},
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
