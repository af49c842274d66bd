package authserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// ChoosesClientID tells whether a header for the client_id is configured.
func (s *Server) ChoosesClientID() bool { return s.ClientIDHeader != "" }

// Create registers a client at the AS (RFC 7591 3). A registration that the AS
// carried out in another way than it was asked to is taken back.
func (s *Server) Create(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	m, err := s.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	q := request{method: http.MethodPost, target: m.Path("registration_endpoint"), contentType: "application/json", of: c.Organisation()}
	if q.target == "" {
		return nil, unavailable(errors.New("the authorization server publishes no registration_endpoint"))
	}
	sent, err := s.clientMetadata(ctx, m, c)
	if err != nil {
		return nil, err
	}
	if q.body, err = sent.encode(); err != nil {
		return nil, err
	}
	if s.InitialAccessToken != "" {
		q.authorization, q.secrets = bearer(s.InitialAccessToken), []string{s.InitialAccessToken}
	}
	if s.ChoosesClientID() {
		q.headers = []string{s.ClientIDHeader, c.ClientID}
	}
	res, err := s.send(ctx, q)
	if err == nil && res.Status != http.StatusCreated && res.Status != http.StatusOK {
		err = s.refusal(res)
	}
	if err != nil && (res == nil || !errors.Is(err, registry.ErrLost)) {
		return nil, err
	}
	answer, p, unreadable := readProvisioned(res, registry.Credentials{})
	switch { // whatever is wrong with an answer that names a client: that client is there
	case p == nil && err == nil:
		return nil, lost(fmt.Errorf("%w: %w", registry.ErrNoRegistration, s.unusable(registrationAnswer, unreadable)))
	case p == nil:
		return nil, err
	case err == nil && unreadable != nil:
		err = s.unusable(registrationAnswer, unreadable)
	}
	if err != nil {
		return s.takeBack(ctx, c, p, err)
	}
	p.Keys = sent.keys
	if p.Metadata, err = sent.stored(answer, c); err == nil && s.ChoosesClientID() && p.ClientID != c.ClientID {
		err = fmt.Errorf("it does not honour the header %s", s.ClientIDHeader)
	}
	if err == nil {
		err = s.readSecret(p, answer, sent)
	}
	if err != nil {
		return s.takeBack(ctx, c, p, err)
	}
	return p, nil
}

// takeBack ends a client that came out wrong, or of which the answer says too little. It
// returns one that it could not end.
func (s *Server) takeBack(ctx context.Context, c *registry.Client, p *registry.Provisioned, cause error) (*registry.Provisioned, error) {
	expected := !s.ChoosesClientID() || p.ClientID == c.ClientID
	if s.ChoosesClientID() && expected && c.Registered() { // which was registered again: it is in use
		s.log.Error("cannot use the authorization server's answer to the repeated registration of a client", slog.String("client_id", p.ClientID), slog.Any("error", cause))
		return p, lost(cause)
	}
	s.log.Error("cannot use the authorization server's answer to a registration; deletes the client that it names", slog.String("client_id", p.ClientID), slog.Any("error", cause))
	wrong := *c
	wrong.ClientID, wrong.Credentials = p.ClientID, p.Credentials
	if err := s.Delete(ctx, &wrong); err != nil {
		return p, lost(errors.Join(cause, err))
	}
	if !expected { // what the request was about is there as before, or as unknown
		return nil, unavailable(cause)
	}
	// Nothing of it is lost any more, whatever cause says.
	return nil, unavailable(fmt.Errorf("%w: %s", registry.ErrTakenBack, cause.Error()))
}

