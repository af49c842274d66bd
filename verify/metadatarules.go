package verify

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Rule is one row of the table: the claim it is about, where it comes from, and
// the check, which also writes the outcome.
type Rule struct {
	Claim  string
	Clause string
	check  func(*evaluation) error
}

// MetadataRules is the rule table of protocol section 4. A new rule is one line.
var MetadataRules = []Rule{
	{"client_id", "RFC 7592 2.2", checkClientID},
	{"software_id", "DCR 3.2 OBClientRegistration1", checkSoftwareID},
	{"redirect_uris", "RFC 7591 2, FAPI 1 Advanced 5.2.2, RFC 6749 3.1.2", checkRedirectURIs},
	{"token_endpoint_auth_method", "RFC 7591 2", checkAuthMethod},
	{"token_endpoint_auth_signing_alg", "OpenID Registration 2", checkAuthSigningAlg},
	{"grant_types", "RFC 7591 2", checkGrantTypes},
	{"response_types", "RFC 7591 2, FAPI 1 Advanced 5.2.2-2", checkResponseTypes},
	{"application_type", "OpenID Registration 2", checkApplicationType},
	{"id_token_signed_response_alg", "OpenID Registration 2, FAPI 1 Advanced 8.6", checkIDTokenAlg},
	{"request_object_signing_alg", "OpenID Registration 2, FAPI 1 Advanced 8.6", checkRequestObjectAlg},
	{"scope", "RFC 7591 2", checkScope},
	{"tls_client_auth_subject_dn", "RFC 8705 2.1.2", checkSubjectDN},
	{"software_statement", "RFC 7591 2.3", checkStatementBinds},
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
		return fmt.Errorf("%s is not the client of this address; leave it out", Quote(id))
	}
	return nil
}

func checkSoftwareID(e *evaluation) error {
	id, ok, err := e.claims.String("software_id")
	switch {
	case err != nil:
		return err
	case ok && id != e.ssa.SoftwareID:
		return fmt.Errorf("%s, but the software statement is for %s", Quote(id), Quote(e.ssa.SoftwareID))
	case e.Registered == nil:
		return nil
	case e.ssa.SoftwareID != e.Registered.SoftwareID:
		return fmt.Errorf("%s, but this client was registered for %s; register a new client", Quote(e.ssa.SoftwareID), Quote(e.Registered.SoftwareID))
	case e.ssa.OrgID != e.Registered.OrgID:
		return Refuse(InvalidClientMetadata, "org_id", "org_id: %s, but this client was registered for %s", Quote(e.ssa.OrgID), Quote(e.Registered.OrgID))
	}
	return nil
}

// maxRedirectURI is the length of a redirect URI (DCR 3.2).
const maxRedirectURI = 256

func checkRedirectURIs(e *evaluation) error {
	refuse := func(format string, args ...any) error {
		return Refuse(InvalidRedirectURI, "redirect_uris", "redirect_uris: "+format, args...)
	}
	if len(e.ssa.RedirectURIs) == 0 {
		return refuse("the software statement has no software_redirect_uris; register them at the directory and get a new statement")
	}
	list, ok, err := e.claims.Strings("redirect_uris")
	switch {
	case err != nil:
		return refuse("%w", err)
	case !ok:
		list = e.ssa.RedirectURIs
	case len(list) == 0:
		return refuse("empty; send at least one of the software statement's, or leave the claim out")
	}
	for _, uri := range list {
		if err := acceptableRedirect(uri); err != nil {
			return refuse("%s %w", Quote(uri), err)
		}
		if !slices.Contains(e.ssa.RedirectURIs, uri) {
			return refuse("%s is not in the software statement's software_redirect_uris, which must hold it exactly", Quote(uri))
		}
	}
	e.out.Metadata.RedirectURIs = list
	return nil
}

