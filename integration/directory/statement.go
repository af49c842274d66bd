package directory

import (
	"maps"

	"github.com/google/uuid"
)

// Statement is the software statement (SSA) that the directory signs for the
// software, with one iat for all of them. overrides set claims; nil removes one (json.RawMessage("null")
// sets null). For a foreign signature sign StatementClaims with another Key.
func (s *Software) Statement(overrides map[string]any) (string, error) {
	return s.directory.Signing.Sign(s.StatementClaims(overrides), nil)
}

// StatementClaims are the claims of Statement, in the shape of the Open Banking
// directory's own: no exp, and null for what is not set.
func (s *Software) StatementClaims(overrides map[string]any) map[string]any {
	url := s.directory.URL
	authorisations := []map[string]any{{"member_state": "GB", "roles": s.Roles}}
	return merge(map[string]any{
		"iss": s.directory.Issuer,
		"iat": s.directory.issued.Unix(),
		"jti": uuid.NewString(),

		"software_environment":        "sandbox",
		"software_mode":               "Live",
		"software_id":                 s.SoftwareID,
		"software_client_id":          s.SoftwareID,
		"software_client_name":        s.SoftwareName,
		"software_client_description": s.SoftwareName + " of " + s.OrgName,
		"software_version":            "1.0",
		"software_client_uri":         "https://tpp.example",
		"software_redirect_uris":      s.RedirectURIs,
		"software_roles":              s.Roles,
		"software_logo_uri":           "https://tpp.example/logo.png",
		"software_policy_uri":         "https://tpp.example/policy",
		"software_tos_uri":            "https://tpp.example/terms",
		"software_on_behalf_of_org":   nil,

		"organisation_competent_authority_claims": map[string]any{
			"authority_id": "FCAGBR", "registration_id": "123456", "status": "Active", "authorisations": authorisations,
		},
		"org_status": "Active",
		"org_id":     s.OrgID,
		"org_name":   s.OrgName,
		"org_contacts": []map[string]any{
			{"name": "Technical", "email": "tech@tpp.example", "phone": "+441632960000", "type": "Technical"},
			{"name": "Business", "email": "business@tpp.example", "phone": "+441632960001", "type": "Business"},
		},

		"software_jwks_endpoint":         url + s.path(""),
		"software_jwks_revoked_endpoint": url + s.path("revoked/"),
		"org_jwks_endpoint":              url + s.orgPath(""),
		"org_jwks_revoked_endpoint":      url + s.orgPath("revoked/"),
	}, overrides)
}

// merge applies overrides: nil removes a claim.
func merge(claims, overrides map[string]any) map[string]any {
	out := maps.Clone(claims)
	for name, value := range overrides {
		if value == nil {
			delete(out, name)
			continue
		}
		out[name] = value
	}
	return out
}
