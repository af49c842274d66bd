package caddymodule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// RegistrationRules is what a workspace demands of a registration, beside the
// protections. The zero value is the strict one.
type RegistrationRules struct {
	// Version of the DCR specification: 3.1, 3.2, 3.3 (CIBA) or 3.4 (jwt-bearer). It
	// chooses the default register path, the grant and application types, the form of a
	// DN and the media type that refusals name. Default: 3.2.
	Version verify.Version `json:"version,omitempty"`

	// Lenient are claims that a request may leave out, or write otherwise, as
	// verify.Leniency has them.
	// Default: none.
	Lenient verify.Leniency `json:"lenient,omitempty"`

	// MaxLifetime is the largest time between iat and exp of a request. Default: 24h.
	MaxLifetime caddy.Duration `json:"max_lifetime,omitempty"`

	// IssuerClaim is the statement's claim that iss must equal. Default: software_id.
	IssuerClaim string `json:"issuer_claim,omitempty"`

	// Algorithms may sign requests, and be registered for id tokens, request objects
	// and assertions; the preferred one first. Default: PS256, ES256.
	Algorithms []string `json:"algorithms,omitempty"`

	// AuthMethods are the token_endpoint_auth_method values, the preferred one first: those
	// of the default, and client_secret_basic, client_secret_post and client_secret_jwt, with
	// secrets that the gateway gives out and checks, and that it warns of, because FAPI 1
	// Advanced has none. Default: tls_client_auth, private_key_jwt.
	AuthMethods []string `json:"token_endpoint_auth_methods,omitempty"`

	// BindCertificate ties the client certificate to the software statement, in each
	// of these forms: ssa_jwks, common_name, organization_identifier (see
	// verify.BindCertificate). Default: none.
	BindCertificate []string `json:"bind_certificate,omitempty"`

	// DNMatch are the attribute types, as dotted OIDs or names, in which the DN of a
	// presented certificate must equal the registered one; see dn.Match for
	// what that gives away. Default: none, the whole DN counts.
	DNMatch []string `json:"dn_match,omitempty"`

	// Roles are the scopes that each software_role gives. openid is always allowed.
	// Default: AISP accounts, PISP payments, CBPII fundsconfirmations.
	Roles map[string][]string `json:"roles,omitempty"`

	// StatementRollback "allow" accepts a software statement that is older than the newest
	// one with which a client of its software was registered or updated. Default: refused.
	StatementRollback string `json:"statement_rollback,omitempty"`

	match dn.Match // of DNMatch
}

// provisionSupportedMetadata checks the rules and makes what a registration may ask
// for of them.
func (r *RegistrationRules) provisionSupportedMetadata() (verify.SupportedMetadata, error) {
	if r.Version == "" {
		r.Version = verify.DefaultVersion
	}
	a := r.Version.SupportedMetadata()
	switch {
	case !slices.Contains(verify.Versions, r.Version):
		return a, fmt.Errorf("version %q: must be one of %q", r.Version, verify.Versions)
	case r.MaxLifetime < 0:
		return a, errors.New("max_lifetime: must be positive")
	case r.StatementRollback != "" && r.StatementRollback != "allow":
		return a, fmt.Errorf("statement_rollback %q: must be allow, or left out", r.StatementRollback)
	}
	if err := subset("lenient", r.Lenient, verify.LenientClaims); err != nil {
		return a, err
	}
	if err := subset("bind_certificate", r.BindCertificate, verify.BindingForms); err != nil {
		return a, err
	}
	for _, name := range r.DNMatch {
		oid, err := dn.ParseAttributeType(name)
		if err != nil {
			return a, fmt.Errorf("dn_match: %w", err)
		}
		r.match.Attributes = append(r.match.Attributes, oid)
	}
	if err := subset("algorithms", r.Algorithms, verify.SupportedAlgorithms); err != nil {
		return a, err
	}
	if err := subset("token_endpoint_auth_methods", r.AuthMethods, append(a.AuthMethods, verify.SecretMethods...)); err != nil {
		return a, err
	}
	a.Lenient = r.Lenient
	if len(r.AuthMethods) > 0 {
		a.AuthMethods = r.AuthMethods
	}
	if len(r.Algorithms) > 0 {
		a.AuthSigningAlgs, a.IDTokenAlgs, a.RequestObjectAlgs = r.Algorithms, r.Algorithms, r.Algorithms
		if len(a.BackchannelAlgs) > 0 {
			a.BackchannelAlgs = r.Algorithms
		}
	}
	if len(r.Roles) == 0 {
		return a, nil
	}
	a.Roles, a.Scopes = r.Roles, []string{"openid"}
	for role, scopes := range r.Roles {
		if role == "" || len(scopes) == 0 || slices.Contains(scopes, verify.ScopeRegister) {
			return a, fmt.Errorf("role %q: must have scopes, and must not have %s", role, verify.ScopeRegister)
		}
		for _, scope := range scopes {
			if !slices.Contains(a.Scopes, scope) {
				a.Scopes = append(a.Scopes, scope)
			}
		}
	}
	slices.Sort(a.Scopes[1:]) // a map has no order
	return a, nil
}

func subset(name string, list, of []string) error {
	for _, v := range list {
		if !slices.Contains(of, v) {
			return fmt.Errorf("%s %q: must be some of %q", name, v, of)
		}
	}
	return nil
}
