package authserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// ProbeDiscovery fetches the AS's document now, whatever is known of it, and makes the
// outcome known as Metadata does: the error is that of the fetch, also where an older
// document is in use. It takes twice fetchTimeout at most.
//
// Errors: Unavailable.
func (s *Server) ProbeDiscovery(ctx context.Context) error {
	d := s.known.state.Load()
	if d == nil || d.metadata == nil {
		done := s.known.flight.DoChan("", func() (any, error) { return s.discover(ctx, d), nil })
		return (<-done).Val.(*discovered).failed
	}
	if !s.known.renewing.CompareAndSwap(false, true) {
		return d.failed // a fetch is under way: the next probe sees its outcome
	}
	defer s.known.renewing.Store(false)
	return s.discover(ctx, d).failed
}

// Answers fetches the AS's document now, for the caller alone.
func (s *Server) Answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	raw, _, err := s.fetchDocument(ctx)
	if err == nil {
		_, err = s.readMetadata(raw)
	}
	if err != nil {
		return unavailable(fmt.Errorf("discovery document: %w", err))
	}
	return nil
}

// ClientProbe is one of the gateway's own clients at the AS, and where it can be tried.
type ClientProbe struct {
	// ID is its client_id, URL the endpoint that is asked.
	ID, URL string
	target  string
	secret  string
	// introspects: the endpoint is that of introspection, else that of revocation.
	introspects bool
}

// ClientProbes are the clients that can be tried without a side effect: by a question
// about a token that nobody has (RFC 7662 2.2), or its revocation, which RFC 7009 2.2
// answers like any other. Whether an initial access token is good cannot be tried so.
func (s *Server) ClientProbes(m *Metadata) (list []ClientProbe) {
	introspection, revocation := m.Path("introspection_endpoint"), m.Path("revocation_endpoint")
	add := func(id, secret, target string, introspects bool) {
		if id != "" && target != "" {
			list = append(list, ClientProbe{id, s.origin.String() + target, target, secret, introspects})
		}
	}
	if introspection != "" {
		add(s.ClientID, s.ClientSecret, introspection, true)
	} else {
		add(s.ClientID, s.ClientSecret, revocation, false)
	}
	if s.RegistrarID != s.ClientID {
		add(s.RegistrarID, s.RegistrarSecret, revocation, false)
	}
	return list
}

// What ProbeClient has found wrong.
var (
	// ErrCredentials: the AS does not take the client's id or secret.
	ErrCredentials = errors.New("the authorization server does not take the gateway's client_id or secret")
	// ErrMayNot: the client may not introspect tokens.
	ErrMayNot = errors.New("the authorization server does not let the gateway's client introspect tokens")
	// ErrNoEndpoint: there is nothing at the endpoint's address.
	ErrNoEndpoint = errors.New("the authorization server does not have this endpoint")
	// ErrNoAnswer: the answer says nothing of the client.
	ErrNoAnswer = errors.New("the authorization server did not say")
)

// ProbeClient tries one of the gateway's own clients. Of the limits of other exchanges it
// takes nothing.
//
// Errors: ErrCredentials, ErrMayNot, ErrNoEndpoint; ErrNoAnswer in the chain of others.
func (s *Server) ProbeClient(ctx context.Context, p ClientProbe) error {
	token := "probe-of-the-gateway-" + rand.Text() // nobody's, and told apart in the AS's log
	res, err := s.exchange(ctx, form(p.target, token, p.ID, p.secret))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	code, _ := oauthError(res)
	status := fmt.Errorf("status %d, %s", res.Status, words(res))
	switch {
	case res.Status == http.StatusUnauthorized, code == "invalid_client", code == "unauthorized_client" && !p.introspects:
		return fmt.Errorf("%w: %w", ErrCredentials, status)
	case res.Status == http.StatusNotFound, res.Status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: %w", ErrNoEndpoint, status)
	case res.Status == http.StatusTooManyRequests, res.Status >= 500:
		return fmt.Errorf("%w: %w", ErrNoAnswer, status)
	case p.introspects && (res.Status == http.StatusForbidden || code == "unauthorized_client" || code == "access_denied"):
		return fmt.Errorf("%w: %w", ErrMayNot, status)
	case p.introspects && res.Status == http.StatusOK:
		return readable(res)
	}
	return nil // a refusal of this token says that the client was taken
}

// readable tells whether an answer is one of an introspection endpoint.
func readable(res *reply) error {
	o, err := strictjson.ParseAnswer(res.Body)
	if err == nil && !o.Has("active") {
		err = errors.New("without active")
	}
	if err != nil {
		return fmt.Errorf("%w: introspection answer: %w", ErrNoEndpoint, err)
	}
	return nil
}
