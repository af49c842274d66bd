package e2e_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// TestUserTokensManageNothing: an access token that a payment service user gave the client,
// and the user's ID token, manage nothing.
func TestUserTokensManageNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"opaque", "jwt"} {
		t.Run(kind, func(t *testing.T) {
			each(t, story.Options{AccessTokens: kind}, func(t *testing.T, p *story.Play) {
				r := registers(t, p, p.Client(p.Acme), map[string]any{"response_types": []string{"code"}})
				answered(t, r, nil, 201, "")
				id := r.Text("client_id")
				access, identity := consent(t, p, id)
				for name, token := range map[string]string{"access token": access, "ID token": identity} {
					for _, method := range []string{"GET", "DELETE"} {
						r, err := p.Make(t.Context(), story.Call{Method: method, URL: p.Register + "/" + id, As: p.Acme, Token: token})
						if err := notYours.isIn(p, r, err); err != nil {
							t.Errorf("%s with a person's %s: %v", method, name, err)
						}
					}
				}
				if err := reads(t.Context(), p, id); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// codeVerifier is of every authorization request (RFC 7636).
var codeVerifier = strings.Repeat("v", 43)

// authorizationRequest are the parameters of one.
func authorizationRequest(id string) url.Values {
	challenge := sha256.Sum256([]byte(codeVerifier))
	return url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {"https://tpp.example/callback"}, "scope": {"openid accounts"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
}

// consent goes the way of a user's browser, who agrees to everything, and returns the
// tokens that the client gets.
func consent(t *testing.T, p *story.Play, id string) (access, identity string) {
	t.Helper()
	r, err := browser(t, p).Do(t.Context(), http.MethodGet, p.Endpoint("authorization_endpoint")+"?"+authorizationRequest(id).Encode(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	callback, err := url.Parse(r.Header.Get("Location"))
	if err != nil || callback.Query().Get("code") == "" {
		t.Fatalf("got %v, %v, want a code in the address", r, err)
	}
	r, err = p.Client(p.Acme).Token(t.Context(), p.Endpoint("token_endpoint"), url.Values{
		"grant_type": {"authorization_code"}, "code": {callback.Query().Get("code")}, "redirect_uri": {"https://tpp.example/callback"}, "code_verifier": {codeVerifier},
	}, tpp.TLSClientAuth(id))
	answered(t, r, err, 200, "")
	if r.Text("access_token") == "" || r.Text("id_token") == "" {
		t.Fatalf("got %v, want an access token and an ID token", r)
	}
	return r.Text("access_token"), r.Text("id_token")
}
