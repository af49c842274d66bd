package verify

import "slices"

// SupportedMetadata is what a registration may ask for: the operator's lists, cut down
// to what the AS can do. Discovery publishes exactly this, so that a TPP never
// reads there what it is then refused. The preferred value is first, because
// tools take the first.
type SupportedMetadata struct {
	// AuthMethods are token_endpoint_auth_method values, AuthSigningAlgs those of assertions
	// that a key signs.
	AuthMethods, AuthSigningAlgs []string
	GrantTypes                   []string
	// ResponseTypes have their words in alphabetical order. At least one, unless GrantTypes
	// lacks authorization_code.
	ResponseTypes                  []string
	IDTokenAlgs, RequestObjectAlgs []string
	// ApplicationTypes are application_type values. mobile and native are the same.
	ApplicationTypes []string
	// BackchannelModes and BackchannelAlgs are the values of CIBA's metadata. Default:
	// none, then its claims are unknown ones.
	BackchannelModes, BackchannelAlgs []string
	// SubjectNames are the claims of SubjectNames by which the AS can know a client
	// with tls_client_auth. Default: tls_client_auth_subject_dn.
	SubjectNames []string
	// SubjectDNPattern: tls_client_auth_subject_dn follows the pattern of DCR 3.4, unless
	// Lenient names the claim. Default: false.
	SubjectDNPattern bool
	// Lenient are the claims that a request may leave out. Default: none.
	Lenient Leniency
	// Scopes are all scopes that any role gives, cut down to what the AS supports. Roles has
	// those of each role, uncut: a scope must be in both.
	Scopes []string
	Roles  map[string][]string
}

// AssertionAlgs are the token_endpoint_auth_signing_alg values of all methods. HS256 is
// last: tools that take the first have a key to sign with.
func (a *SupportedMetadata) AssertionAlgs() []string {
	if !slices.Contains(a.AuthMethods, ClientSecretJWT) {
		return a.AuthSigningAlgs
	}
	return append(slices.Clip(a.AuthSigningAlgs), SecretAlgorithm)
}

// DefaultRoles are the scopes that each software_role gives. openid is always allowed.
var DefaultRoles = map[string][]string{
	"AISP":  {"accounts"},
	"PISP":  {"payments"},
	"CBPII": {"fundsconfirmations"},
}

// DefaultSupportedMetadata is what DCR v3.2 knows, before the operator and the AS are asked.
func DefaultSupportedMetadata() SupportedMetadata {
	return SupportedMetadata{
		AuthMethods:       []string{"tls_client_auth", "private_key_jwt"},
		AuthSigningAlgs:   DefaultAlgorithms,
		GrantTypes:        []string{"authorization_code", "client_credentials", "refresh_token"},
		ResponseTypes:     []string{"code id_token", "code"},
		IDTokenAlgs:       DefaultAlgorithms,
		RequestObjectAlgs: DefaultAlgorithms,
		ApplicationTypes:  []string{"web", "mobile", "native"},
		Scopes:            []string{"openid", "accounts", "payments", "fundsconfirmations"},
		SubjectNames:      SubjectNames[:1],
		Roles:             DefaultRoles,
	}
}
