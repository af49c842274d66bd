package interop_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/openidclient"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// further are the rows after the story.
var further = []row{
	{"client at the AS", atAS},
	{"assertion (private_key_jwt)", assertion},
	{"certificate-bound token", boundToken},
	{"pushed request", pushed},
	{"scope= without a value", emptyScope},
	{"registered scope holds", registeredScope},
	{"secret rotated, TPP does not notice", rotated},
	{"suspended client", nobodys},
	{"token of a deleted client", deletedToken},
	{"openid-client, tls_client_auth", openIDClient("tls_client_auth")},
	{"openid-client, private_key_jwt", openIDClient("private_key_jwt")},
}

// client is a new client of Acme's with other claims.
func (s *stage) client(ctx context.Context, overrides map[string]any) (string, error) {
	token, _, err := s.Prepare(ctx)
	if err != nil {
		return "", err
	}
	body, err := s.Acme.Request(overrides)
	if err != nil {
		return "", err
	}
	r, err := s.Client(s.Acme).Register(ctx, s.Register, token, body)
	if err == nil && r.Status != http.StatusCreated {
		err = fmt.Errorf("registration: %v", r)
	}
	if err != nil {
		return "", err
	}
	return r.Text("client_id"), nil
}

// clientWithToken is a new client of Acme's, and a token that it got with its certificate.
func (s *stage) clientWithToken(ctx context.Context) (id, token string, err error) {
	if id, err = s.client(ctx, nil); err == nil {
		token, err = s.granted(ctx, id)
	}
	return id, token, err
}

// granted is a token that a client of Acme's gets with its certificate.
func (s *stage) granted(ctx context.Context, id string) (string, error) {
	r, err := s.token(ctx, "accounts", tpp.TLSClientAuth(id))
	if err == nil && r.Status != http.StatusOK {
		err = fmt.Errorf("token endpoint: %v", r)
	}
	if err != nil {
		return "", err
	}
	return r.Text("access_token"), nil
}

// token asks the token endpoint with Acme's certificate.
func (s *stage) token(ctx context.Context, scope string, auth tpp.Auth) (*tpp.Response, error) {
	return s.Client(s.Acme).Token(ctx, s.ClientTokens(), tpp.ClientCredentials(scope), auth)
}

// introspect is what the gateway's introspection endpoint says of a token to the gateway's own client.
func (s *stage) introspect(ctx context.Context, token string) (*tpp.Response, error) {
	return s.Client(s.Other).Token(ctx, s.Endpoint("introspection_endpoint"), url.Values{"token": {token}}, tpp.Basic(s.AS.Config.GatewayID, s.AS.Config.GatewaySecret))
}

// atAS holds how the AS knows a client: by its own method, or by a secret.
func atAS(ctx context.Context, s *stage) (string, error) {
	if _, err := s.client(ctx, nil); err != nil {
		return "", err
	}
	clients, err := s.AS.Clients(ctx)
	if err != nil || len(clients) == 0 {
		return "", fmt.Errorf("the authorization server has %v, %w", clients, err)
	}
	method, want := fmt.Sprint(clients[0]["token_endpoint_auth_method"]), "tls_client_auth"
	if s.variant.bridged {
		want = "client_secret_basic"
	}
	if strings.Trim(method, "[]") != want {
		return "", fmt.Errorf("token_endpoint_auth_method is %s, want %s", method, want)
	}
	return "ok", nil
}

var assertions = map[string]any{
	"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil,
}

func assertion(ctx context.Context, s *stage) (string, error) {
	id, err := s.client(ctx, assertions)
	if err != nil {
		return "", err
	}
	r, err := s.token(ctx, "accounts", s.Acme.PrivateKeyJWT(id, s.Issuer))
	if err != nil || r.Status != http.StatusOK {
		return "", fmt.Errorf("%v, %w, want 200", r, err)
	}
	if r, err = s.token(ctx, "accounts", s.Other.PrivateKeyJWT(id, s.Issuer)); err != nil || r.Status != http.StatusUnauthorized {
		return "", fmt.Errorf("with another's key: %v, %w, want 401", r, err)
	}
	return "ok", nil
}

