package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestGuardLogFields: a request at the token endpoint is found by its support code, with
// who sent it: what was refused in the gateway's own log and the access log, what the AS
// has answered in the access log, and at level debug in the own one.
func TestGuardLogFields(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, _ := registered(t, p)
	reload(t, p, accessLog(siteOf(p)), gateway.GlobalOptions("log {", "\tlevel DEBUG", "}"))
	assertion, err := p.Acme.Assertion(id, p.Issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{"client_id": id, "software_id": p.Acme.SoftwareID, "org_id": p.Acme.OrgID, "certificate": "*"}
	nobody := map[string]string{"client_id": "<nil>", "software_id": "<nil>", "presented_client_id": "nobody", "certificate": "*"}
	for i, c := range []struct {
		name   string
		as     int // whose certificate: Acme's, Other's
		form   string
		status int
		own    bool // it has a line of the gateway's own
		want   []map[string]string
	}{
		{"served", 0, "client_id=" + id, 200, true, []map[string]string{of, {"outcome": "passed"}}},
		{"served again", 0, "client_id=" + id, 200, true, []map[string]string{of, {"outcome": "passed"}}},
		{"another certificate", 1, "client_id=" + id, 401, true, []map[string]string{of, {"outcome": "refused", "error": "invalid_client", "rule": "client_authentication"}}},
		{"another method", 0, "client_id=" + id + "&client_assertion=" + assertion, 401, true, []map[string]string{of, {"outcome": "refused", "kid": p.Acme.Signing.ID}}},
		{"nobody's client", 0, "client_id=nobody", 401, false, []map[string]string{nobody, {"outcome": "passed"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := p.Client(p.Acme)
			if c.as == 1 {
				client = p.Client(p.Other)
			}
			code := fmt.Sprintf("5f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e%02d", i)
			r, err := client.Do(t.Context(), http.MethodPost, p.Endpoint("token_endpoint"), http.Header{
				"Content-Type": {"application/x-www-form-urlencoded"}, "X-Fapi-Interaction-Id": {code},
			}, []byte("grant_type=client_credentials&scope=&"+c.form))
			if err != nil || r.Status != c.status {
				t.Fatalf("%v, %v, want %d", r, err, c.status)
			}
			own := map[string]string{"support_code": code, "logger": "http.handlers.openbanking_dcr", "outcome": "*"}
			access := map[string]string{"dcr_support_code": code, "msg": "handled request"}
			for _, fields := range c.want {
				for name, value := range fields {
					own[name], access["dcr_"+name] = value, value
				}
			}
			if err := story.Eventually(t.Context(), 10*time.Second, func() error { return logged(p, access) }); err != nil {
				t.Error(err)
			}
			if err := logged(p, own); (err == nil) != c.own {
				t.Errorf("the gateway's own line: %v", err)
			}
		})
	}
}
