package caddymodule

import (
	"slices"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// What the rules offer names each scope once, openid first, whatever the roles list.
func TestRoles(t *testing.T) {
	r := RegistrationRules{
		Roles: map[string][]string{"AISP": {"openid", "accounts"}, "PISP": {"payments", "accounts", "openid"}},
	}
	a, err := r.provisionSupportedMetadata()
	if err != nil || !slices.Equal(a.Scopes, []string{"openid", "accounts", "payments"}) {
		t.Errorf("got the scopes %q, %v, want openid, accounts, payments", a.Scopes, err)
	}
}

// The operator's words stay as written: Caddy shows the configuration.
func TestDNMatchWords(t *testing.T) {
	r := RegistrationRules{DNMatch: []string{"organizationIdentifier", "2.5.4.3"}}
	if _, err := r.provisionSupportedMetadata(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.DNMatch, []string{"organizationIdentifier", "2.5.4.3"}) || !slices.Equal(r.match.Attributes, []string{dn.OrganizationIdentifier, "2.5.4.3"}) {
		t.Errorf("written %q, understood %q", r.DNMatch, r.match.Attributes)
	}
}
