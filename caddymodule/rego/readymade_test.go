package rego

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

// TestDocumentedPoliciesPassTheirCases: the policies of the documentation decide in Rego as their cases say, which are those of CEL.
func TestDocumentedPoliciesPassTheirCases(t *testing.T) {
	report, err := policycases.Run(t.Context(), "../../docs/policies")
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Results) == 0 || len(report.Faults) > 0 {
		t.Errorf("%d results, %v", len(report.Results), report.Faults)
	}
	for _, r := range report.Results {
		if r.Err != nil {
			t.Errorf("%s, %s: %v", r.Policy, r.Case, r.Err)
		}
	}
}
