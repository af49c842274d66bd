package authserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Metadata is the AS's discovery document (RFC 8414, OpenID Connect Discovery)
// as the gateway understands it. It is not changed once it is made.
type Metadata struct {
	// Issuer is the AS's own, as it stands in tokens. Never rewritten.
	Issuer string
	// Document is the document as it came.
	Document strictjson.Object
	// Endpoints are the addresses of the AS's own origin, those of
	// mtls_endpoint_aliases too, and before them those that the operator names.
	Endpoints []Endpoint
	// SupportedMetadata is what a registration may ask for: what the operator allows and
	// the AS can do.
	Supported verify.SupportedMetadata
	// Shortcomings are what of the configuration comes to nothing with it, Foreign its
	// endpoints of other origins, which are not guarded.
	Shortcomings []Shortcoming
	Foreign      []string

	bindsTokens        bool
	gatewayBinds       bool
	bridge             bridging
	listsRequestObject bool
	keys               *jwks.Source // nil where the AS names no jwks_uri
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
	// given is one that the operator names, and the document does not.
	given bool
}

// Kind is the name without the draft by which some servers name an endpoint: one of
// registration_endpoint_draft_00 is to be guarded as a registration_endpoint is.
func (e Endpoint) Kind() string { return withoutDraft(e.Name) }

func withoutDraft(name string) string {
	kind, _, _ := strings.Cut(name, "_draft_")
	return kind
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

// GatewayBindsTokens tells whether the gateway binds access tokens to certificates,
// because the AS does not.
func (m *Metadata) GatewayBindsTokens() bool { return m.gatewayBinds }

// readMetadata understands a document.
func (s *Server) readMetadata(raw []byte) (*Metadata, error) {
	document, err := strictjson.ParseAnswer(raw)
	if err != nil {
		return nil, err
	}
	for _, name := range supported { // in one order, so that the published document stays the same
		if values := s.Supports[name]; values != nil {
			document = document.With(name, strictjson.AppendStrings(nil, values))
		}
	}
	m := &Metadata{Document: document}
	if m.Issuer, _, err = document.String("issuer"); err != nil {
		return nil, fmt.Errorf("issuer %w", err)
	}
	issuer, err := url.Parse(m.Issuer)
	if err != nil || issuer.Scheme != "https" || issuer.Host == "" || issuer.RawQuery != "" || issuer.Fragment != "" {
		return nil, fmt.Errorf("issuer %s is no https URL", refusal.Quote(m.Issuer))
	}
	if at, err := url.Parse(s.URL); err == nil && strings.TrimSuffix(at.Path, "/") != strings.TrimSuffix(issuer.Path, "/") {
		s.log.Warn("found an issuer with another path than authorization_server; clients look for the discovery document under the issuer", slog.String("issuer", m.Issuer))
	}
	if err := m.readEndpoints(s, issuer); err != nil {
		return nil, err
	}
	var lacks []error
	if m.bindsTokens, _, err = document.Bool("tls_client_certificate_bound_access_tokens"); err != nil {
		lacks = append(lacks, fmt.Errorf("tls_client_certificate_bound_access_tokens %w", err))
	}
	m.gatewayBinds = s.BindsTokens && !m.bindsTokens
	var unusable []error
	m.Supported, m.bridge, unusable = s.supportedMetadata(document)
	if lacks = append(lacks, unusable...); len(lacks) > 0 {
		return nil, &UnfitError{lacks, m}
	}
	m.listsRequestObject = document.Has("request_object_signing_alg_values_supported")
	if target := m.Path("jwks_uri"); target != "" {
		m.keys = jwks.NewSource(s.Client, s.origin.String()+target, s.Now).KeptBy(s.KeptKeys)
	}
	s.logMissingEndpoints(m)
	return m, nil
}

// readEndpoints collects every address of the document that is the AS's own. One that is
// there with several values is an error: requests to the others would go round the guard.
func (m *Metadata) readEndpoints(s *Server, issuer *url.URL) error {
	aliases, _, err := m.Document.Object("mtls_endpoint_aliases")
	switch {
	case errors.Is(err, strictjson.ErrDoubled):
		return fmt.Errorf("mtls_endpoint_aliases %w", err)
	case err != nil:
		s.log.Warn("cannot read mtls_endpoint_aliases in the discovery document", slog.Any("error", err))
	}
	m.Endpoints = append(m.Endpoints, s.given...)
	for i, o := range []strictjson.Object{m.Document, aliases} {
		for _, member := range o.Members() {
			if !isEndpoint(member.Name) {
				continue
			}
			text, _, err := o.String(member.Name)
			if errors.Is(err, strictjson.ErrDoubled) {
				return fmt.Errorf("%s %w", member.Name, err)
			}
			if err != nil {
				s.log.Warn("cannot read an endpoint in the discovery document", slog.String("endpoint", member.Name), slog.Any("error", err))
				continue
			}
			u, err := url.Parse(text)
			if err != nil || !s.own(u, issuer) || path(text) == "" {
				s.log.Warn("does not guard an endpoint of another origin than the authorization server's", slog.String("endpoint", member.Name), slog.String("url", text))
				m.Foreign = append(m.Foreign, member.Name+": "+refusal.Quote(text))
				continue
			}
			m.Endpoints = append(m.Endpoints, Endpoint{Name: member.Name, Path: u.EscapedPath(), target: path(text), alias: i == 1})
		}
	}
	return nil
}

func isEndpoint(name string) bool {
	name = withoutDraft(name)
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

// NewEndpoint is an endpoint at a path with or without a query.
func NewEndpoint(name, target string) Endpoint {
	before, _, _ := strings.Cut(target, "?")
	return Endpoint{Name: name, Path: before, target: target}
}
