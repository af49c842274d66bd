package authserverprocess_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	. "github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

func TestRegistrationAndTokens(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, s *server) {
		if s.discovery["issuer"] != issuer {
			t.Errorf("got the issuer %v, want %s", s.discovery["issuer"], issuer)
		}
		registrar := s.json(http.StatusOK, s.endpoint("token_endpoint", url.Values{"grant_type": {"client_credentials"}, "scope": {"dcr_register"}}).
			basic("registrar", s.Config.RegistrarSecret))["access_token"].(string)
		if info := s.introspect(registrar); info["active"] != true || info["scope"] != "dcr_register" {
			t.Errorf("registration token: got %v, want it active with dcr_register", info)
		}
		s.status(http.StatusOK, s.endpoint("revocation_endpoint", url.Values{"token": {registrar}}).basic("registrar", s.Config.RegistrarSecret))
		if info := s.introspect(registrar); info["active"] != false {
			t.Errorf("revoked registration token: got %v, want it not active", info)
		}

		certificate, other := s.authority.issue(transportName("tpp")), s.authority.issue(transportName("other"))
		id := uuid.NewString()
		body := s.tlsClient(certificate)
		s.status(http.StatusUnauthorized, s.endpoint("registration_endpoint", nil).withBody(s, body).bearer("wrong"))
		first := s.register(body, id)
		second := s.register(body, id)
		if first["client_id"] != id || second["client_id"] != id || first["registration_access_token"] == second["registration_access_token"] {
			t.Fatalf("repeated registration: got\n%v\n%v\nwant %s twice, with another token", first, second, id)
		}
		if clients, err := s.Clients(t.Context()); err != nil || len(clients) != 1 || clients[0]["client_id"] != id {
			t.Errorf("got the clients %v, %v, want %s alone", clients, err, id)
		}

		bound := s.json(http.StatusOK, s.endpoint("token_endpoint", credentials(id)).with("Client-Cert", clientCert(certificate)))["access_token"].(string)
		if info := s.introspect(bound); info["active"] != true || info["client_id"] != id || info["cnf"] == nil {
			t.Errorf("bound token: got %v, want it active, bound, of %s", info, id)
		}
		s.status(http.StatusUnauthorized, s.endpoint("token_endpoint", credentials(id)).with("Client-Cert", clientCert(other)))
		s.status(http.StatusUnauthorized, s.endpoint("token_endpoint", credentials(id)))
		direct := s.endpoint("token_endpoint", credentials(id))
		direct.certificate = &certificate
		s.status(http.StatusUnauthorized, direct) // only the header is trusted here

		token := second["registration_access_token"].(string)
		renewed := s.tlsClient(other)
		renewed["client_id"] = id
		updated := s.json(http.StatusOK, s.managed("PUT", id, token, renewed))
		if updated["registration_access_token"] == token {
			t.Error("PUT did not rotate the registration access token")
		}
		s.status(http.StatusOK, s.endpoint("token_endpoint", credentials(id)).with("Client-Cert", clientCert(other)))
		s.status(http.StatusUnauthorized, s.endpoint("token_endpoint", credentials(id)).with("Client-Cert", clientCert(certificate)))

		token = updated["registration_access_token"].(string)
		read := s.json(http.StatusOK, s.managed("GET", id, token, nil))
		if rotated := read["registration_access_token"] != token; rotated != (s.Kind == GoOIDC) {
			t.Errorf("GET rotated the registration access token: %v", rotated)
		}
		token = read["registration_access_token"].(string)
		s.status(http.StatusNoContent, s.managed("DELETE", id, token, nil))
		s.status(http.StatusUnauthorized, s.endpoint("token_endpoint", credentials(id)).with("Client-Cert", clientCert(other)))
		if info := s.introspect(bound); info["active"] != true {
			t.Errorf("the token of a deleted client: %v", info) // real servers are so
		}
	})
}

func TestDirectMTLS(t *testing.T) {
	eachServer(t, func(c *Config) { c.TrustClientCertHeader = false }, func(t *testing.T, s *server) {
		certificate := s.authority.issue(transportName("tpp"))
		id := s.register(s.tlsClient(certificate), "")["client_id"].(string)
		if _, err := uuid.Parse(id); err != nil {
			t.Errorf("own client_id %q: %v", id, err)
		}
		direct := s.endpoint("token_endpoint", credentials(id))
		direct.certificate = &certificate
		s.status(http.StatusOK, direct)
		s.status(http.StatusUnauthorized, s.endpoint("token_endpoint", credentials(id)).with("Client-Cert", clientCert(certificate)))
		for range 150 { // the stores of both libraries forget
			s.register(s.tlsClient(certificate), "")
		}
		s.status(http.StatusOK, again(direct))
	})
}

