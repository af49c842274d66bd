package tpp

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

// Auth is how a client authenticates at the token endpoint and its like: it adds
// to the form, to the headers, or to both.
type Auth func(form url.Values, header http.Header) error

// TLSClientAuth names the client; its certificate is on the connection (RFC 8705).
func TLSClientAuth(clientID string) Auth {
	return func(form url.Values, _ http.Header) error {
		form.Set("client_id", clientID)
		return nil
	}
}

// Basic is client_secret_basic, id and secret encoded as RFC 6749 section 2.3.1 says.
func Basic(clientID, secret string) Auth {
	return func(_ url.Values, header http.Header) error {
		request := http.Request{Header: header}
		request.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
		return nil
	}
}

// Post is client_secret_post.
func Post(clientID, secret string) Auth {
	return func(form url.Values, _ http.Header) error {
		form.Set("client_id", clientID)
		form.Set("client_secret", secret)
		return nil
	}
}

// PrivateKeyJWT is private_key_jwt with the software's signing key. audience is
// the issuer or the token endpoint.
func (s *Software) PrivateKeyJWT(clientID, audience string) Auth {
	return func(form url.Values, _ http.Header) error {
		assertion, err := s.Assertion(clientID, audience, nil)
		form.Set("client_id", clientID)
		form.Set("client_assertion", assertion)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		return err
	}
}

// ClientCredentials is the form for a client's own token.
func ClientCredentials(scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
}

// Token posts a form to the token endpoint, or to another that authenticates
// clients alike: PAR, introspection, revocation. A nil auth adds nothing. The
// caller's form is left as it is.
func (c *Client) Token(ctx context.Context, endpoint string, form url.Values, auth Auth) (*Response, error) {
	sent := url.Values{}
	for name, values := range form {
		sent[name] = slices.Clone(values)
	}
	header := http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}}
	if auth != nil {
		if err := auth(sent, header); err != nil {
			return nil, err
		}
	}
	return c.Do(ctx, http.MethodPost, endpoint, header, []byte(sent.Encode()))
}
