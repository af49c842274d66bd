package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// stageServer is the AS of a stage. ServeHTTP is what the gateway itself asks it, next what
// the gateway passes on to it.
type stageServer struct {
	t     *testing.T
	https *httptest.Server

	mu      sync.Mutex
	tokens  map[string]map[string]any // what introspection says; no member "active" is true
	secrets map[string]string         // of clients that the gateway authenticates as
	seen    []passedOn
	// answer answers what was passed on. Default: as an AS would, of the token endpoint, and
	// nothing of all others.
	answer http.HandlerFunc
}

// passedOn is a request that has passed the gateway.
type passedOn struct {
	method, target, body string
	length               int64
	header, trailer      http.Header
}

func newStageServer(t *testing.T) *stageServer {
	t.Helper()
	as := &stageServer{t: t, tokens: map[string]map[string]any{}, secrets: map[string]string{}}
	as.https = httptest.NewTLSServer(as)
	t.Cleanup(as.https.Close)
	return as
}

// endpoints are those of the discovery document, but for registration.
var endpoints = map[string]string{
	"authorization_endpoint": "/default/obuk/auth", "token_endpoint": tokenPath, "pushed_authorization_request_endpoint": "/default/obuk/par",
	"introspection_endpoint": "/default/obuk/introspect", "revocation_endpoint": "/default/obuk/revoke", "userinfo_endpoint": "/default/obuk/me", "jwks_uri": "/default/obuk/jwks",
}

// asRegistration is where the AS itself registers clients.
const asRegistration = "/default/obuk/reg"

// ServeHTTP is discovery, introspection, revocation and registration.
func (as *stageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	as.mu.Lock()
	defer as.mu.Unlock()
	id := strings.TrimPrefix(r.URL.Path, asRegistration+"/")
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		as.write(w, http.StatusOK, discoveryDocument())
	case r.URL.Path == endpoints["jwks_uri"]:
		as.write(w, http.StatusOK, map[string]any{"keys": []any{strangerKey().jwk(map[string]any{"use": "sig", "alg": "PS256"})}})
	case r.URL.Path == endpoints["introspection_endpoint"]:
		said, ok := as.tokens[r.FormValue("token")]
		if !ok {
			said = map[string]any{"active": false}
		}
		as.write(w, http.StatusOK, said)
	case r.URL.Path == endpoints["revocation_endpoint"]:
		delete(as.tokens, r.FormValue("token"))
	case r.Method == http.MethodPost && r.URL.Path == asRegistration:
		as.register(w, r, http.StatusCreated, r.Header.Get("X-Client-Id"))
	case r.Method == http.MethodPut && id != r.URL.Path:
		as.register(w, r, http.StatusOK, id)
	case r.Method == http.MethodDelete && id != r.URL.Path:
		w.WriteHeader(http.StatusNoContent)
	default:
		as.t.Errorf("the authorization server is asked %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	}
}

// discoveryDocument is of an AS that binds tokens to certificates by itself.
func discoveryDocument() map[string]any {
	document := map[string]any{
		"issuer": stageIssuer, "registration_endpoint": stageSite + asRegistration, "tls_client_certificate_bound_access_tokens": true,
		"token_endpoint_auth_methods_supported": []string{"tls_client_auth", "private_key_jwt", "client_secret_basic"},
	}
	for name, path := range endpoints {
		document[name] = stageSite + path
	}
	return document
}

// register answers a registration with what was asked for (RFC 7591 3.2.1).
func (as *stageServer) register(w http.ResponseWriter, r *http.Request, status int, id string) {
	client := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&client); err != nil {
		as.t.Errorf("what the authorization server is told of a client: %v", err)
	}
	client["client_id"], client["registration_access_token"], client["registration_client_uri"] = id, "registration token of "+id, as.https.URL+asRegistration+"/"+id
	if method, _ := client["token_endpoint_auth_method"].(string); strings.HasPrefix(method, "client_secret_") {
		as.secrets[id] = uuid.NewString()
		client["client_secret"], client["client_secret_expires_at"] = as.secrets[id], 0
	}
	as.write(w, status, client)
}

func (as *stageServer) write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(jsonOf(as.t, v))
}

// next is what the gateway passes requests on to.
func (as *stageServer) next(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		as.t.Errorf("the body of what was passed on: %v", err)
	}
	target := r.URL.RequestURI()
	if r.URL.Scheme != "" || r.URL.Host != "" { // in absolute-form
		target = r.URL.String()
	}
	as.mu.Lock()
	as.seen = append(as.seen, passedOn{r.Method, target, string(body), r.ContentLength, r.Header.Clone(), r.Trailer.Clone()})
	answer := as.answer
	as.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == tokenPath:
		as.write(w, http.StatusOK, map[string]any{"access_token": "a-token-of-the-AS", "token_type": "Bearer", "expires_in": 600})
	}
}

// issue has the AS know a token, for ten minutes; claims are what introspection says.
func (as *stageServer) issue(claims map[string]any) (token string) {
	now := time.Now()
	token = "token-" + uuid.NewString()
	as.mu.Lock()
	defer as.mu.Unlock()
	as.tokens[token] = changedClaims(map[string]any{"active": true, "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix()}, claims)
	return token
}

// passed are the requests that have passed since it was called last.
func (as *stageServer) passed() []passedOn {
	as.mu.Lock()
	defer as.mu.Unlock()
	seen := as.seen
	as.seen = nil
	return seen
}

// answers sets what answers the requests that are passed on.
func (as *stageServer) answers(f http.HandlerFunc) {
	as.mu.Lock()
	defer as.mu.Unlock()
	as.answer = f
}
