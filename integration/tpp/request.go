// Package tpp is a third-party provider as banks meet it: it signs registration
// requests and talks to the gateway over mTLS. It shares no code with the
// gateway, and sends and returns things raw, so that hostile tests can be built
// on it.
package tpp

import (
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
)

// Software is enrolled software together with the bank that it registers at.
type Software struct {
	*directory.Software
	// Audience is aud of its registration requests: a string, or a []string.
	// Default: no aud.
	Audience any
	// Claims are those of every request, in place of the usual ones. Default: none.
	Claims map[string]any
}

// Request is a signed registration request as it is sent in POST and PUT.
// overrides set claims; nil removes one (json.RawMessage("null") sets null). For
// another key, algorithm or header sign RequestClaims with a directory.Key.
func (s *Software) Request(overrides map[string]any) (string, error) {
	claims, err := s.RequestClaims(overrides)
	if err != nil {
		return "", err
	}
	return s.Signing.Sign(claims, nil)
}

// RequestClaims are the claims of Request, made now: an hour's life, a new jti,
// a new software statement unless overrides have one, and the transport
// certificate's DN.
func (s *Software) RequestClaims(overrides map[string]any) (map[string]any, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": s.SoftwareID,
		"iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix(),
		"jti": uuid.NewString(),

		"software_id":                  s.SoftwareID,
		"redirect_uris":                s.RedirectURIs,
		"token_endpoint_auth_method":   "tls_client_auth",
		"grant_types":                  []string{"authorization_code", "refresh_token", "client_credentials"},
		"response_types":               []string{"code id_token"},
		"application_type":             "web",
		"id_token_signed_response_alg": "PS256",
		"request_object_signing_alg":   "PS256",
		"scope":                        "openid accounts",
	}
	if s.Audience != nil {
		claims["aud"] = s.Audience
	}
	var err error
	if _, overridden := overrides["software_statement"]; !overridden { // a signature costs a millisecond
		if claims["software_statement"], err = s.Statement(nil); err != nil {
			return nil, fmt.Errorf("software statement: %w", err)
		}
	}
	if claims["tls_client_auth_subject_dn"], err = directory.SubjectDN(s.Transport.Leaf.RawSubject); err != nil {
		return nil, fmt.Errorf("transport certificate: %w", err)
	}
	for _, changes := range []map[string]any{s.Claims, overrides} {
		maps.Copy(claims, changes)
		for name, value := range changes {
			if value == nil {
				delete(claims, name)
			}
		}
	}
	return claims, nil
}

// Assertion is a client assertion for private_key_jwt (RFC 7523), with half an
// hour to live, as real tools make them. overrides are as in Request.
func (s *Software) Assertion(clientID string, audience any, overrides map[string]any) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": uuid.NewString(),
		"iat": now.Unix(), "exp": now.Add(30 * time.Minute).Unix(),
	}
	maps.Copy(claims, overrides)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return s.Signing.Sign(claims, nil)
}
