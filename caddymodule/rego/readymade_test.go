package rego

import (
	"testing"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policycases"
)

// TestReadyMade: the policies of the documentation decide in Rego as their cases say, which are those of CEL.
func TestReadyMade(t *testing.T) {
	results, err := policycases.Run(t.Context(), "../../docs/policies")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Errorf("%s, %s: %v", r.Policy, r.Case, r.Err)
		}
	}
}
