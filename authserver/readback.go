package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// IsOwn tells whether a client_id is one of the gateway's own clients at the AS.
func (s *Server) IsOwn(clientID string) bool {
	return clientID != "" && (clientID == s.ClientID || clientID == s.RegistrarID)
}

// Read asks the AS what it has of a client (RFC 7592 2.1), and compares that with what Update
// would tell it. These exchanges are a family of their own: an AS that does not answer them
// must keep nobody from registering.
func (s *Server) Read(ctx context.Context, c *registry.Client) (*registry.Comparison, error) {
	m, err := s.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	expected, err := s.withoutKeys(ctx, slog.New(slog.DiscardHandler), m, c)
	if err != nil {
		return nil, err
	}
	if s.Keys != nil {
		expected.JWKSURI = ""
	}
	q, err := managing(http.MethodGet, c)
	if err != nil {
		return nil, fmt.Errorf("%w: it gave none", registry.ErrDetached)
	}
	if s.clients.breaker.rests() { // the AS is known to be down
		return nil, unavailable(fmt.Errorf("%w: %w", registry.ErrNotAsked, errOpen))
	}
	q.among = s.reading
	res, err := s.send(ctx, q)
	switch {
	case notSent(err):
		return nil, unavailable(fmt.Errorf("%w: %w", registry.ErrNotAsked, err))
	case errors.Is(err, jwks.ErrRedirect):
		return nil, unreadable(errors.New("it redirects to another origin, or too often"))
	case errors.Is(err, jwks.ErrTooLong):
		return nil, unreadable(errors.New("it is longer than the gateway reads"))
	case err != nil:
		return nil, err
	case res.Status != http.StatusOK:
		return nil, readRefused(res)
	}
	return s.compare(expected, res, c)
}

// notSent tells whether the gateway has not asked the AS at all.
func notSent(err error) bool {
	for _, own := range []error{errOpen, errTrials, errBusy, errShare} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// unreadable is an answer that says nothing of the client.
func unreadable(cause error) error { return fmt.Errorf("%w: %w", registry.ErrUnreadable, cause) }

// readRefused is an answer without the client. RFC 7592 2.1: 401 for a client that is not
// there, or a registration access token that is not its own, and 403 for one that may not read.
func readRefused(res *reply) error {
	cause := fmt.Errorf("status %d, %s", res.Status, words(res))
	switch res.Status {
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %w", registry.ErrMissing, cause)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", registry.ErrDetached, cause)
	case http.StatusTooManyRequests:
		return unexpected(res)
	}
	if res.Status >= 500 {
		return unexpected(res)
	}
	return unreadable(cause)
}

// compare reads the client in an answer. Credentials that the answer rotates are returned
// beside an error too.
func (s *Server) compare(expected *clientMetadata, res *reply, c *registry.Client) (*registry.Comparison, error) {
	answer, p, err := readProvisioned(res, c.Credentials)
	switch {
	case p == nil:
		return nil, unreadable(err)
	case p.ClientID != c.ClientID:
		return nil, unreadable(errors.New("it answered with another client_id"))
	}
	if secret, _, secretErr := answer.String("client_secret"); secretErr == nil && expected.bridged() && c.Credentials.ClientSecret != "" && !masked(secret) {
		p.Credentials.ClientSecret = secret // RFC 7592 2.1: it may be another one
	}
	result := &registry.Comparison{Credentials: p.Credentials}
	if err == nil {
		result.Differences, err = expected.differences(answer)
	}
	if s.Keys != nil && c.JWKSURI != "" && !answer.Has("jwks") { // which keys: they change by themselves, and are refreshed
		result.Differences = append(result.Differences, registry.Difference{Member: "jwks", Here: "the keys of the software"})
	}
	if err != nil {
		return result, unreadable(err)
	}
	return result, nil
}

// masked tells whether a secret is none: some ASs show asterisks in its place.
func masked(secret string) bool { return strings.Trim(secret, "*•x.") == "" }
