package authserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestIntrospection(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		kind   refusal.Kind // 0: active
		cause  string
	}{
		{"active", answer(200, `{"active":true,"client_id":"tpp","scope":"openid accounts","exp":1800000060,"iss":"https://bank.example/as","cnf":{"x5t#S256":"thumb"}}`), 0, ""},
		{"active, of an issuer that it does not name", answer(200, `{"active":true,"client_id":"tpp","scope":"openid accounts","exp":1800000060,"cnf":{"x5t#S256":"thumb"}}`), 0, ""},
		{"inactive", answer(200, `{"active":false}`), refusal.InvalidToken, "not active"},
		{"of another issuer", answer(200, `{"active":true,"client_id":"tpp","iss":"https://other.example/as"}`), refusal.InvalidToken, "of another issuer"},
		{"null for all that it need not say", answer(200, `{"active":true,"client_id":"tpp","scope":"openid accounts","exp":1800000060.0,"iss":null,"sub":null,"aud":null,"jti":null,"iat":null,"cnf":{"x5t#S256":"thumb"}}`), 0, ""},
		{"members twice, each with one value", answer(200, `{"active":true,"active":true,"client_id":"tpp","client_id":"tpp","scope":"openid accounts","exp":1800000060,"cnf":{"x5t#S256":"thumb"},"x":1,"x":2}`), 0, ""},
		{"issuer of another type", answer(200, `{"active":true,"iss":7}`), refusal.Unavailable, "iss is a number"},
		{"claims that cannot be read", answer(200, `{"active":true,"client_id":7}`), refusal.Unavailable, "client_id is a number"},
		{"sub twice", answer(200, `{"active":true,"client_id":"tpp","sub":"a","sub":"b"}`), refusal.Unavailable, "sub is there more than once"},
		{"aud twice", answer(200, `{"active":true,"client_id":"tpp","aud":"a","aud":["a"]}`), refusal.Unavailable, "aud is there more than once"},
		{"a thumbprint twice", answer(200, `{"active":true,"client_id":"tpp","cnf":{"x5t#S256":"a","x5t#S256":"b"}}`), refusal.Unavailable, `cnf has "x5t#S256", which is there more than once`},
		{"our secret is wrong", answer(401, `{"error":"invalid_client","error_description":"no such client"}`), refusal.Unavailable, "check the gateway's credentials at the authorization server: status 401, invalid_client: no such client"},
		{"we may not", answer(403, ``), refusal.Unavailable, "check the gateway's credentials"},
		{"another fault of ours", answer(400, `{"error":"invalid_request"}`), refusal.Unavailable, "status 400, invalid_request"},
		{"broken", answer(500, ``), refusal.Unavailable, "status 500, no error text"},
		{"redirect", answer(302, ``), refusal.Unavailable, "302"},
		{"dropped", dropped, refusal.Unavailable, "EOF"},
		{"garbage", answer(200, `active`), refusal.Unavailable, "not a JSON object"},
		{"active twice", answer(200, `{"active":false,"active":true}`), refusal.Unavailable, "active is there more than once"},
		{"without active", answer(200, `{"client_id":"tpp"}`), refusal.Unavailable, "active is missing"},
		{"active as text", answer(200, `{"active":"true"}`), refusal.Unavailable, "active is a string"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.on(introspect, test.answer)
			token, err := e.CheckToken(t.Context(), accessToken)
			if test.kind != 0 {
				if e.refused(err, test.kind); !strings.Contains(err.Error(), test.cause) {
					t.Errorf("error %v, want %q in it", err, test.cause)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if token.Raw != accessToken || token.ClientID != "tpp" || !slices.Equal(token.Scopes, []string{"openid", "accounts"}) ||
				!token.Expires.Equal(e.clock().Add(time.Minute)) || token.Thumbprint != "thumb" {
				t.Errorf("%+v, want the token of tpp for openid and accounts, a minute to live and bound to thumb", token)
			}
			sent := e.only(introspect)
			basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("gateway:SECRET-gateway%3A+%2B%2F")) // RFC 6749 2.3.1
			if sent.body != "token="+accessToken+"&token_type_hint=access_token" || sent.header.Get("Authorization") != basic ||
				sent.header.Get("Content-Type") != "application/x-www-form-urlencoded" || sent.header.Get("Accept") != "application/json" {
				t.Errorf("asked %+v", sent)
			}
		})
	}
}

// key signs the JWTs of a test.
type key struct{ *ecdsa.PrivateKey }

func newKey(t *testing.T) key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key{private}
}

func (k key) jwks(t *testing.T) string {
	t.Helper()
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:])
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","x":"%s","y":"%s"}]}`, x, y)
}

