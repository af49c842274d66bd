package caddymodule

import (
	"slices"
	"testing"
)

// What the rules offer names each scope once, openid first, whatever the roles list.
func TestRoles(t *testing.T) {
	r := RegistrationRules{
		Roles: map[string][]string{"AISP": {"openid", "accounts"}, "PISP": {"payments", "accounts", "openid"}},
	}
	a, err := r.provisionRegistration()
	if err != nil || !slices.Equal(a.Scopes, []string{"openid", "accounts", "payments"}) {
		t.Errorf("scopes %q, %v", a.Scopes, err)
	}
}
