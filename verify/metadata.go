package verify

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// Metadata is what a client is registered with: the client metadata of RFC 7591
// 2, OpenID Connect Registration 2 and RFC 8705 2.1.2, after every rule has passed.
type Metadata struct {
	RedirectURIs            []string `json:"redirect_uris"`
	TokenEndpointAuthMethod string   `json:"token_endpoint_auth_method"`
	TokenEndpointSigningAlg string   `json:"token_endpoint_auth_signing_alg,omitempty"`
	GrantTypes              []string `json:"grant_types"`
	ResponseTypes           []string `json:"response_types"`
	ApplicationType         string   `json:"application_type"`
	IDTokenSigningAlg       string   `json:"id_token_signed_response_alg"`
	RequestObjectSigningAlg string   `json:"request_object_signing_alg"`
	Scope                   string   `json:"scope"`
	// TLSClientAuthSubjectDN is the DN as the TPP sent it, or, when it was captured from
	// the certificate or sent in another order, RFC 4514 text. Only with tls_client_auth.
	TLSClientAuthSubjectDN string `json:"tls_client_auth_subject_dn,omitempty"`
	// TLSClientAuthSAN* is the one name of the certificate that stands in for the DN
	// (RFC 8705 2.1.2). At most one of the five is set, only with tls_client_auth.
	TLSClientAuthSANDNS   string `json:"tls_client_auth_san_dns,omitempty"`
	TLSClientAuthSANURI   string `json:"tls_client_auth_san_uri,omitempty"`
	TLSClientAuthSANIP    string `json:"tls_client_auth_san_ip,omitempty"`
	TLSClientAuthSANEmail string `json:"tls_client_auth_san_email,omitempty"`
	// The metadata of CIBA (OpenID CIBA Core 4), only with its grant.
	BackchannelMode     string `json:"backchannel_token_delivery_mode,omitempty"`
	BackchannelEndpoint string `json:"backchannel_client_notification_endpoint,omitempty"`
	BackchannelAlg      string `json:"backchannel_authentication_request_signing_alg,omitempty"`
	BackchannelUserCode *bool  `json:"backchannel_user_code_parameter_supported,omitempty"`
}

// SAN is the subject alternative name that authenticates the client, under its
// claim; both are empty when it is none.
func (m *Metadata) SAN() (claim, value string) {
	for _, claim := range SubjectNames[1:] {
		if v := *m.san(claim); v != "" {
			return claim, v
		}
	}
	return "", ""
}

func (m *Metadata) san(claim string) *string {
	switch claim {
	case "tls_client_auth_san_dns":
		return &m.TLSClientAuthSANDNS
	case "tls_client_auth_san_uri":
		return &m.TLSClientAuthSANURI
	case "tls_client_auth_san_ip":
		return &m.TLSClientAuthSANIP
	}
	return &m.TLSClientAuthSANEmail
}

// Registered is what is already known of the client that a PUT changes.
type Registered struct {
	ClientID, SoftwareID, OrgID string
}

// MetadataInput is everything that the metadata rules look at.
type MetadataInput struct {
	Request *Request
	// Certificate is the transport certificate, nil when that protection is off.
	Certificate *Certificate
	Supported   SupportedMetadata
	// Bind are the BindingForms that tie the certificate to the statement. Default: none.
	Bind []string
	// Registered is the client of a PUT, nil for a POST.
	Registered *Registered
	// Trust gives what the site verifies client certificates with, or why that is not
	// known. It is asked when a certificate of the software's JWKS is to count. Default:
	// nil, none does.
	Trust func() (*TransportTrust, error)
	// Now is the time that such a certificate must be valid at.
	Now time.Time
}

// Checked is the outcome of the metadata rules.
type Checked struct {
	Metadata Metadata
	// Subject is the DN that authenticates the client with tls_client_auth,
	// RawSubject its DER where a certificate with it was seen.
	Subject    dn.Name
	RawSubject []byte
	// SubjectFrom is the NotBefore of that certificate.
	SubjectFrom time.Time
}