// boundToken: the token is good with its client's certificate only, by whoever says so.
func boundToken(ctx context.Context, s *stage) (string, error) {
	id, token, err := s.clientWithToken(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(s.Acme.Transport.Certificate[0])
	want := map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	r, err := s.introspect(ctx, token)
	if err != nil || fmt.Sprint(r.JSON["cnf"]) != fmt.Sprint(want) {
		return "", fmt.Errorf("introspection: %v, %w", r, err)
	}
	if r, err = s.Client(s.Acme).Read(ctx, s.Register, id, token); err != nil || r.Status != http.StatusOK {
		return "", fmt.Errorf("with its certificate: %v, %w, want 200", r, err)
	}
	// The AS itself, round the gateway.
	r, err = s.Client(s.Other).Token(ctx, s.AS.URL()+strings.TrimPrefix(s.Endpoint("introspection_endpoint"), s.Issuer), url.Values{"token": {token}}, tpp.Basic(s.AS.Config.GatewayID, s.AS.Config.GatewaySecret))
	if err != nil {
		return "", err
	}
	if r.JSON["cnf"] == nil {
		return "bound by the gateway", nil
	}
	return "ok", nil
}

func pushed(ctx context.Context, s *stage) (string, error) {
	endpoint := s.Endpoint("pushed_authorization_request_endpoint")
	if s.variant.options("").Direct {
		endpoint = s.AS.URL() + strings.TrimPrefix(endpoint, s.Issuer)
	}
	id, err := s.client(ctx, map[string]any{"response_types": []string{"code"}})
	if err != nil {
		return "", err
	}
	form := url.Values{
		"response_type": {"code"}, "scope": {"openid"}, "redirect_uri": {"https://tpp.example/callback"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	r, err := s.Client(s.Acme).Token(ctx, endpoint, form, tpp.TLSClientAuth(id))
	if err != nil || r.Status != http.StatusCreated || r.Text("request_uri") == "" {
		return "", fmt.Errorf("%v, %w, want 201", r, err)
	}
	return "ok", nil
}

func emptyScope(ctx context.Context, s *stage) (string, error) {
	id, err := s.client(ctx, nil)
	if err != nil {
		return "", err
	}
	r, err := s.token(ctx, "", tpp.TLSClientAuth(id))
	switch {
	case err != nil:
		return "", err
	case r.Status == http.StatusForbidden:
		return "403 of the AS", nil
	case r.Status != http.StatusOK:
		return "", fmt.Errorf("got %v, want 200", r)
	}
	return "ok", nil
}

// registeredScope: a client gets no scope that it is not registered for.
func registeredScope(ctx context.Context, s *stage) (string, error) {
	id, err := s.client(ctx, nil)
	if err != nil {
		return "", err
	}
	r, err := s.token(ctx, "payments", tpp.TLSClientAuth(id))
	switch {
	case err != nil:
		return "", err
	case r.Status == http.StatusOK && slices.Contains(strings.Fields(r.Text("scope")), "payments"):
		return "the AS gives more", nil
	case r.Status == http.StatusOK && r.Text("scope") == "":
		return "", fmt.Errorf("no scope in %v", r)
	}
	return "ok", nil
}

// rotated: the operator has the AS give the client another secret; where there is none
// the gateway says so.
func rotated(ctx context.Context, s *stage) (string, error) {
	id, err := s.client(ctx, nil)
	if err != nil {
		return "", err
	}
	status, _, err := s.Change(ctx, "clients/"+url.PathEscape(id), "rotate_secret", "rotation")
	want := http.StatusConflict
	if s.variant.bridged {
		want = http.StatusOK
	}
	if err != nil || status != want {
		return "", fmt.Errorf("%d, %w", status, err)
	}
	if _, err := s.granted(ctx, id); err != nil {
		return "", fmt.Errorf("afterwards: %w", err)
	}
	if !s.variant.bridged {
		return "there is none", nil
	}
	return "ok", nil
}

// nobodys: who is suspended gets nothing.
func nobodys(ctx context.Context, s *stage) (string, error) {
	id, token, err := s.clientWithToken(ctx)
	if err != nil {
		return "", err
	}
	if status, _, err := s.Change(ctx, "clients/"+id, "suspend", "a test"); err != nil || status != http.StatusOK {
		return "", fmt.Errorf("suspension: %d, %w, want 200", status, err)
	}
	r, err := s.Client(s.Acme).Token(ctx, s.Endpoint("token_endpoint"), tpp.ClientCredentials("accounts"), tpp.TLSClientAuth(id))
	if err != nil || r.Text("error") != "invalid_client" {
		return "", fmt.Errorf("%v, %w", r, err)
	}
	if r, err = s.introspect(ctx, token); err != nil || r.JSON["active"] != false {
		return "", fmt.Errorf("its token: %v, %w", r, err)
	}
	return "ok", nil
}

// deletedToken: a token of a deleted client is good for nothing through the gateway,
// whatever the AS keeps.
func deletedToken(ctx context.Context, s *stage) (string, error) {
	id, token, err := s.clientWithToken(ctx)
	if err != nil {
		return "", err
	}
	another, err := s.granted(ctx, id)
	if err != nil {
		return "", err
	}
	tokens := []string{token, another}
	if r, err := s.Client(s.Acme).Delete(ctx, s.Register, id, tokens[0]); err != nil || r.Status != http.StatusNoContent {
		return "", fmt.Errorf("%v, %w, want 204", r, err)
	}
	for _, token := range tokens {
		if r, err := s.introspect(ctx, token); err != nil || r.JSON["active"] != false {
			return "", fmt.Errorf("introspection: %v, %w", r, err)
		}
		if r, err := s.Client(s.Acme).Read(ctx, s.Register, id, token); err != nil || r.Status != http.StatusUnauthorized {
			return "", fmt.Errorf("GET: %v, %w, want 401", r, err)
		}
	}
	return "ok", nil
}

// openIDClient is the whole life of a client of the npm package's.
func openIDClient(method string) func(context.Context, *stage) (string, error) {
	return func(ctx context.Context, s *stage) (string, error) {
		direct := ""
		if s.variant.options("").Direct {
			direct = strings.TrimSuffix(s.AS.URL(), story.Prefix)
		}
		var token string
		err := story.Eventually(ctx, 10*time.Second, func() (err error) {
			token, _, err = s.Prepare(ctx)
			return err
		})
		if err != nil {
			return "", err
		}
		types, _ := s.Acme.Claims["response_types"].([]string)
		steps, err := openidclient.Run(ctx, openidclient.Input{
			Issuer: s.Issuer, Roots: filepath.Join(s.Dir, "ca.pem"), Software: s.Acme, RegistrationToken: token,
			AuthMethod: method, Scope: "openid accounts", ResponseTypes: types, TokenScope: s.variant.options("").Scope, DirectOrigin: direct, PlainRequests: s.AS.Kind == authserverprocess.Glewlwyd,
		})
		if err == nil && len(steps) == 0 {
			err = errors.New("no steps")
		}
		return ok(err)
	}
}
