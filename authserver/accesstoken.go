package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// CheckToken finds out what an access token is: from the AS (RFC 7662), or from
// its signature where the AS does not introspect such tokens or is not to be
// asked.
//
// Errors: InvalidToken, Unavailable.
func (s *Server) CheckToken(ctx context.Context, raw string) (*verify.AccessToken, error) {
	m, err := s.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if s.Validate == JWT {
		return s.checkJWT(ctx, m, raw)
	}
	return s.introspect(ctx, m, raw)
}

func (s *Server) checkJWT(ctx context.Context, m *Metadata, raw string) (*verify.AccessToken, error) {
	if m.keys == nil {
		return nil, unavailable(errors.New("the authorization server publishes no jwks_uri"))
	}
	return verify.VerifyAccessToken(ctx, raw, &verify.TokenRules{Issuer: m.Issuer, Keys: m.keys}, s.Now())
}

func (s *Server) introspect(ctx context.Context, m *Metadata, raw string) (*verify.AccessToken, error) {
	target := m.Path("introspection_endpoint")
	if target == "" {
		return s.checkJWT(ctx, m, raw)
	}
	res, err := s.send(ctx, form(target, raw, s.ClientID, s.ClientSecret))
	if err != nil {
		return nil, err
	}
	switch code, _ := oauthError(res); {
	case res.Status == http.StatusBadRequest && code == "unsupported_token_type":
		return s.checkJWT(ctx, m, raw) // RFC 7009 2.2.1's code, for JWTs that the AS does not keep
	case res.Status != http.StatusOK:
		return nil, unexpected(res)
	}
	claims, err := verify.ParseObject(res.Body)
	if err != nil {
		return nil, unavailable(fmt.Errorf("introspection answer: %w", err))
	}
	active, ok, err := claims.Bool("active")
	switch {
	case err != nil || !ok:
		return nil, unavailable(errors.New("introspection answer without active"))
	case !active:
		return nil, verify.Refuse(verify.InvalidToken, "access_token", "access token: not active at the authorization server; get a new one")
	}
	if iss, ok, err := claims.String("iss"); err != nil || ok && iss != m.Issuer {
		return nil, verify.Refuse(verify.InvalidToken, "access_token", "access token: of another issuer; get one from this authorization server")
	}
	return verify.ReadAccessToken(raw, claims)
}

// Revokes tells whether a client for Revoke is configured.
func (s *Server) Revokes(registration bool) bool {
	id, _ := s.revoker(registration)
	return id != ""
}

func (s *Server) revoker(registration bool) (id, secret string) {
	if registration && s.RegistrarID != "" {
		return s.RegistrarID, s.RegistrarSecret
	}
	return s.ClientID, s.ClientSecret
}

// Revoke ends an access token (RFC 7009), a registration token as the client
// that it belongs to where that is configured: an AS may refuse foreign tokens
// (2.1). What it refuses is final.
//
// Errors: AccessDenied, Unavailable.
func (s *Server) Revoke(ctx context.Context, token string, registration bool) error {
	id, secret := s.revoker(registration)
	if id == "" {
		return notRevoked(errors.New("no client at the authorization server is configured"))
	}
	m, err := s.Metadata(ctx)
	if err != nil {
		return err
	}
	target := m.Path("revocation_endpoint")
	if target == "" {
		return notRevoked(errors.New("the authorization server has no revocation endpoint"))
	}
	res, err := s.send(ctx, form(target, token, id, secret))
	switch {
	case err != nil:
		return err
	case res.Status == http.StatusOK, res.Status == http.StatusNoContent:
		return nil
	case res.Status == http.StatusTooManyRequests, res.Status == http.StatusRequestTimeout, res.Status >= 500:
		return unexpected(res)
	}
	return notRevoked(fmt.Errorf("status %d, %s", res.Status, words(res)))
}

func notRevoked(cause error) error {
	return verify.Refuse(verify.AccessDenied, "revocation", "the authorization server does not revoke this token; it stays valid there until it expires").Because(cause)
}

// form is the request that introspection and revocation share (RFC 7662 2.1, RFC 7009 2.1).
func form(target, token, id, secret string) request {
	body := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	return request{
		method: http.MethodPost, target: target, authorization: basic(id, secret),
		contentType: "application/x-www-form-urlencoded", body: []byte(body.Encode()),
		secrets: []string{token, secret},
	}
}
