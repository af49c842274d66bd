package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Rule is one row of the table: the claim it is about, where it comes from, how a
// TPP mends what it refuses, and the check, which also writes the outcome.
type Rule struct {
	Claim  string
	Clause string
	// Mend follows "; " where the text of the check does not say itself how to mend it.
	Mend  string
	check func(*evaluation) error
}

// MetadataRules is the rule table of DCR 3.2, RFC 7591 and FAPI. A new rule
// is a row and its check, with rows of refused requests in metadatarules_test.go. Then go test
// ./verify -update, the whole package, writes the texts that a TPP reads. A rule that registers
// a claim adds it to RegistrationNames too.
var MetadataRules = []Rule{
	{"client_id", "RFC 7592 2.2", "send the one of the address, or leave it out", checkClientID},
	{"software_id", "DCR 3.2 OBClientRegistration1", "send the statement's, or leave it out", checkSoftwareID},
	{"redirect_uris", "RFC 7591 2, FAPI 1 Baseline 5.2.2, RFC 6749 3.1.2", "send an array of https URIs of the software statement", checkRedirectURIs},
	{"token_endpoint_auth_method", "RFC 7591 2", "send one string", checkAuthMethod},
	{"token_endpoint_auth_signing_alg", "OpenID Registration 2", "send one string", checkAuthSigningAlg},
	{"grant_types", "RFC 7591 2", "send an array of strings", checkGrantTypes},
	{"response_types", "RFC 7591 2, FAPI 1 Advanced 5.2.2-2", "send an array of strings", checkResponseTypes},
	{"application_type", "OpenID Registration 2", "send one string", checkApplicationType},
	{"id_token_signed_response_alg", "OpenID Registration 2, FAPI 1 Advanced 8.6", "send one string", checkIDTokenAlg},
	{"request_object_signing_alg", "OpenID Registration 2, FAPI 1 Advanced 8.6", "send one string", checkRequestObjectAlg},
	{"scope", "RFC 7591 2", "send one string of scopes with a blank between two", checkScope},
	{"backchannel_token_delivery_mode", "CIBA Core 4, DCR 3.3", "send one string", checkBackchannelMode},
	{"backchannel_client_notification_endpoint", "CIBA Core 4, DCR 3.3", "send a public https URL", checkBackchannelEndpoint},
	{"backchannel_authentication_request_signing_alg", "CIBA Core 4, DCR 3.3", "send one string", checkBackchannelAlg},
	{"backchannel_user_code_parameter_supported", "CIBA Core 4, DCR 3.3", "send false, or leave it out", checkBackchannelUserCode},
	{"client_certificate", "DCR 3.2 Client Authentication", "connect with the transport certificate of the software", checkBinding},
	{"tls_client_auth_san_dns", "RFC 8705 2.1.2", "send one DNS name of the certificate", checkSAN("tls_client_auth_san_dns")},
	{"tls_client_auth_san_uri", "RFC 8705 2.1.2", "send one URI of the certificate", checkSAN("tls_client_auth_san_uri")},
	{"tls_client_auth_san_ip", "RFC 8705 2.1.2", "send one IP address of the certificate", checkSAN("tls_client_auth_san_ip")},
	{"tls_client_auth_san_email", "RFC 8705 2.1.2", "send one email address of the certificate", checkSAN("tls_client_auth_san_email")},
	{"tls_client_auth_subject_dn", "RFC 8705 2.1.2", "send the certificate's subject in RFC 4514 form (CN=...,O=...,C=GB), or leave the claim out", checkSubjectDN},
	{"software_statement", "RFC 7591 2.3", "ask for no more than the software statement does", checkStatementBinds},
}

func checkClientID(e *evaluation) error {
	if e.Registered == nil {
		return nil
	}
	id, ok, err := e.claims.String("client_id")
	if err != nil {
		return err
	}
	if ok && id != e.Registered.ClientID {
		return fmt.Errorf("%s is not the client of this address; leave it out", refusal.Quote(id))
	}
	return nil
}

func checkSoftwareID(e *evaluation) error {
	id, ok, err := e.claims.String("software_id")
	switch {
	case err != nil:
		return err
	case ok && id != e.ssa.SoftwareID:
		return fmt.Errorf("%s, but the software statement is for %s", refusal.Quote(id), refusal.Quote(e.ssa.SoftwareID))
	case e.Registered == nil:
		return nil
	case e.ssa.SoftwareID != e.Registered.SoftwareID:
		return fmt.Errorf("%s, but this client was registered for %s; register a new client", refusal.Quote(e.ssa.SoftwareID), refusal.Quote(e.Registered.SoftwareID))
	case e.ssa.OrgID != e.Registered.OrgID:
		return refusal.New(refusal.InvalidClientMetadata, "org_id", "org_id: %s, but this client was registered for %s; register a new client", refusal.Quote(e.ssa.OrgID), refusal.Quote(e.Registered.OrgID))
	}
	return nil
}

func checkAuthMethod(e *evaluation) (err error) {
	e.out.Metadata.TokenEndpointAuthMethod, err = requiredOneOf(e.claims, "token_endpoint_auth_method", e.Supported.AuthMethods)
	return err
}

// checkAuthSigningAlg takes for client_secret_jwt what it takes for others too: HS256 is
// none of the values that DCR 3.2 has, and clients name one of those and sign with HS256.
func checkAuthSigningAlg(e *evaluation) error {
	method, accepted := e.out.Metadata.TokenEndpointAuthMethod, e.Supported.AuthSigningAlgs
	if method == ClientSecretJWT {
		accepted = e.Supported.AssertionAlgs()
	}
	alg, ok, err := oneOf(e.claims, "token_endpoint_auth_signing_alg", accepted)
	if err != nil {
		return err
	}
	if !ok && strings.HasSuffix(method, "_jwt") {
		return fmt.Errorf("missing; %s needs one of %s", method, strings.Join(accepted, ", "))
	}
	e.out.Metadata.TokenEndpointSigningAlg = alg
	return nil
}