func TestPrivateKeyJWTAndSecret(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, s *server) {
		key := newKey(t)
		jwks := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
		}))
		jwks.TLS = &tls.Config{Certificates: []tls.Certificate{s.authority.issue(transportName("jwks"))}}
		jwks.StartTLS()
		defer jwks.Close()

		id := s.register(metadata(map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256", "jwks_uri": jwks.URL}), "")["client_id"].(string)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
		if err != nil {
			t.Fatal(err)
		}
		assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: id, Subject: id, Audience: jwt.Audience{issuer}, ID: uuid.NewString(),
			IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(30 * time.Minute)),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		form := credentials(id)
		form.Set("client_assertion", assertion)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		s.status(http.StatusOK, s.endpoint("token_endpoint", form))
		s.status(http.StatusUnauthorized, s.endpoint("token_endpoint", form)) // replayed

		bridged := s.register(metadata(map[string]any{"token_endpoint_auth_method": "client_secret_basic"}), "")
		form = credentials(bridged["client_id"].(string))
		s.status(http.StatusOK, s.endpoint("token_endpoint", form).basic(form.Get("client_id"), bridged["client_secret"].(string)))
	})
}

// TestAuthorizationCode goes the way of a payment service user's browser.
func TestAuthorizationCode(t *testing.T) {
	eachServer(t, nil, func(t *testing.T, s *server) {
		certificate := s.authority.issue(transportName("tpp"))
		id := s.register(s.tlsClient(certificate), "")["client_id"].(string)
		verifier := strings.Repeat("v", 43)
		challenge := sha256.Sum256([]byte(verifier))
		jar, _ := cookiejar.New(nil)
		browser := &http.Client{
			Jar:       jar,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.authority.pool()}, DisableKeepAlives: true},
			CheckRedirect: func(r *http.Request, _ []*http.Request) error {
				if r.URL.Host == "tpp.example" {
					return http.ErrUseLastResponse
				}
				return nil
			},
		}
		authorize := s.endpoint("authorization_endpoint", nil)
		authorize.Method, authorize.Body = "GET", nil
		authorize.URL.RawQuery = url.Values{
			"client_id": {id}, "response_type": {"code"}, "redirect_uri": {"https://tpp.example/callback"}, "scope": {"openid accounts"}, "state": {"s"},
			"nonce": {"n"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
		}.Encode()
		response, err := browser.Do(authorize.Request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		callback, err := response.Location()
		if err != nil || callback.Query().Get("code") == "" {
			t.Fatalf("%s to %v: %v", response.Status, callback, err)
		}
		tokens := s.json(http.StatusOK, s.endpoint("token_endpoint", url.Values{
			"grant_type": {"authorization_code"}, "code": {callback.Query().Get("code")}, "redirect_uri": {"https://tpp.example/callback"},
			"code_verifier": {verifier}, "client_id": {id},
		}).with("Client-Cert", clientCert(certificate)))
		if info := s.introspect(tokens["access_token"].(string)); info["sub"] != "psu" || info["scope"] != "openid accounts" {
			t.Errorf("got %v, want the sub psu and the scope openid accounts", info)
		}
		s.status(http.StatusOK, s.endpoint("token_endpoint", url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}, "client_id": {id},
		}).with("Client-Cert", clientCert(certificate)))
	})
}

func TestJWTAccessTokens(t *testing.T) {
	eachServer(t, func(c *Config) { c.AccessTokens = "jwt" }, func(t *testing.T, s *server) {
		raw := s.json(http.StatusOK, s.endpoint("token_endpoint", url.Values{"grant_type": {"client_credentials"}, "scope": {"dcr_register"}}).
			basic("registrar", s.Config.RegistrarSecret))["access_token"].(string)
		token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.PS256})
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]any
		var keys jose.JSONWebKeySet
		u, _ := url.Parse(s.discovery["jwks_uri"].(string))
		if err := json.Unmarshal(s.status(http.StatusOK, s.request("GET", strings.TrimPrefix(u.Path, s.Config.Prefix), nil)), &keys); err != nil {
			t.Fatal(err)
		}
		if err := token.Claims(keys, &claims); err != nil {
			t.Fatal(err)
		}
		if claims["client_id"] != "registrar" || claims["scope"] != "dcr_register" || token.Headers[0].ExtraHeaders["typ"] != "at+jwt" {
			t.Errorf("got %v %v, want at+jwt of registrar with dcr_register", token.Headers, claims)
		}
		introspection := s.endpoint("introspection_endpoint", url.Values{"token": {raw}}).basic("gateway", s.Config.GatewaySecret)
		if s.Kind == OIDCProvider {
			if answer := s.json(http.StatusBadRequest, introspection); answer["error"] != "unsupported_token_type" {
				t.Errorf("got %v, want unsupported_token_type", answer)
			}
		} else if answer := s.json(http.StatusOK, introspection); answer["active"] != true {
			t.Errorf("got %v, want active", answer)
		}
	})
}