func (k key) sign(t *testing.T, header, claims string) string {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, k.PrivateKey, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestJWT(t *testing.T) {
	keys := "GET /as/jwks"
	mine, other := newKey(t), newKey(t)
	register := func(issuer string) string { return strings.TrimSuffix(issuer, "/as") + "/register" }
	const (
		header = `{"alg":"ES256","kid":"k","typ":"at+jwt"}`
		claims = `{"iss":"https://bank.example/as","client_id":"tpp","sub":"tpp","scope":"accounts","exp":1800000060,"aud":"https://bank.example/as"}`
	)
	for _, test := range []struct {
		name  string
		token string
		kind  refusal.Kind // 0: good
		cause string
	}{
		{"good", mine.sign(t, header, claims), 0, ""},
		{"of another issuer", mine.sign(t, header, changed(t, claims, "iss", `"https://other.example/as"`)), refusal.InvalidToken, "of another issuer"},
		{"issuer with a slash", mine.sign(t, header, changed(t, claims, "iss", `"https://bank.example/as/"`)), refusal.InvalidToken, "of another issuer"},
		{"for another server", mine.sign(t, header, changed(t, claims, "aud", `"https://api.bank.example"`)), refusal.InvalidToken, `aud "https://api.bank.example" is none of "https://bank.example/as https://bank.example/register"; if such tokens are for this gateway, write in authorization_server: token_audience "https://api.bank.example"`},
		{"for another server and this", mine.sign(t, header, changed(t, claims, "aud", `["https://api.bank.example","https://bank.example/register"]`)), 0, ""},
		{"for nobody", mine.sign(t, header, changed(t, claims, "aud", ``)), refusal.InvalidToken, "aud missing"},
		{"for an empty list", mine.sign(t, header, changed(t, claims, "aud", `[]`)), refusal.InvalidToken, "aud is an empty list"},
		{"expired", mine.sign(t, header, changed(t, claims, "exp", `1800000000`)), refusal.InvalidToken, "expired"},
		{"without an end", mine.sign(t, header, changed(t, claims, "exp", ``)), refusal.InvalidToken, "expired, or without exp"},
		{"typ JWT", mine.sign(t, changed(t, header, "typ", `"JWT"`), claims), refusal.InvalidToken, "not a token of this authorization server"},
		{"without typ", mine.sign(t, changed(t, header, "typ", ``), claims), refusal.InvalidToken, "not a token of this authorization server"},
		{"id token", mine.sign(t, header, changed(t, claims, "nonce", `"n"`)), refusal.InvalidToken, "an ID token"},
		{"id token of a login", mine.sign(t, header, changed(t, claims, "auth_time", `1800000000`)), refusal.InvalidToken, "an ID token"},
		{"another key", other.sign(t, header, claims), refusal.InvalidToken, "not a token of this authorization server"},
		{"alg none", mine.sign(t, changed(t, header, "alg", `"none"`), claims), refusal.InvalidToken, "not a token of this authorization server"},
		{"opaque", accessToken, refusal.InvalidToken, "not a token of this authorization server"},
	} {
		check := func(t *testing.T, e *edge) {
			t.Helper()
			e.on(keys, answer(http.StatusOK, mine.jwks(t)))
			token, err := e.CheckToken(t.Context(), test.token)
			if test.kind == 0 {
				if err != nil || token.ClientID != "tpp" || token.Raw != test.token {
					t.Errorf("%+v, error %v", token, err)
				}
				return
			}
			if e.refused(err, test.kind); !strings.Contains(err.Error(), test.cause) || strings.Contains(err.Error(), test.token) {
				t.Errorf("error %v, want %q in it", err, test.cause)
			}
		}
		t.Run("validate jwt/"+test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Validate, o.RegistrationEndpoint = authserver.JWT, register })
			if check(t, e); len(e.to(introspect)) != 0 {
				t.Error("the AS was asked")
			}
		})
		t.Run("unsupported_token_type/"+test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.RegistrationEndpoint = register })
			e.on(introspect, answer(http.StatusBadRequest, `{"error":"unsupported_token_type"}`))
			check(t, e)
			e.only(introspect)
		})
		t.Run("no introspection/"+test.name, func(t *testing.T) {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.RegistrationEndpoint = register })
			e.on(discovery, answer(http.StatusOK, e.document("introspection_endpoint", "")))
			check(t, e)
		})
	}
	t.Run("token_audience", func(t *testing.T) {
		e := newEdge(t, func(_ *edge, o *authserver.Options) {
			o.Validate, o.RegistrationEndpoint, o.TokenAudience = authserver.JWT, register, []string{"urn:a", "urn:b"}
		})
		e.on(keys, answer(http.StatusOK, mine.jwks(t)))
		if _, err := e.CheckToken(t.Context(), mine.sign(t, header, changed(t, claims, "aud", `"urn:b"`))); err != nil {
			t.Errorf("one of them: %v", err)
		}
		_, err := e.CheckToken(t.Context(), mine.sign(t, header, claims)) // the issuer is none any more
		e.refused(err, refusal.InvalidToken)
	})
	t.Run("no keys", func(t *testing.T) {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Validate = authserver.JWT })
		e.on(discovery, answer(http.StatusOK, e.document("jwks_uri", `"https://evil.example/jwks"`)))
		_, err := e.CheckToken(t.Context(), mine.sign(t, header, claims))
		if e.refused(err, refusal.Unavailable); !strings.Contains(err.Error(), "publishes no jwks_uri") {
			t.Errorf("%v, want a refusal: no jwks_uri", err)
		}
	})
	t.Run("keys that cannot be had", func(t *testing.T) {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Validate = authserver.JWT })
		e.on(keys, answer(http.StatusBadGateway, ""))
		_, err := e.CheckToken(t.Context(), mine.sign(t, header, claims))
		e.refused(err, refusal.Unavailable)
	})
	t.Run("no discovery", func(t *testing.T) {
		e := newEdge(t, nil)
		e.on(discovery, answer(http.StatusBadGateway, ""))
		_, err := e.CheckToken(t.Context(), mine.sign(t, header, claims))
		e.refused(err, refusal.Unavailable)
	})
}
