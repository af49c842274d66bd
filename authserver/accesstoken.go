package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
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
		return s.checkJWT(ctx, m, raw, s.tokenAudience(m))
	}
	return s.introspect(ctx, m, raw)
}

// checkJWT verifies a token's signature. audiences are those of which aud must name one,
// nil where any will do.
func (s *Server) checkJWT(ctx context.Context, m *Metadata, raw string, audiences []string) (*verify.AccessToken, error) {
	if m.keys == nil {
		return nil, unavailable(errors.New("the authorization server publishes no jwks_uri"))
	}
	return verify.VerifyAccessToken(ctx, raw, &verify.TokenRules{Issuer: m.Issuer, Audiences: audiences, Keys: m.keys}, s.Now())
}

// tokenAudience is never empty: without an audience a token for any resource server of
// the AS would manage registrations here.
func (s *Server) tokenAudience(m *Metadata) []string {
	switch {
	case len(s.TokenAudience) > 0:
		return s.TokenAudience
	case s.RegistrationEndpoint != nil:
		return []string{m.Issuer, s.RegistrationEndpoint(m.Issuer)}
	}
	return []string{m.Issuer}
}

var errNoIntrospection = errors.New("validate introspection is written, and the authorization server names no introspection_endpoint: write introspection_endpoint <path> in authorization_server, or validate jwt")

func (s *Server) introspect(ctx context.Context, m *Metadata, raw string) (*verify.AccessToken, error) {
	if m.Path("introspection_endpoint") == "" {
		if s.introspectionOnly {
			return nil, unavailable(errNoIntrospection)
		}
		return s.checkJWT(ctx, m, raw, s.tokenAudience(m))
	}
	claims, said, err := s.askAbout(ctx, m, raw, s.tokens)
	switch {
	case err != nil:
		return nil, err
	case said == tokenUnsupported:
		s.logCondition(nil, "", true, slog.LevelWarn, "verifies access tokens by their signature alone: the authorization server does not introspect them (unsupported_token_type)",
			"write validate jwt if that is meant, or have the server introspect JWTs")
		return s.checkJWT(ctx, m, raw, s.tokenAudience(m))
	case said == tokenInactive:
		return nil, refusal.New(refusal.InvalidToken, "access_token", "access token: not active at the authorization server; get a new one")
	}
	switch iss, ok, err := claims.String("iss"); {
	case err != nil:
		return nil, unavailable(s.unusable(introspectionAnswer, fmt.Errorf("iss %w", err)))
	case ok && iss != m.Issuer:
		return nil, refusal.New(refusal.InvalidToken, "access_token", "access token: of another issuer; get one from this authorization server")
	}
	t, err := verify.ReadAccessToken(raw, claims)
	if full := (*refusal.Error)(nil); err != nil && !errors.As(err, &full) {
		return nil, unavailable(s.unusable(introspectionAnswer, err))
	}
	return t, err
}

const introspectionAnswer = "introspection answer"

// introspected is what the AS says of a token.
type introspected uint8

const (
	tokenActive introspected = iota
	tokenInactive
	tokenUnsupported // RFC 7009 2.2.1's code, for JWTs that the AS does not keep
)

// askAbout asks the AS about a token (RFC 7662), among the exchanges of a family.
func (s *Server) askAbout(ctx context.Context, m *Metadata, raw string, among *family) (claims strictjson.Object, said introspected, err error) {
	q := form(m.Path("introspection_endpoint"), raw, s.ClientID, s.ClientSecret)
	q.among = among
	res, err := s.send(ctx, q)
	if err != nil {
		return claims, 0, err
	}
	switch code, _ := oauthError(res); {
	case res.Status == http.StatusBadRequest && code == "unsupported_token_type":
		return claims, tokenUnsupported, nil
	case res.Status != http.StatusOK:
		return claims, 0, unexpected(res)
	}
	if claims, err = strictjson.ParseAnswer(res.Body); err == nil {
		err = claims.Ambiguous(verify.TokenMembers)
	}
	if err != nil {
		return claims, 0, unavailable(s.unusable(introspectionAnswer, err))
	}
	active, ok, err := claims.Bool("active")
	switch {
	case err != nil:
		return claims, 0, unavailable(s.unusable(introspectionAnswer, fmt.Errorf("active %w", err)))
	case !ok:
		return claims, 0, unavailable(s.unusable(introspectionAnswer, errors.New("active is missing")))
	case !active:
		return claims, tokenInactive, nil
	}
	return claims, tokenActive, nil
}

// Revokes tells whether there is a client that Revoke can be asked as.
func (s *Server) Revokes(v registry.Revocation) bool {
	id, _ := s.revoker(v)
	return id != "" || asClient(v)
}

func (s *Server) revoker(v registry.Revocation) (id, secret string) {
	if v.Registration && s.RegistrarID != "" {
		return s.RegistrarID, s.RegistrarSecret
	}
	return s.ClientID, s.ClientSecret
}

// asClient tells whether the gateway can be the client that the token belongs to: the
// AS takes the certificate from it (RFC 9440), or the secret in bridge mode.
func asClient(v registry.Revocation) bool {
	return v.ClientID != "" && (len(v.Certificate) > 0 || v.Bridge != "")
}

// Revoke ends an access token (RFC 7009): a registration token as the client that
// it belongs to where that is configured, a management token as the client that
// presented it, both else as the gateway. An AS may refuse foreign tokens (2.1);
// what it refuses is final.
//
// Errors: AccessDenied, Unavailable.
func (s *Server) Revoke(ctx context.Context, v registry.Revocation) error {
	if !s.Revokes(v) {
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
	if asClient(v) {
		if err = s.revoke(ctx, s.clientForm(target, v)); err == nil || refusal.From(err).Kind == refusal.Unavailable {
			return err
		}
	}
	if id, secret := s.revoker(v); id != "" {
		q := form(target, v.Token, id, secret)
		q.among, q.of = s.tokens, v.Organisation
		return s.revoke(ctx, q)
	}
	return err
}

func (s *Server) revoke(ctx context.Context, q request) error {
	res, err := s.send(ctx, q)
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
	return refusal.New(refusal.AccessDenied, "revocation", "the authorization server does not revoke this token; it stays valid there until it expires").Because(cause)
}

// form is the request that introspection and revocation share (RFC 7662 2.1, RFC 7009 2.1).
func form(target, token, id, secret string) request {
	return request{
		method: http.MethodPost, target: target, authorization: basic(id, secret),
		contentType: "application/x-www-form-urlencoded", body: []byte(tokenForm(token).Encode()),
		secrets: []string{token, secret},
	}
}

// clientForm is a revocation as a client: with its certificate (RFC 8705 2), or with
// the secret that the gateway has for it.
func (s *Server) clientForm(target string, v registry.Revocation) request {
	q := request{
		method: http.MethodPost, target: target, contentType: "application/x-www-form-urlencoded",
		secrets: []string{v.Token, v.ClientSecret}, among: s.tokens, of: v.Organisation,
	}
	parameters := url.Values{"client_id": {v.ClientID}}.Encode()
	if v.Bridge != "" {
		q.authorization, parameters = AsClient(v.Bridge, v.ClientID, v.ClientSecret)
	} else {
		q.headers = s.ClientCertificate.Write(v.Certificate)
	}
	if parameters != "" {
		parameters += "&"
	}
	q.body = []byte(parameters + tokenForm(v.Token).Encode())
	return q
}

func tokenForm(token string) url.Values {
	return url.Values{"token": {token}, "token_type_hint": {"access_token"}}
}
