package verify

import (
	"slices"
	"testing"
)

// An SSA claim that is copied into the answer must not pass for registration
// metadata, nor for an error or a token.
func TestShownStatementClaim(t *testing.T) {
	for name, want := range map[string]bool{
		"software_client_name": true, "software_roles": true, "org_name": true, "software_version": true, "software_redirect_uris": true, "org_id": true, "ob_registry_tos": true,
		"client_secret": false, "client_id": false, "client_secret_expires_at": false, "client_id_issued_at": false,
		"registration_access_token": false, "registration_client_uri": false, "registration_x": false,
		"scope": false, "scopes": false, "redirect_uris": false, "jwks": false, "jwks_uri": false, "software_statement": false,
		"tls_client_auth_subject_dn": false, "tls_client_auth_dn": false, "token_endpoint_auth_method": false,
		"error": false, "error_description": false, "error_uri": false, "errors": false,
		"iss": false, "iat": false, "exp": false, "nbf": false, "jti": false, "aud": false, "sub": false, "software_id": false,
	} {
		if got := ShownStatementClaim(name); got != want {
			t.Errorf("%s: shown is %v", name, got)
		}
	}
}

// Every claim of a rule, and every member of Metadata, is one that an SSA cannot fake.
func TestRegistrationNamesCoverTheRules(t *testing.T) {
	onlyChecked := []string{"client_certificate"} // rules that register no claim of their name
	for _, r := range MetadataRules {
		if ShownStatementClaim(r.Claim) && !slices.Contains(onlyChecked, r.Claim) {
			t.Errorf("%s: an answer shows the statement's claim of this name. If the rule registers it, add it to RegistrationNames; if the rule only checks it, add it to onlyChecked", r.Claim)
		}
	}
	for _, m := range objectOf(t, jsonOf(Metadata{
		TokenEndpointSigningAlg: "x", TLSClientAuthSubjectDN: "x", TLSClientAuthSANDNS: "x", TLSClientAuthSANURI: "x", TLSClientAuthSANIP: "x", TLSClientAuthSANEmail: "x",
		BackchannelMode: "x", BackchannelEndpoint: "x", BackchannelAlg: "x", BackchannelUserCode: new(bool),
	})).Members() {
		if ShownStatementClaim(m.Name) {
			t.Errorf("%s would be shown", m.Name)
		}
	}
}
