package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// ReadEndpoint reads an endpoint of the AS at server as an operator writes it: a path, or
// a URL of the AS's own origin, both perhaps with a query.
func ReadEndpoint(server, text string) (target string, err error) {
	at, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("cannot be read as a path or a URL")
	case u.User != nil || u.Fragment != "" || strings.Contains(text, "#"):
		return "", errors.New("has user information or a fragment; write a path, or a URL of the authorization server's own origin")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//"):
	case u.Scheme != "https" || !sameHost(u, at):
		return "", fmt.Errorf("is not at %s://%s; write a path that begins with a slash, or a URL of this origin", at.Scheme, at.Host)
	}
	if target = path(text); target == "" || u.Path == "/" || strings.ContainsAny(text, " \t") {
		return "", errors.New("names no path; write one like /token/introspection")
	}
	return target, nil
}

// readGiven reads the endpoints that the operator names.
func (o *Options) readGiven() (list []Endpoint, err error) {
	for _, given := range []struct{ name, text string }{
		{"introspection_endpoint", o.IntrospectionEndpoint}, {"revocation_endpoint", o.RevocationEndpoint},
	} {
		if given.text == "" {
			continue
		}
		target, err := ReadEndpoint(o.URL, given.text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: %w", given.name, given.text, err)
		}
		e := NewEndpoint(given.name, target)
		e.given = true
		list = append(list, e)
	}
	return list, nil
}

// shortcomings are those of the AS's document that operators were told of.
type shortcomings struct {
	mu  sync.Mutex
	now map[string]bool
}

// logMissingEndpoints says once for this configuration what of it a document lets come to nothing, and
// when that has ended. An operator sees no difference otherwise.
func (s *Server) logMissingEndpoints(m *Metadata) {
	const noIntrospection = "the authorization server names no introspection_endpoint of its own origin"
	introspects := m.Path("introspection_endpoint") != ""
	s.logCondition(m, "as-introspection-missing", s.introspectionOnly && !introspects, slog.LevelError,
		"refuses registrations with an access token, and their management, with 503: validate introspection is written, and "+noIntrospection,
		"write introspection_endpoint <path> in authorization_server, or validate jwt where access tokens are signed JWTs")
	s.logCondition(m, "as-introspection-missing", s.Validate == Introspection && !s.introspectionOnly && !introspects, slog.LevelWarn,
		"verifies access tokens by their signature alone: "+noIntrospection,
		"write introspection_endpoint <path> in authorization_server, or validate jwt if that is meant")
	s.logCondition(m, "as-introspection-missing", m.gatewayBinds && !introspects, slog.LevelWarn,
		"does not announce tls_client_certificate_bound_access_tokens (bind_access_tokens), because resource servers could not see to which certificate a token is bound: "+noIntrospection,
		"write introspection_endpoint <path> in authorization_server if it has one, or leave bind_access_tokens out")
	s.logCondition(m, "as-revocation-missing", s.RegistrarID != "" && m.Path("revocation_endpoint") == "", slog.LevelWarn,
		"cannot revoke used registration tokens, which stay valid at the authorization server until they expire, although their client is configured: the authorization server names no revocation_endpoint of its own origin",
		"write revocation_endpoint <path> in authorization_server if it has one")
	missing := slices.DeleteFunc(slices.Clone(s.Supported.Scopes), func(scope string) bool { return slices.Contains(m.Supported.Scopes, scope) })
	s.logCondition(m, "as-scopes-missing", len(missing) > 0, slog.LevelWarn,
		"refuses registrations that ask for some of the configured scopes, because the authorization server's scopes_supported lacks them",
		"add the scopes that you offer to the authorization server's list, or write supports scopes_supported <scope...> in authorization_server where it grants what it does not list; where you do not offer them, write role <software_role> <scope...> for each role that you do", missing...)
}

// Shortcoming is something of the configuration that a discovery document lets come to nothing.
type Shortcoming struct {
	// Check is its name in caddy dcr check.
	Check string
	// What is the log message, Cure what to do, Scopes those that it is about, if any.
	What, Cure string
	Scopes     []string
}

// logCondition tells of one when it begins, and when it ends. scopes are those that it is
// about, if any. of is the document that has it, nil for none, and check its name there.
func (s *Server) logCondition(of *Metadata, check string, is bool, level slog.Level, message, cure string, scopes ...string) {
	if is && of != nil {
		of.Shortcomings = append(of.Shortcomings, Shortcoming{check, message, cure, scopes})
	}
	s.shortcomings.mu.Lock()
	defer s.shortcomings.mu.Unlock()
	what, log := message, s.log.With(slog.String("url", s.URL))
	if len(scopes) > 0 {
		what, log = what+" "+strings.Join(scopes, " "), log.With(slog.Any("scopes", scopes))
	}
	before := s.shortcomings.now[what]
	if s.shortcomings.now == nil {
		s.shortcomings.now = map[string]bool{}
	}
	switch {
	case is && !before:
		log.Log(context.Background(), level, message, slog.String("cure", cure))
		s.shortcomings.now[what] = true
	case !is && before && level == slog.LevelError:
		log.Info("no longer: " + message)
		delete(s.shortcomings.now, what)
	}
}
