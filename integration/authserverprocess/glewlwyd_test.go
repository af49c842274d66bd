package authserverprocess_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	. "github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
)

// secretClient is metadata that glewlwyd takes: it knows response types one by
// one, and fetches a jwks_uri when it is told.
func secretClient() map[string]any {
	body := metadata(map[string]any{"token_endpoint_auth_method": "client_secret_basic", "response_types": []string{"code", "id_token"}})
	delete(body, "jwks_uri")
	return body
}

// enroll registers a client at glewlwyd, which answers 200.
func (s *server) enroll(body map[string]any) map[string]any {
	s.t.Helper()
	return s.json(http.StatusOK, s.endpoint("registration_endpoint", nil).withBody(s, body).bearer("initial"))
}

// tokenFor is a client_credentials request.
func (s *server) tokenFor(id, secret, scope string) call {
	return s.endpoint("token_endpoint", url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}).basic(id, secret)
}

func TestGlewlwydDiscovery(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	for name, want := range map[string]any{
		"issuer":                                issuer,
		"token_endpoint":                        issuer + "/token",
		"registration_endpoint":                 issuer + "/register",
		"introspection_endpoint":                issuer + "/introspect",
		"revocation_endpoint":                   issuer + "/revoke",
		"authorization_endpoint":                issuer + "/auth",
		"jwks_uri":                              issuer + "/jwks",
		"pushed_authorization_request_endpoint": issuer + "/par",
		// Not client_credentials, which it does, and not refresh_token.
		"grant_types_supported":                 []any{"authorization_code", "implicit"},
		"token_endpoint_auth_methods_supported": []any{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"},
		"scopes_supported":                      []any{"dcr_register", "openid", "accounts", "payments", "fundsconfirmations"},
	} {
		if got := s.discovery[name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if algorithms, _ := s.discovery["id_token_signing_alg_values_supported"].([]any); !slices.Contains(algorithms, any("PS256")) {
		t.Errorf("got the algorithms %v, want PS256 among them", algorithms)
	}
	for _, path := range []string{"/nothing", "/../auth/", "/../client/", "/../mod/plugin/"} { // not its own API
		s.status(http.StatusNotFound, s.request("GET", path, nil))
	}
}

// TestGlewlwydRegistration has what the other servers do otherwise.
func TestGlewlwydRegistration(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	registration := func() call { return s.endpoint("registration_endpoint", nil) }
	foreign := s.json(http.StatusOK, s.tokenFor("registrar", s.Config.RegistrarSecret, "dcr_register"))["access_token"].(string)
	for _, token := range []string{"wrong", "", foreign} {
		s.status(http.StatusUnauthorized, registration().withBody(s, secretClient()).bearer(token))
	}
	s.status(http.StatusUnauthorized, registration().withBody(s, secretClient()))

	refused := func(code, want string, change map[string]any) {
		t.Helper()
		body := secretClient()
		for name, value := range change {
			body[name] = value
		}
		answer := s.json(http.StatusBadRequest, registration().withBody(s, body).bearer("initial"))
		if answer["error"] != code || !strings.HasPrefix(answer["error_description"].(string), want) {
			t.Errorf("%v: got %v, want %s, %s", change, answer, code, want)
		}
	}
	refused("invalid_client_metadata", "token_endpoint_auth_method must have one of", map[string]any{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=tpp"})
	refused("invalid_client_metadata", "token_endpoint_auth_method must have one of", map[string]any{"token_endpoint_auth_method": "self_signed_tls_client_auth"})
	refused("invalid_client_metadata", "response_types must have one of", map[string]any{"response_types": []string{"code id_token"}})
	refused("invalid_client_metadata", "Invalid JWKS pointed by jwks_uri", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://localhost:1/jwks"})
	refused("invalid_redirect_uri", "a redirect_uri must be", map[string]any{"redirect_uris": []string{"http://tpp.example/callback"}})

	// It chooses the id, echoes what it was told, known or not, and answers 200.
	body := secretClient()
	body["client_id"], body["software_id"] = "mine", "software"
	answer := s.json(http.StatusOK, registration().withBody(s, body).bearer("initial").with("X-Client-Id", "chosen"))
	id := answer["client_id"].(string)
	if !regexp.MustCompile(`^[a-z0-9]{16}$`).MatchString(id) || answer["software_id"] != "software" || answer["token_endpoint_auth_method"] != "client_secret_basic" {
		t.Errorf("registered: %v", answer)
	}
	if answer["registration_client_uri"] != issuer+"/register/"+id || answer["client_secret_expires_at"] != 0.0 || answer["client_id_issued_at"] == nil {
		t.Errorf("registered: %v", answer)
	}
	if again := s.enroll(secretClient()); again["client_id"] == id {
		t.Errorf("repeated: got %v, want another client than %s", again, id)
	}
	clients, err := s.Clients(t.Context())
	if err != nil || len(clients) != 2 {
		t.Errorf("got the clients %v, %v, want 2", clients, err)
	}
	answered := make(chan error)
	for range 100 { // one page of its API; its database takes one at a time
		c := registration().withBody(s, secretClient()).bearer("initial")
		go func() {
			response, err := s.do(c)
			if err == nil {
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					err = errors.New(response.Status)
				}
			}
			answered <- err
		}()
	}
	for range 100 {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	if clients, err := s.Clients(t.Context()); err != nil || len(clients) != 102 {
		t.Errorf("got %d clients, %v, want 102", len(clients), err)
	}
}

func TestGlewlwydManagement(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	registered := s.enroll(secretClient())
	id, token, secret := registered["client_id"].(string), registered["registration_access_token"].(string), registered["client_secret"].(string)
	read := func() map[string]any {
		t.Helper()
		return s.json(http.StatusOK, s.managed("GET", id, token, nil))
	}

	// A part of what it was told, some in other shapes, and no word of the registration itself.
	answer := read()
	if answer["client_secret"] != secret || fmt.Sprint(answer["token_endpoint_auth_method"]) != "[client_secret_basic]" || answer["client_name"] != "Acme" {
		t.Errorf("GET: %v", answer)
	}
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_id_issued_at", "scope", "application_type", "id_token_signed_response_alg"} {
		if value, ok := answer[name]; ok {
			t.Errorf("GET: got %s %v, want none", name, value)
		}
	}

	renewed := secretClient()
	renewed["client_name"] = "Renewed"
	if answer := s.json(http.StatusBadRequest, s.managed("PUT", id, token, renewed)); answer["error_description"] != "Invalid client_id" {
		t.Errorf("PUT without client_id: %v", answer)
	}
	renewed["client_id"] = "other"
	s.status(http.StatusBadRequest, s.managed("PUT", id, token, renewed))

	// Each PUT makes a new secret, whatever the body says of it, and says nothing
	// of the registration access token, which goes on.
	renewed["client_id"] = id
	for _, chosen := range []string{"", secret, "chosen"} {
		if renewed["client_secret"] = chosen; chosen == "" {
			delete(renewed, "client_secret")
		}
		answer := s.json(http.StatusOK, s.managed("PUT", id, token, renewed))
		next, _ := answer["client_secret"].(string)
		if next == "" || next == secret || next == chosen || answer["registration_access_token"] != nil || answer["registration_client_uri"] != nil {
			t.Errorf("PUT: %v", answer)
		}
		s.status(http.StatusForbidden, s.tokenFor(id, secret, "accounts"))
		s.status(http.StatusOK, s.tokenFor(id, next, "accounts"))
		secret = next
	}
	// Without this member the client is public.
	delete(renewed, "token_endpoint_auth_method")
	delete(renewed, "client_secret")
	if answer := s.json(http.StatusOK, s.managed("PUT", id, token, renewed)); answer["client_secret"] != nil || read()["client_secret"] != nil {
		t.Errorf("PUT without token_endpoint_auth_method: %v, then GET: %v", answer, read())
	}
	s.status(http.StatusForbidden, s.tokenFor(id, secret, "accounts"))

	renewed["token_endpoint_auth_method"], renewed["client_secret"] = "client_secret_basic", secret
	for _, name := range []string{"registration_access_token", "registration_client_uri", "client_id_issued_at"} {
		renewed[name] = registered[name] // which RFC 7592 2.2 forbids
	}
	secret = s.json(http.StatusOK, s.managed("PUT", id, token, renewed))["client_secret"].(string)
	if answer := read(); answer["client_name"] != "Renewed" || answer["client_secret"] != secret {
		t.Errorf("GET after PUT: got %v, want the name Renewed, and the secret as it was", answer)
	}

	access := s.json(http.StatusOK, s.tokenFor(id, secret, "accounts"))["access_token"].(string)
	s.status(http.StatusUnauthorized, s.managed("DELETE", id, "wrong", nil))
	s.status(http.StatusOK, s.managed("DELETE", id, token, nil))
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		s.status(http.StatusUnauthorized, s.managed(method, id, token, renewed))
	}
	s.status(http.StatusForbidden, s.tokenFor(id, secret, "accounts"))
	if info := s.introspect(access); info["active"] != true {
		t.Errorf("the token of a deleted client: %v", info)
	}
	if clients, err := s.Clients(t.Context()); err != nil || len(clients) != 0 {
		t.Errorf("got the clients %v, %v, want none", clients, err)
	}

	// A token that is tried at another client's URI is good for nothing any more.
	registered = s.enroll(secretClient())
	id, token = registered["client_id"].(string), registered["registration_access_token"].(string)
	s.status(http.StatusUnauthorized, s.managed("GET", id, "wrong", nil))
	read()
	s.status(http.StatusUnauthorized, s.managed("GET", "other", token, nil))
	s.status(http.StatusUnauthorized, s.managed("GET", id, token, nil))
}

func TestGlewlwydTokens(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	body := secretClient()
	body["scope"] = "accounts"
	registered := s.enroll(body)
	id, secret := registered["client_id"].(string), registered["client_secret"].(string)

	// The registered scope means nothing: every client has all scopes of the plugin
	// but dcr_register, and what a request has beside them is left out.
	for scope, want := range map[string]string{"accounts": "accounts", "payments": "payments", "accounts dcr_register": "accounts"} {
		answer := s.json(http.StatusOK, s.tokenFor(id, secret, scope))
		if answer["scope"] != want || answer["token_type"] != "bearer" || answer["expires_in"] != 3600.0 {
			t.Errorf("%s: got %v, want the scope %s, bearer, 3600 s", scope, answer, want)
		}
	}
	if answer := s.json(http.StatusBadRequest, s.tokenFor(id, secret, "dcr_register")); answer["error"] != "scope_invalid" {
		t.Errorf("got %v, want scope_invalid", answer)
	}
	// Refusals have no body, and are not 401.
	for _, c := range []call{
		s.tokenFor(id, "wrong", "accounts"), s.tokenFor("unknown", secret, "accounts"), s.tokenFor(id, secret, ""),
		s.endpoint("token_endpoint", credentials(id)),
	} {
		if raw := s.status(http.StatusForbidden, c); len(raw) > 0 {
			t.Errorf("got %s, want no body", raw)
		}
	}

	access := func() string {
		t.Helper()
		return s.json(http.StatusOK, s.tokenFor(id, secret, "accounts"))["access_token"].(string)
	}
	token := access()
	info := s.introspect(token)
	if info["active"] != true || info["client_id"] != id || info["scope"] != "accounts" || info["token_type"] != "bearer" || info["exp"] == nil {
		t.Errorf("introspection: got %v, want it active, bearer, for accounts, of %s", info, id)
	}
	if info["sub"] != nil || info["iss"] != nil || info["cnf"] != nil {
		t.Errorf("introspection: got %v, want no sub, iss and cnf", info)
	}
	if info := s.introspect("nothing"); len(info) != 1 || info["active"] != false {
		t.Errorf("introspection of nothing: got %v, want active false alone", info)
	}
	s.status(http.StatusUnauthorized, s.endpoint("introspection_endpoint", url.Values{"token": {token}}))

	// Any client may introspect, and revoke, the tokens of any other.
	other := s.enroll(body)
	for by, secret := range map[string]string{
		id: secret, other["client_id"].(string): other["client_secret"].(string),
		"gateway": s.Config.GatewaySecret, "registrar": s.Config.RegistrarSecret,
	} {
		form := url.Values{"token": {access()}}
		if info := s.json(http.StatusOK, s.endpoint("introspection_endpoint", form).basic(by, secret)); info["active"] != true {
			t.Errorf("%s: got %v, want it active", by, info)
		}
		s.status(http.StatusOK, s.endpoint("revocation_endpoint", form).basic(by, secret))
		if info := s.introspect(form.Get("token")); info["active"] != false {
			t.Errorf("revoked by %s: got %v, want it not active", by, info)
		}
	}
	if info := s.introspect(token); info["active"] != true {
		t.Errorf("revoked with another: got %v, want it active", info)
	}
}

func TestGlewlwydPrivateKeyJWT(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	key := newKey(t)
	body := secretClient()
	body["token_endpoint_auth_method"] = "private_key_jwt"
	body["jwks"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256", Use: "sig"}}}
	registered := s.enroll(body)
	id := registered["client_id"].(string)
	if secret, ok := registered["client_secret"]; ok {
		t.Errorf("got the secret %v beside a key, want none", secret)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	// The audience is the token endpoint, and not the issuer, which RFC 7523 3 allows too.
	for audience, want := range map[string]int{issuer: http.StatusForbidden, issuer + "/token": http.StatusOK} {
		assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: id, Subject: id, Audience: jwt.Audience{audience}, ID: uuid.NewString(),
			IssuedAt: jwt.NewNumericDate(time.Now()), Expiry: jwt.NewNumericDate(time.Now().Add(5 * time.Minute)),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{
			"grant_type": {"client_credentials"}, "scope": {"accounts"}, "client_id": {id}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		s.status(want, s.endpoint("token_endpoint", form))
		s.status(http.StatusForbidden, s.endpoint("token_endpoint", form)) // replayed
	}
}

// TestGlewlwydAuthorizationCode goes by way of a pushed request and by the front.
func TestGlewlwydAuthorizationCode(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	registered := s.enroll(secretClient())
	id, secret := registered["client_id"].(string), registered["client_secret"].(string)
	verifier := strings.Repeat("v", 43)
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {"https://tpp.example/callback"}, "scope": {"openid accounts"}, "state": {"s"},
		"nonce": {"n"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	pushed := s.json(http.StatusCreated, s.endpoint("pushed_authorization_request_endpoint", query).basic(id, secret))
	for _, query := range []url.Values{query, {"client_id": {id}, "request_uri": {pushed["request_uri"].(string)}}} {
		authorize := s.endpoint("authorization_endpoint", nil)
		authorize.Method, authorize.Body, authorize.URL.RawQuery = "GET", nil, query.Encode()
		response, err := s.do(authorize)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		callback, err := response.Location()
		if err != nil || callback.Query().Get("code") == "" || callback.Host != "tpp.example" {
			t.Fatalf("%s to %v: %v", response.Status, callback, err)
		}
		tokens := s.json(http.StatusOK, s.endpoint("token_endpoint", url.Values{
			"grant_type": {"authorization_code"}, "code": {callback.Query().Get("code")},
			"redirect_uri": {"https://tpp.example/callback"}, "code_verifier": {verifier},
		}).basic(id, secret))
		if info := s.introspect(tokens["access_token"].(string)); info["username"] != "psu" || info["scope"] != "openid accounts" {
			t.Errorf("got %v, want the username psu and the scope openid accounts", info)
		}
		s.status(http.StatusOK, s.endpoint("token_endpoint", url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)},
		}).basic(id, secret))
	}
}

// TestGlewlwydEdge has the process behind the edge end with it.
func TestGlewlwydEdge(t *testing.T) {
	s := start(t, Glewlwyd, nil)
	if err := s.Fault(t.Context(), Fault{Method: "POST", PathContains: "/register", After: true, Status: http.StatusBadGateway}); err != nil {
		t.Fatal(err)
	}
	s.status(http.StatusBadGateway, s.endpoint("registration_endpoint", nil).withBody(s, secretClient()).bearer("initial"))
	requests, err := s.RequestsTo(t.Context(), "POST", "/register")
	if err != nil || len(requests) != 1 || requests[0].Header.Get("Authorization") != "Bearer initial" {
		t.Errorf("got %v, %v, want one request with the token initial", requests, err)
	}
	if clients, err := s.Clients(t.Context()); err != nil || len(clients) != 1 {
		t.Errorf("got the clients %v, %v, want 1", clients, err)
	}

	backend := regexp.MustCompile(`started on port (\d+)`).FindStringSubmatch(s.Log())
	if backend == nil {
		t.Fatalf("no port in %s", s.Log())
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		connection, err := net.Dial("tcp", "127.0.0.1:"+backend[1])
		if err != nil {
			break
		}
		connection.Close()
		if time.Now().After(deadline) {
			t.Fatal("glewlwyd goes on without its edge")
		}
	}
	config := s.Config
	config.Listen = s.Listen
	again, err := Start(t.Context(), s.Kind, config)
	if err != nil {
		t.Fatal(err)
	}
	if clients, err := again.Clients(t.Context()); err != nil || len(clients) != 0 || again.Listen != s.Listen {
		t.Errorf("%v at %s, want none at %s; %v", clients, again.Listen, s.Listen, err)
	}
	if err := again.Stop(); err != nil {
		t.Error(err)
	}

	config.AccessTokens = "opaque"
	if _, err := Start(t.Context(), Glewlwyd, config); err == nil || !strings.Contains(err.Error(), "opaque") {
		t.Error(err)
	}
	config.AccessTokens, config.Issuer = "jwt", "https://localhost:8443/obuk"
	if _, err := Start(t.Context(), Glewlwyd, config); err == nil || !strings.Contains(err.Error(), "two segments") {
		t.Error(err)
	}
}
