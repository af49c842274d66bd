package authserver

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// refusal is the AS's no to metadata, told to the TPP in the gateway's words (describe);
// or the AS's no to us, which is not the TPP's fault.
func (s *Server) refusal(res *reply) error {
	if res.Status < 400 || res.Status == http.StatusUnauthorized || res.Status == http.StatusForbidden || res.Status == http.StatusTooManyRequests || res.Status >= 500 {
		return unexpected(res)
	}
	code, _ := oauthError(res)
	cause := errors.New(words(res))
	switch code {
	case "invalid_redirect_uri":
		return refusal.New(refusal.InvalidRedirectURI, "authorization_server", "the authorization server refuses the redirect URIs%s; register others, or ask the bank", s.describe(res)).Because(cause)
	case "invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement", "invalid_request", "invalid_scope":
		return refusal.New(refusal.InvalidClientMetadata, "authorization_server", "the authorization server refuses the client metadata%s; register others, or ask the bank", s.describe(res)).Because(cause)
	}
	return unexpected(res)
}

// describe goes on after what the AS refuses. The AS's own words tell of what is around
// it (hosts, files, classes), so that a TPP is told only which client metadata they name,
// and the log has the words; with as_errors pass the TPP has them too, cut and cleaned.
func (s *Server) describe(res *reply) string {
	if s.PassErrors {
		return " (" + withoutAddresses(res) + ")"
	}
	if names := named(res); len(names) > 0 {
		return " (it names " + strings.Join(names, ", ") + ")"
	}
	return ""
}

// maxNamed is how many names a TPP is told.
const maxNamed = 8

// token is what is read as one word: a name within a path, a host name or a class name
// is not the name.
var token = regexp.MustCompile(`[A-Za-z0-9_]+(?:[./-]+[A-Za-z0-9_]+)*`)

// named are the client metadata that a refusal is about, as its code or its text names
// them: of a fixed list, so that nothing of the text is repeated.
func named(res *reply) (names []string) {
	code, description := oauthError(res)
	switch code {
	case "invalid_scope":
		names = append(names, "scope")
	case "invalid_software_statement", "unapproved_software_statement":
		names = append(names, "software_statement")
	}
	for _, word := range token.FindAllString(description, -1) {
		if i := slices.Index(metadataNames, word); i >= 0 && !slices.Contains(names, metadataNames[i]) {
			names = append(names, metadataNames[i])
		}
		if len(names) == maxNamed {
			break
		}
	}
	return names
}

// metadataNames are the client metadata of RFC 7591 2, and those of OpenID Connect
// Registration 2, RFC 8705 2.1.2 and 3.4, and CIBA 4 that the gateway sends.
var metadataNames = []string{
	"redirect_uris", "token_endpoint_auth_method", "grant_types", "response_types", "client_name", "client_uri", "logo_uri",
	"scope", "contacts", "tos_uri", "policy_uri", "jwks_uri", "jwks", "software_id", "software_version", "software_statement",
	"application_type", "id_token_signed_response_alg", "request_object_signing_alg", "token_endpoint_auth_signing_alg",
	"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email",
	"tls_client_certificate_bound_access_tokens",
	"backchannel_token_delivery_mode", "backchannel_client_notification_endpoint", "backchannel_authentication_request_signing_alg",
	"backchannel_user_code_parameter_supported",
}

// networkAddress finds IP addresses, and hosts with a port.
var networkAddress = regexp.MustCompile(`(?i)\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b|[0-9a-f:]*::[0-9a-f:.]*|(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}|\b(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+):\d{2,5}\b`)

// withoutAddresses are the AS's words for a TPP. Which addresses an AS has around it, and what comes
// after a line end, a stack mostly, is for the log alone.
func withoutAddresses(res *reply) string {
	text, _, _ := strings.Cut(words(res), "\n")
	return networkAddress.ReplaceAllString(text, "***")
}