func acceptableRedirect(uri string) error {
	if len(uri) > maxRedirectURI {
		return fmt.Errorf("is longer than %d characters", maxRedirectURI)
	}
	for i := range len(uri) {
		if c := uri[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte(`\"<>^{|}`+"`*", c) >= 0 {
			return errors.New("has a character that a URI cannot have, or a wildcard")
		}
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return errors.New("is not an absolute URI")
	case u.Scheme != "https":
		return errors.New("does not use https")
	case strings.Contains(uri, "#"):
		return errors.New("has a fragment")
	case u.User != nil:
		return errors.New("has user information")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	// Escaped in the URI, and a browser's IDNA may make localhost or digits of it.
	if strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		return errors.New("is not an absolute URI, because its host is not ASCII")
	}
	label := host[strings.LastIndexByte(host, '.')+1:]
	if host == "localhost" || label == "localhost" {
		return errors.New("points to localhost")
	}
	// A last label of digits is an IPv4 address for browsers, whatever its form (0x7f.1, 2130706433).
	numeric := label == "" || label[0] >= '0' && label[0] <= '9' && (strings.Trim(label, "0123456789") == "" || strings.HasPrefix(label, "0x"))
	if _, err := netip.ParseAddr(host); err == nil || numeric {
		return errors.New("has an IP address for a host")
	}
	return nil
}

func checkAuthMethod(e *evaluation) (err error) {
	e.out.Metadata.TokenEndpointAuthMethod, err = requiredOneOf(e.claims, "token_endpoint_auth_method", e.Acceptable.AuthMethods)
	return err
}

func checkAuthSigningAlg(e *evaluation) error {
	alg, ok, err := oneOf(e.claims, "token_endpoint_auth_signing_alg", e.Acceptable.AuthSigningAlgs)
	if err != nil {
		return err
	}
	method := e.out.Metadata.TokenEndpointAuthMethod
	if !ok && strings.HasSuffix(method, "_jwt") {
		return fmt.Errorf("missing; %s needs one of %s", method, strings.Join(e.Acceptable.AuthSigningAlgs, ", "))
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
		return fmt.Errorf("missing or empty; send some of %s", strings.Join(e.Acceptable.GrantTypes, ", "))
	}
	for _, g := range list {
		if !slices.Contains(e.Acceptable.GrantTypes, g) {
			return fmt.Errorf("%s is not accepted; send some of %s", Quote(g), strings.Join(e.Acceptable.GrantTypes, ", "))
		}
	}
	e.out.Metadata.GrantTypes = distinct(list)
	return nil
}

func checkResponseTypes(e *evaluation) error {
	list, ok, err := e.claims.Strings("response_types")
	switch {
	case err != nil:
		return err
	case !ok:
		list = e.Acceptable.ResponseTypes[:1]
	case len(list) == 0:
		return errors.New("empty; leave the claim out for the default")
	}
	out := make([]string, 0, len(list))
	for _, t := range list {
		word := sortWords(t)
		if !slices.Contains(e.Acceptable.ResponseTypes, word) {
			return fmt.Errorf("%s is not accepted; send some of %s", Quote(t), Quote(strings.Join(e.Acceptable.ResponseTypes, ", ")))
		}
		out = append(out, word)
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
	e.out.Metadata.ApplicationType, err = requiredOneOf(e.claims, "application_type", []string{"web", "mobile", "native"})
	return err
}

func checkIDTokenAlg(e *evaluation) (err error) {
	e.out.Metadata.IDTokenSigningAlg, err = requiredOneOf(e.claims, "id_token_signed_response_alg", e.Acceptable.IDTokenAlgs)
	return err
}

func checkRequestObjectAlg(e *evaluation) (err error) {
	e.out.Metadata.RequestObjectSigningAlg, err = requiredOneOf(e.claims, "request_object_signing_alg", e.Acceptable.RequestObjectAlgs)
	return err
}

func checkScope(e *evaluation) error {
	allowed := []string{"openid"}
	for _, role := range e.ssa.Roles {
		allowed = append(allowed, e.Acceptable.Roles[role]...)
	}
	allowed = distinct(slices.DeleteFunc(allowed, func(s string) bool { return !slices.Contains(e.Acceptable.Scopes, s) }))
	scope, ok, err := e.claims.String("scope")
	switch {
	case err != nil:
		return err
	case len(allowed) == 0:
		return errors.New("the software statement's software_roles allow none that this server has")
	case !ok:
		e.out.Metadata.Scope = strings.Join(allowed, " ")
		return nil
	}
	list := strings.Split(scope, " ")
	for _, s := range list {
		if !slices.Contains(allowed, s) {
			return fmt.Errorf("%s is not covered by the software statement's software_roles; they allow %s", Quote(s), Quote(strings.Join(allowed, " ")))
		}
	}
	e.out.Metadata.Scope = strings.Join(distinct(list), " ")
	return nil
}

// checkSubjectDN settles the DN that will authenticate the client. It must be
// that of a certificate that the software has shown to be its own: the one of
// this connection, or one that its verified JWKS names for TLS.
func checkSubjectDN(e *evaluation) error {
	text, err := claimedDN(e.claims)
	if err != nil {
		return err
	}
	if e.out.Metadata.TokenEndpointAuthMethod != "tls_client_auth" {
		if text != "" {
			return errors.New("only goes with token_endpoint_auth_method tls_client_auth; leave it out")
		}
		return nil
	}
	if text == "" {
		if e.Certificate == nil {
			return errors.New("missing; send the subject of the transport certificate")
		}
		if len(e.Certificate.Subject) == 0 { // it would equal nothing, ever
			return errors.New("missing, and the transport certificate has an empty subject; use another certificate")
		}
		e.settle(e.Certificate.Subject.String(), e.Certificate.Subject, e.Certificate.Leaf.RawSubject)
		return nil
	}
	name, err := ParseDN(text)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", Quote(text), err)
	}
	if e.Certificate == nil {
		e.settle(text, name, nil)
		return nil
	}
	if name.Equal(e.Certificate.Subject) {
		e.settle(text, e.Certificate.Subject, e.Certificate.Leaf.RawSubject)
		return nil
	}
	keys, err := e.Request.Keys.Keys(e)
	if err != nil {
		return unavailableKeys(err)
	}
	for _, k := range keys {
		if k.Use != "tls" || len(k.Certificates) == 0 {
			continue
		}
		leaf, err := x509.ParseCertificate(k.Certificates[0])
		if err != nil {
			continue
		}
		if subject, err := ParseSubject(leaf.RawSubject); err == nil && name.Equal(subject) {
			e.settle(text, subject, leaf.RawSubject)
			return nil
		}
	}
	return fmt.Errorf("%s is not the subject of the presented certificate, which is %s; send that, or leave the claim out", Quote(text), Quote(e.Certificate.Subject.String()))
}

func (e *evaluation) settle(text string, subject DN, raw []byte) {
	e.out.Metadata.TLSClientAuthSubjectDN = text
	e.out.Subject, e.out.RawSubject = subject, raw
}

// claimedDN reads the DN under both its names: RFC 8705's, and the one of DCR
// v3.1 and of SecureAuth.
func claimedDN(claims Object) (string, error) {
	rfc, ok, err := claims.String("tls_client_auth_subject_dn")
	if err != nil {
		return "", err
	}
	older, both, err := claims.String("tls_client_auth_dn")
	switch {
	case err != nil:
		return "", fmt.Errorf("tls_client_auth_dn %w", err)
	case ok && rfc == "", both && older == "":
		return "", errors.New("empty; send the subject of the transport certificate, or leave the claim out")
	case ok && both && rfc != older:
		return "", errors.New("differs from tls_client_auth_dn; send one of them")
	case !ok:
		return older, nil
	}
	return rfc, nil
}

// checkStatementBinds holds the outcome against client metadata that the
// directory itself put into the SSA: they bind, the request may only narrow them.
func checkStatementBinds(e *evaluation) error {
	m := &e.out.Metadata
	for _, c := range []struct {
		name string
		got  []string
	}{
		{"redirect_uris", m.RedirectURIs}, {"grant_types", m.GrantTypes}, {"response_types", m.ResponseTypes},
		{"scope", strings.Fields(m.Scope)}, {"token_endpoint_auth_method", []string{m.TokenEndpointAuthMethod}},
		{"token_endpoint_auth_signing_alg", []string{m.TokenEndpointSigningAlg}},
		{"application_type", []string{m.ApplicationType}}, {"id_token_signed_response_alg", []string{m.IDTokenSigningAlg}},
		{"request_object_signing_alg", []string{m.RequestObjectSigningAlg}},
	} {
		raw := e.ssa.Claims.Raw(c.name)
		if raw == nil || bytes.Equal(raw, []byte("null")) {
			continue
		}
		bound, err := stringOrList(e.ssa.Claims, c.name)
		if err != nil {
			return fmt.Errorf("%s %w", c.name, err)
		}
		switch c.name {
		case "scope":
			bound = strings.Fields(strings.Join(bound, " "))
		case "response_types":
			for i := range bound {
				bound[i] = sortWords(bound[i])
			}
		}
		for _, v := range c.got {
			if v != "" && !slices.Contains(bound, v) {
				return fmt.Errorf("its %s binds and does not hold %s", c.name, Quote(v))
			}
		}
	}
	return nil
}

// oneOf reads a claim that, when it is there, must be in the list.
func oneOf(claims Object, name string, list []string) (string, bool, error) {
	v, ok, err := claims.String(name)
	if err != nil {
		return "", ok, err
	}
	if ok && !slices.Contains(list, v) {
		return "", ok, fmt.Errorf("%s is not accepted; send one of %s", Quote(v), strings.Join(list, ", "))
	}
	return v, ok, nil
}

func requiredOneOf(claims Object, name string, list []string) (string, error) {
	v, ok, err := oneOf(claims, name, list)
	if err == nil && !ok {
		err = fmt.Errorf("missing; send one of %s", strings.Join(list, ", "))
	}
	return v, err
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