// evaluation is the state that the rows of the table share: what was read so
// far, and the outcome.
type evaluation struct {
	context.Context
	MetadataInput
	claims strictjson.Object
	ssa    *SoftwareStatement
	out    Checked
}

// CheckMetadata applies the rule table, in its order; the first broken rule is told.
//
// Errors: InvalidClientMetadata, InvalidRedirectURI, InvalidSoftwareStatement, Unavailable.
func CheckMetadata(ctx context.Context, in MetadataInput) (*Checked, error) {
	e := &evaluation{Context: ctx, MetadataInput: in, claims: in.Request.Claims, ssa: in.Request.Statement}
	checks := trace.FromContext(ctx)
	for _, rule := range MetadataRules {
		checks.BeginWith("metadata", rule.Claim, rule.Clause, func() any { return e.looksAt(rule) })
		if err := rule.check(e); err != nil {
			return nil, e.refusal(rule, err)
		}
	}
	return &e.out, nil
}

// looksAt is what a row reads, for a trace.
func (e *evaluation) looksAt(rule Rule) any {
	switch rule.Claim {
	case "software_statement": // whatever it holds of RegistrationNames; it was shown before
		return nil
	case "client_certificate":
		if len(e.Bind) == 0 {
			return nil
		}
		return e.Bind
	case "tls_client_auth_subject_dn":
		return e.claims.Only("tls_client_auth_subject_dn", "tls_client_auth_dn")
	}
	return e.claims.Raw(rule.Claim)
}

// refusal completes a row's error: rows that need no other kind or wording
// return a plain error whose text goes on after the claim's name.
func (e *evaluation) refusal(rule Rule, err error) error {
	if full, ok := err.(*refusal.Error); ok {
		if full.Rule == "" {
			full.Rule = rule.Claim
		}
		return full
	}
	return refusal.New(refusal.InvalidClientMetadata, rule.Claim, "%s: %s", rule.Claim, refusal.Advise(err, rule.Mend))
}

// RegistrationNames are the metadata of RFC 7591 2 and 3.2.1, RFC 7592 3, RFC
// 8705 and OpenID Connect that an SSA's claim must not fake in an answer.
var RegistrationNames = []string{
	"redirect_uris", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "grant_types", "response_types",
	"client_name", "client_uri", "logo_uri", "scope", "contacts", "tos_uri", "policy_uri", "jwks_uri", "jwks",
	"software_statement", "application_type", "id_token_signed_response_alg", "id_token_encrypted_response_alg",
	"id_token_encrypted_response_enc", "request_object_signing_alg", "request_object_encryption_alg",
	"request_object_encryption_enc", "userinfo_signed_response_alg", "sector_identifier_uri", "subject_type",
	"default_max_age", "require_auth_time", "default_acr_values", "initiate_login_uri", "request_uris",
	"tls_client_auth_subject_dn", "tls_client_auth_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri",
	"tls_client_auth_san_ip", "tls_client_auth_san_email", "tls_client_certificate_bound_access_tokens",
	"backchannel_token_delivery_mode", "backchannel_client_notification_endpoint",
	"backchannel_authentication_request_signing_alg", "backchannel_user_code_parameter_supported",
	"client_id", "client_secret", "client_id_issued_at", "client_secret_expires_at",
}

// ShownStatementClaim tells whether an SSA claim is copied to the top level of an
// answer: never one that would be taken for registration metadata or for the
// answer itself.
func ShownStatementClaim(name string) bool {
	switch name {
	case "scopes", "iss", "iat", "exp", "nbf", "jti", "aud", "sub", "software_id":
		return false
	}
	return !strings.HasPrefix(name, "error") && !strings.HasPrefix(name, "registration_") && !slices.Contains(RegistrationNames, name)
}
