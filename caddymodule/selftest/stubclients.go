package selftest

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// maxBody bounds what a stub reads.
const maxBody = 1 << 20

// serveRegistration is RFC 7591 and 7592.
func (s *authorizationServer) serveRegistration(w http.ResponseWriter, r *http.Request, below string) {
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	var metadata map[string]any
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&metadata); err != nil || metadata == nil {
			answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_client_metadata"})
			return
		}
	}
	if r.Method == http.MethodPost {
		if s.initialAccessToken != "" && bearer != s.initialAccessToken {
			answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
			return
		}
		c := &stubClient{id: rand.Text(), registrationToken: rand.Text(), metadata: metadata}
		if id := r.Header.Get(s.clientIDHeader); s.clientIDHeader != "" && id != "" {
			c.id = id
		}
		s.put(c)
		answer(w, http.StatusCreated, s.shown(c))
		return
	}
	id, err := url.PathUnescape(strings.TrimPrefix(below, "/"))
	c := s.client(id)
	if err != nil || c == nil || bearer != c.registrationToken {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	switch r.Method {
	case http.MethodPut:
		c = &stubClient{id: c.id, secret: c.secret, registrationToken: c.registrationToken, metadata: metadata}
		s.put(c)
		answer(w, http.StatusOK, s.shown(c))
	case http.MethodDelete:
		s.mu.Lock()
		delete(s.clients, c.id)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		answer(w, http.StatusOK, s.shown(c))
	}
}

// put saves a client, with a secret where its method has one.
func (s *authorizationServer) put(c *stubClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if method, _ := c.metadata["token_endpoint_auth_method"].(string); c.secret == "" && strings.HasPrefix(method, "client_secret_") {
		c.secret = rand.Text()
	}
	s.clients[c.id] = c
}

func (s *authorizationServer) client(id string) *stubClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[id]
}

// shown is the answer of a registration.
func (s *authorizationServer) shown(c *stubClient) map[string]any {
	out := map[string]any{}
	for name, value := range c.metadata {
		out[name] = value
	}
	out["client_id"], out["registration_access_token"] = c.id, c.registrationToken
	out["registration_client_uri"] = s.issuer + strings.TrimPrefix(s.at("registration_endpoint"), s.path) + "/" + url.PathEscape(c.id)
	if c.secret != "" {
		out["client_secret"], out["client_secret_expires_at"] = c.secret, 0
	}
	return out
}

// authenticate finds the client of a request, and answers one without.
func (s *authorizationServer) authenticate(w http.ResponseWriter, r *http.Request) (*stubClient, url.Values) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	form, formErr := url.ParseQuery(string(body))
	if err == nil && formErr == nil {
		if c := s.sender(r, form); c != nil {
			return c, form
		}
	}
	answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
	return nil, nil
}

// sender is the client that a request has authenticated, by a secret, an assertion, or the
// certificate that the gateway hands over; nil for none.
func (s *authorizationServer) sender(r *http.Request, form url.Values) *stubClient {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	if assertion := form.Get("client_assertion"); assertion != "" {
		return s.asserted(assertion)
	}
	c := s.client(id)
	switch {
	case c == nil:
		return nil
	case c.secret != "":
		if secret != c.secret {
			return nil
		}
		return c
	case c.metadata["token_endpoint_auth_method"] != "tls_client_auth":
		return nil
	}
	leaf, _, err := s.certificate.Read(r.Header)
	if err != nil || leaf == nil {
		return nil
	}
	claimed, _ := c.metadata["tls_client_auth_subject_dn"].(string)
	registered, err := dn.Parse(claimed)
	presented, err2 := dn.ParseSubject(leaf.RawSubject)
	if err != nil || err2 != nil || !registered.Equal(presented) {
		return nil
	}
	return c
}

// asserted is the client of an assertion (RFC 7523) that its key has signed.
func (s *authorizationServer) asserted(assertion string) *stubClient {
	jws, err := jose.ParseSigned(assertion, []jose.SignatureAlgorithm{jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.RS384, jose.RS512, jose.EdDSA})
	if err != nil {
		return nil
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims) != nil {
		return nil
	}
	c := s.client(claims.Subject)
	if c == nil {
		return nil
	}
	var keys jose.JSONWebKeySet
	if address, ok := c.metadata["jwks_uri"].(string); ok {
		keys = s.keys.keysAt(address)
	} else if raw, err := json.Marshal(c.metadata["jwks"]); err != nil || json.Unmarshal(raw, &keys) != nil {
		return nil
	}
	for _, key := range keys.Key(jws.Signatures[0].Header.KeyID) {
		if _, err := jws.Verify(key); err == nil {
			return c
		}
	}
	return nil
}

func (s *authorizationServer) serveToken(w http.ResponseWriter, r *http.Request) {
	c, form := s.authenticate(w, r)
	if c == nil {
		return
	}
	leaf, _, _ := s.certificate.Read(r.Header)
	if !s.binds {
		leaf = nil
	}
	token, err := s.issue(c.id, form.Get("scope"), leaf, nil)
	if err != nil {
		answer(w, http.StatusInternalServerError, map[string]any{"error": "server_error"})
		return
	}
	answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 600})
}

func (s *authorizationServer) serveIntrospection(w http.ResponseWriter, r *http.Request) {
	c, form := s.authenticate(w, r)
	if c == nil {
		return
	}
	t := s.token(form.Get("token"))
	if t == nil || !c.gateway && t.ClientID != c.id {
		answer(w, http.StatusOK, map[string]any{"active": false})
		return
	}
	claims := t.claims()
	claims["active"] = true
	answer(w, http.StatusOK, claims)
}

func (s *authorizationServer) serveRevocation(w http.ResponseWriter, r *http.Request) {
	c, form := s.authenticate(w, r)
	if c == nil {
		return
	}
	s.mu.Lock()
	if t := s.tokens[form.Get("token")]; t != nil && (c.gateway || t.ClientID == c.id) {
		t.ended, t.Expires = true, time.Now()
	}
	s.mu.Unlock()
	w.WriteHeader(http.StatusOK)
}