// Update replaces a client's metadata at the AS, in place (RFC 7592 2.2). When
// the AS rotated the credentials and failed otherwise, both are returned.
func (s *Server) Update(ctx context.Context, c *registry.Client) (*registry.Provisioned, error) {
	m, err := s.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	sent, err := s.clientMetadata(ctx, m, c)
	if err != nil {
		return nil, err
	}
	sent.ClientID = c.ClientID
	q, err := managing(http.MethodPut, c)
	if err != nil {
		return nil, err
	}
	q.contentType = "application/json"
	if q.body, err = sent.encode(); err != nil {
		return nil, err
	}
	res, err := s.send(ctx, q)
	switch {
	case err != nil:
		return nil, err
	case res.Status == http.StatusUnauthorized, res.Status == http.StatusNotFound:
		return nil, detached(res)
	case res.Status != http.StatusOK:
		return nil, s.refusal(res)
	}
	answer, p, err := readProvisioned(res, c.Credentials)
	if err != nil {
		return p, lost(s.unusable(registrationAnswer, err))
	}
	if p.ClientID != c.ClientID {
		return p, lost(errors.New("it answered with another client_id"))
	}
	p.Keys = sent.keys
	if p.Metadata, err = sent.stored(answer, c); err == nil {
		err = s.readSecret(p, answer, sent)
	}
	if err != nil {
		return p, unavailable(err)
	}
	return p, nil
}

// Delete ends a client at the AS (RFC 7592 2.3).
func (s *Server) Delete(ctx context.Context, c *registry.Client) error {
	q, err := managing(http.MethodDelete, c)
	if err != nil {
		return err
	}
	res, err := s.send(ctx, q)
	switch {
	case err != nil:
		return err
	case res.Status == http.StatusNoContent, res.Status == http.StatusOK, res.Status == http.StatusNotFound:
		return nil
	case res.Status == http.StatusUnauthorized:
		return detached(res)
	}
	return unexpected(res)
}

// managing is a request to the client configuration endpoint (RFC 7592 2).
func managing(method string, c *registry.Client) (request, error) {
	if c.Credentials.RegistrationAccessToken == "" || c.Credentials.RegistrationPath == "" {
		return request{}, unavailable(fmt.Errorf("%w: it gave none", registry.ErrDetached))
	}
	token := c.Credentials.RegistrationAccessToken
	return request{method: method, target: c.Credentials.RegistrationPath, authorization: bearer(token), secrets: []string{token}, of: c.Organisation()}, nil
}

const registrationAnswer = "registration answer"

// readProvisioned reads an answer of RFC 7591 3.2.1. Credentials that it does not
// rotate stay. Beside the error there is what could be read of an answer that names a
// client_id: also of one that broke off behind it.
func readProvisioned(res *reply, credentials registry.Credentials) (strictjson.Object, *registry.Provisioned, error) {
	answer, fault := strictjson.ParseAnswer(res.Body)
	id, ok, err := answer.String("client_id")
	switch {
	case err != nil:
		return answer, nil, cmp.Or(fault, fmt.Errorf("client_id %w", err))
	case id == "" && fault != nil:
		return answer, nil, fault
	case !ok:
		return answer, nil, errors.New("client_id is missing")
	case id == "", strings.ContainsRune(id, utf8.RuneError):
		return answer, nil, errors.New("client_id is empty, or not UTF-8")
	}
	p := &registry.Provisioned{ClientID: id, Credentials: credentials}
	token, _, tokenErr := answer.String("registration_access_token")
	if tokenErr != nil {
		tokenErr = fmt.Errorf("registration_access_token %w", tokenErr)
	} else if token != "" {
		p.Credentials.RegistrationAccessToken = token
	}
	uri, _, uriErr := answer.String("registration_client_uri")
	if uriErr != nil {
		uriErr = fmt.Errorf("registration_client_uri %w", uriErr)
	} else if path(uri) != "" {
		p.Credentials.RegistrationPath = path(uri)
	}
	return answer, p, cmp.Or(fault, tokenErr, uriErr)
}

// detached is an AS that does not know the registration access token, or the client.
func detached(res *reply) error {
	return unavailable(fmt.Errorf("%w: status %d, %s", registry.ErrDetached, res.Status, words(res)))
}