func checkGrantTypes(e *evaluation) error {
	list, ok, err := e.claims.Strings("grant_types")
	switch {
	case err != nil:
		return err
	case !ok || len(list) == 0:
		return fmt.Errorf("missing or empty; send some of %s", strings.Join(e.Supported.GrantTypes, ", "))
	}
	for _, g := range list {
		if !slices.Contains(e.Supported.GrantTypes, g) {
			return fmt.Errorf("%s is not accepted; send some of %s", refusal.Quote(g), strings.Join(e.Supported.GrantTypes, ", "))
		}
	}
	e.out.Metadata.GrantTypes = distinct(list)
	return nil
}

// checkResponseTypes checks them against the grants too (RFC 7591 2.1): each that is known
// here needs authorization_code, and that needs one.
func checkResponseTypes(e *evaluation) error {
	list, ok, err := e.claims.Strings("response_types")
	if err != nil {
		return err
	}
	accepted := e.Supported.ResponseTypes
	coded := slices.Contains(e.out.Metadata.GrantTypes, "authorization_code")
	if !ok && coded {
		list = accepted[:1]
	}
	out := make([]string, 0, len(list))
	for _, t := range list {
		word := sortWords(t)
		if coded && !slices.Contains(accepted, word) {
			return fmt.Errorf("%s is not accepted; send some of %s", refusal.Quote(t), refusal.QuoteEach(accepted, ", "))
		}
		out = append(out, word)
	}
	switch {
	case coded && len(out) == 0:
		return fmt.Errorf("empty, but grant_types has authorization_code; leave response_types out for %s, or take authorization_code out of grant_types", refusal.Quote(accepted[0]))
	case !coded && len(out) > 0:
		return fmt.Errorf("%s, but grant_types has no authorization_code; leave response_types out, or send the grant type too", refusal.Quote(strings.Join(list, ", ")))
	}
	e.out.Metadata.ResponseTypes = distinct(out)
	return nil
}

// sortWords brings a response type's words in alphabetical order, because their
// order does not matter (OAuth Multiple Response Types 2.1).
func sortWords(responseType string) string {
	words := strings.Fields(responseType)
	slices.Sort(words)
	return strings.Join(words, " ")
}

func checkApplicationType(e *evaluation) (err error) {
	e.out.Metadata.ApplicationType, err = e.expected("application_type", e.Supported.ApplicationTypes)
	return err
}

func checkIDTokenAlg(e *evaluation) (err error) {
	e.out.Metadata.IDTokenSigningAlg, err = requiredOneOf(e.claims, "id_token_signed_response_alg", e.Supported.IDTokenAlgs)
	return err
}

func checkRequestObjectAlg(e *evaluation) (err error) {
	e.out.Metadata.RequestObjectSigningAlg, err = e.expected("request_object_signing_alg", e.Supported.RequestObjectAlgs)
	return err
}

func checkScope(e *evaluation) error {
	allowed := []string{"openid"}
	if e.ssa.None && e.claims.Has("scope") { // nobody has given it a role
		allowed = append(allowed, e.Supported.Scopes...)
	}
	for _, role := range e.ssa.Roles {
		allowed = append(allowed, e.Supported.Roles[role]...)
	}
	allowed = distinct(slices.DeleteFunc(allowed, func(s string) bool { return !slices.Contains(e.Supported.Scopes, s) }))
	scope, ok, err := e.claims.String("scope")
	switch {
	case err != nil:
		return err
	case len(allowed) == 0:
		return errors.New("the software statement's software_roles allow none that this server has; register another role at the directory")
	case !ok:
		e.out.Metadata.Scope = strings.Join(allowed, " ")
		return nil
	}
	list := strings.Split(scope, " ")
	switch { // RFC 6749 3.3: one blank between values, and none elsewhere
	case scope == "":
		return fmt.Errorf("empty; leave it out for all that the software statement's software_roles allow, or send some of %s", refusal.Quote(strings.Join(allowed, " ")))
	case slices.Contains(list, ""):
		return fmt.Errorf("%s has a blank too many; put one between two values, and none at an end", refusal.Quote(scope))
	}
	for _, s := range list {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("%s is not covered by the software statement's software_roles; they allow %s", refusal.Quote(s), refusal.Quote(strings.Join(allowed, " ")))
		}
	}
	e.out.Metadata.Scope = strings.Join(distinct(list), " ")
	return nil
}

// oneOf reads a claim that, when it is there, must be in the list.
func oneOf(claims strictjson.Object, name string, list []string) (string, bool, error) {
	v, ok, err := claims.String(name)
	if err != nil {
		return "", ok, err
	}
	if ok && !slices.Contains(list, v) {
		return "", ok, fmt.Errorf("%s is not accepted; send one of %s", refusal.Quote(v), strings.Join(list, ", "))
	}
	return v, ok, nil
}

func requiredOneOf(claims strictjson.Object, name string, list []string) (string, error) {
	v, ok, err := oneOf(claims, name, list)
	if err == nil && !ok {
		err = fmt.Errorf("missing; send one of %s", strings.Join(list, ", "))
	}
	return v, err
}

// expected is requiredOneOf, but where the operator is lenient the first of the
// list stands for a claim that is absent.
func (e *evaluation) expected(name string, list []string) (string, error) {
	if e.Supported.Lenient.allows(name) && !e.claims.Has(name) {
		return list[0], nil
	}
	return requiredOneOf(e.claims, name, list)
}

// distinct keeps the first of equal values.
func distinct(list []string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
