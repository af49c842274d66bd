package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Metadata is the AS's discovery document (RFC 8414, OpenID Connect Discovery)
// as the gateway understands it. It is not changed once it is made.
type Metadata struct {
	// Issuer is the AS's own, as it stands in tokens. Never rewritten.
	Issuer string
	// Document is the document as it came.
	Document verify.Object
	// Endpoints are the addresses of the AS's own origin, those of
	// mtls_endpoint_aliases too.
	Endpoints []Endpoint
	// Acceptable is what a registration may ask for: what the operator allows and
	// the AS can do.
	Acceptable verify.Acceptable

	bindsTokens        bool
	listsRequestObject bool
	keys               verify.KeySource
}

// Endpoint is one address of the AS.
type Endpoint struct {
	// Name is the member of the document, token_endpoint for instance.
	Name string
	// Path is the escaped path, without a query.
	Path string
	// target is path and query.
	target string
	// alias is one of mtls_endpoint_aliases.
	alias bool
}

// Path is path and query of the endpoint, "" when the AS has none.
func (m *Metadata) Path(name string) string {
	for _, e := range m.Endpoints {
		if e.Name == name {
			return e.target
		}
	}
	return ""
}

// readMetadata understands a document.
func (s *Server) readMetadata(raw []byte) (*Metadata, error) {
	document, err := verify.ParseObject(raw)
	if err != nil {
		return nil, err
	}
	m := &Metadata{Document: document}
	if m.Issuer, _, err = document.String("issuer"); err != nil {
		return nil, fmt.Errorf("issuer %w", err)
	}
	issuer, err := url.Parse(m.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return nil, fmt.Errorf("issuer %s is no https URL", verify.Quote(m.Issuer))
	}
	if at, err := url.Parse(s.URL); err == nil && strings.TrimSuffix(at.Path, "/") != strings.TrimSuffix(issuer.Path, "/") {
		s.log.Warn("the issuer has another path than the authorization server's URL; software finds its discovery document under the issuer", slog.String("issuer", m.Issuer))
	}
	m.readEndpoints(s, issuer)
	if m.bindsTokens, _, err = document.Bool("tls_client_certificate_bound_access_tokens"); err != nil {
		return nil, fmt.Errorf("tls_client_certificate_bound_access_tokens %w", err)
	}
	if m.Acceptable, err = acceptable(s.Accept, document); err != nil {
		return nil, err
	}
	m.listsRequestObject = document.Has("request_object_signing_alg_values_supported")
	if target := m.Path("jwks_uri"); target != "" {
		m.keys = jwks.NewSource(s.Client, s.origin.String()+target, s.Now)
	}
	return m, nil
}

// readEndpoints collects every address of the document that is the AS's own.
func (m *Metadata) readEndpoints(s *Server, issuer *url.URL) {
	aliases, _, err := m.Document.Object("mtls_endpoint_aliases")
	if err != nil {
		s.log.Warn("mtls_endpoint_aliases cannot be read", slog.Any("error", err))
	}
	for i, o := range []verify.Object{m.Document, aliases} {
		for _, member := range o.Members() {
			if !isEndpoint(member.Name) {
				continue
			}
			text, _, err := o.String(member.Name)
			if err != nil {
				s.log.Warn("an endpoint of the authorization server cannot be read", slog.String("endpoint", member.Name), slog.Any("error", err))
				continue
			}
			u, err := url.Parse(text)
			if err != nil || !s.own(u, issuer) || path(text) == "" {
				s.log.Warn("an endpoint of another origin than the authorization server's is not guarded", slog.String("endpoint", member.Name), slog.String("url", text))
				continue
			}
			m.Endpoints = append(m.Endpoints, Endpoint{Name: member.Name, Path: u.EscapedPath(), target: path(text), alias: i == 1})
		}
	}
}

func isEndpoint(name string) bool {
	return strings.HasSuffix(name, "_endpoint") || name == "jwks_uri" || name == "check_session_iframe"
}

// own tells whether an address is of the AS itself: under its public origin, or
// the one where the gateway reaches it (some name the host they were asked by).
func (s *Server) own(u, issuer *url.URL) bool {
	if u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	return sameHost(u, issuer) || sameHost(u, s.origin)
}

// sameHost leaves the scheme aside: behind a proxy an AS may take itself for plain http.
func sameHost(a, b *url.URL) bool {
	host := func(u *url.URL) string {
		h := strings.ToLower(u.Host)
		return strings.TrimSuffix(strings.TrimSuffix(h, ":443"), ":80")
	}
	return host(a) == host(b)
}

// acceptable cuts the operator's lists down to what the AS says that it can do.
// The operator's order stays: the preferred value is first.
func acceptable(a verify.Acceptable, document verify.Object) (verify.Acceptable, error) {
	sorted := func(v string) string {
		words := strings.Fields(v)
		slices.Sort(words)
		return strings.Join(words, " ")
	}
	for _, c := range []struct {
		name string
		list *[]string
		// missing: none in common is an error only where a client cannot do without.
		needed bool
	}{
		{"token_endpoint_auth_methods_supported", &a.AuthMethods, true},
		{"token_endpoint_auth_signing_alg_values_supported", &a.AuthSigningAlgs, false},
		{"grant_types_supported", &a.GrantTypes, true},
		{"response_types_supported", &a.ResponseTypes, true},
		{"id_token_signing_alg_values_supported", &a.IDTokenAlgs, true},
		{"request_object_signing_alg_values_supported", &a.RequestObjectAlgs, true},
		{"scopes_supported", &a.Scopes, true},
		{"backchannel_token_delivery_modes_supported", &a.BackchannelModes, false},
		{"backchannel_authentication_request_signing_alg_values_supported", &a.BackchannelAlgs, false},
	} {
		supported, ok, err := document.Strings(c.name)
		if err != nil {
			return a, fmt.Errorf("%s %w", c.name, err)
		}
		if !ok {
			continue // an AS that does not say is tried
		}
		var both []string
		for _, v := range *c.list {
			if slices.ContainsFunc(supported, func(o string) bool { return sorted(o) == sorted(v) }) {
				both = append(both, v)
			}
		}
		if c.needed && len(both) == 0 {
			return a, fmt.Errorf("%s: the authorization server has %s, registrations need one of %s", c.name,
				verify.Quote(strings.Join(supported, ", ")), strings.Join(*c.list, ", "))
		}
		*c.list = both
	}
	if len(a.AuthSigningAlgs) == 0 { // without, only assertions are impossible
		a.AuthMethods = slices.DeleteFunc(slices.Clone(a.AuthMethods), func(m string) bool { return m == "private_key_jwt" })
	}
	// An AS without the endpoint has no CIBA, whatever it leaves unsaid.
	if !document.Has("backchannel_authentication_endpoint") || !slices.Contains(a.GrantTypes, verify.GrantCIBA) || len(a.BackchannelModes) == 0 || len(a.BackchannelAlgs) == 0 {
		a.BackchannelModes, a.BackchannelAlgs = nil, nil
		a.GrantTypes = slices.DeleteFunc(slices.Clone(a.GrantTypes), func(g string) bool { return g == verify.GrantCIBA })
	}
	if len(a.AuthMethods) == 0 {
		return a, errors.New("token_endpoint_auth_signing_alg_values_supported: no algorithm that registrations may use")
	}
	return a, nil
}

// NewEndpoint is an endpoint at a path with or without a query.
func NewEndpoint(name, target string) Endpoint {
	before, _, _ := strings.Cut(target, "?")
	return Endpoint{Name: name, Path: before, target: target}
}
