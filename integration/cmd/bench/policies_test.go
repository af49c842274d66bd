package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
	"github.com/caddy-dcr/caddy-dcr/integration/checkout"
)

// TestPoliciesAreEqual: what is measured is the same twenty conditions in each language.
func TestPoliciesAreEqual(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, text []byte) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{"input.json": "docs/policies/input.json",
		"policy.cel": "integration/cmd/bench/policies/twenty.cel", "policy.rego": "integration/cmd/bench/policies/twenty.rego"} {
		text, err := os.ReadFile(filepath.Join(checkout.Root(), from))
		if err != nil {
			t.Fatal(err)
		}
		write(to, text)
	}
	const allowed, denied, fault = `"allowed": true`, `"allowed": false`, `"allowed": false, "fault": true`
	cases := []struct{ change, want string }{
		{`{}`, allowed},
		{`{"operation": "update"}`, allowed},
		{`{"ssa": {"software_environment": "sandbox", "software_roles": ["PISP", "CBPII"]}}`, allowed},
		{`{"ssa": {"software_roles": []}}`, allowed},
		{`{"ssa": {"organisation_competent_authority_claims": {"authorisations": [{"member_state": "IE"}, {"member_state": "GB"}]}}}`, allowed},
		{`{"ssa": {"organisation_competent_authority_claims": {"authorisations": [{}, {"member_state": "GB"}]}}}`, allowed},
		{`{"registration": {"token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"]}}`, allowed},
		{`{"certificate": {"organization_identifier": "PSDIE-CBI-1", "not_after": "2026-03-02T12:00:01Z"}}`, allowed},

		{`{"operation": "delete"}`, denied},
		{`{"workspace": "default/other"}`, denied},
		{`{"ssa": {"org_status": "Revoked"}}`, denied},
		{`{"ssa": {"software_mode": "Test"}}`, denied},
		{`{"ssa": {"software_environment": "test"}}`, denied},
		{`{"ssa": {"software_roles": ["AISP", "ASPSP"]}}`, denied},
		{`{"ssa": {"software_client_name": ""}}`, denied},
		{`{"ssa": {"iss": "Other"}}`, denied},
		{`{"ssa": {"organisation_competent_authority_claims": {"authority_id": "CBI"}}}`, denied},
		{`{"ssa": {"organisation_competent_authority_claims": {"status": "Revoked"}}}`, denied},
		{`{"ssa": {"organisation_competent_authority_claims": {"authorisations": [{"member_state": "IE"}]}}}`, denied},
		{`{"ssa": {"organisation_competent_authority_claims": {"authorisations": []}}}`, denied},
		{`{"ssa": {"software_on_behalf_of_org": "another"}}`, denied},
		{`{"certificate": {"organization_identifier": "PSDFR-ACPR-1"}}`, denied},
		{`{"certificate": {"subject": "CN=x,C=FR"}}`, denied},
		{`{"certificate": {"not_after": "2026-03-02T12:00:00Z"}}`, denied},
		{`{"registration": {"token_endpoint_auth_method": "client_secret_basic"}}`, denied},
		{`{"registration": {"grant_types": ["authorization_code"]}}`, denied},
		{`{"registration": {"request_object_signing_alg": "ES256"}}`, denied},
		{`{"request": {"iss": "another"}}`, denied},
		{`{"request": {"exp": 1772369991}}`, denied},

		{`{"ssa": {"org_status": null}}`, fault},
		{`{"ssa": {"software_roles": null}}`, fault},
		{`{"ssa": {"organisation_competent_authority_claims": {"authority_id": null}}}`, fault},
		{`{"request": {"exp": null}}`, fault},
		{`{"certificate": null}`, fault},
	}
	for i, c := range cases {
		write(fmt.Sprintf("cases/%02d.json", i), fmt.Appendf(nil, `{"base": "../input.json", "change": %s, "want": {%s}}`, c.change, c.want))
	}
	report, err := policycases.Run(t.Context(), folder)
	if err != nil || len(report.Results) != 2*len(cases) || len(report.Faults) > 0 {
		t.Fatalf("got %+v, %v, want %d results and no faults", report, err, 2*len(cases))
	}
	for i, r := range report.Results {
		if r.Err != nil {
			t.Errorf("%s, %s: %v", filepath.Base(r.Policy), cases[i%len(cases)].change, r.Err)
		}
	}
}
