package selftest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// stub is a host of authorization servers: those that the configuration has at one origin.
type stub struct {
	*listener

	mu      sync.Mutex
	servers []*authorizationServer
	seen    []seen
	// places are those of the proxies of the configuration, by the name under which they
	// connect.
	places map[string]string
}

// seen is a request that came to a stub.
type seen struct {
	method, target string
	header         http.Header
	// through is the place of the reverse_proxy that sent it; empty for the gateway itself.
	through string
	// bypassed: it has not passed the gateway, which would have added the shared header.
	bypassed bool
}

func newStub(ca *authority) (*stub, error) {
	s := &stub{places: map[string]string{}}
	var err error
	s.listener, err = listen(ca, http.HandlerFunc(s.serve))
	return s, err
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	var server *authorizationServer
	s.mu.Lock()
	for _, one := range s.servers {
		if one.serves(r.URL.Path) {
			server = one
		}
	}
	one := seen{method: r.Method, target: r.RequestURI, header: r.Header.Clone(), through: s.places[r.TLS.ServerName]}
	if server != nil {
		one.bypassed = one.through != "" && r.Header.Get(server.sharedHeader) != server.sharedSecret
	}
	s.seen = append(s.seen, one)
	s.mu.Unlock()
	if server == nil {
		answer(w, http.StatusOK, map[string]any{})
		return
	}
	server.serve(w, r)
}

// serves tells whether a path is the server's.
func (s *authorizationServer) serves(path string) bool {
	return strings.HasPrefix(path, s.path+"/") || strings.HasPrefix(path, "/.well-known/") && strings.HasSuffix(path, s.path) ||
		slices.Contains(slices.Collect(maps.Values(s.given)), path)
}

// proxied are the requests that proxies of the configuration have sent since the last call.
func (s *stub) proxied() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.seen
	s.seen = nil
	return slices.DeleteFunc(all, func(one seen) bool { return one.through == "" })
}

// authorizationServer is a small one. It believes the gateway, as a real one must: it is
// here to see what comes to it.
type authorizationServer struct {
	path, issuer string
	document     map[string]any
	signing      *signingKey
	// given are paths of endpoints that the document does not name.
	given map[string]string
	// clientIDHeader, certificate, sharedHeader and sharedSecret are as configured.
	clientIDHeader             string
	certificate                verify.CertificateHeader
	sharedHeader, sharedSecret string
	initialAccessToken         string
	// jwt: access tokens are JWTs for this audience. binds: they are bound to certificates.
	jwt      bool
	audience string
	binds    bool
	keys     *keyServer

	mu      sync.Mutex
	clients map[string]*stubClient
	tokens  map[string]*stubToken
}

// stubClient is a client of a stub.
type stubClient struct {
	id, secret, registrationToken string
	metadata                      map[string]any
	// gateway: it may introspect all tokens.
	gateway bool
}

// stubToken is an access token.
type stubToken struct {
	ClientID, Scope string
	Thumbprint      string
	Issued, Expires time.Time
	ended           bool
}

// newAuthorizationServer makes one with an issuer.
func newAuthorizationServer(issuer, path string, keys *keyServer) (*authorizationServer, error) {
	key, err := newSigningKey("ES256")
	return &authorizationServer{path: path, issuer: issuer, signing: key, keys: keys, clients: map[string]*stubClient{}, tokens: map[string]*stubToken{}, given: map[string]string{}}, err
}

// endpoints of the server, by the names that discovery has for them.
var endpoints = map[string]string{
	"token_endpoint": "/as/token", "registration_endpoint": "/as/clients", "authorization_endpoint": "/as/authorize", "userinfo_endpoint": "/as/userinfo",
	"jwks_uri": "/as/jwks", "introspection_endpoint": "/as/introspect", "revocation_endpoint": "/as/revoke", "pushed_authorization_request_endpoint": "/as/par",
	"backchannel_authentication_endpoint": "/as/bc", "device_authorization_endpoint": "/as/device",
}

// describe makes the discovery document, for all that a workspace allows.
func (s *authorizationServer) describe(accept verify.SupportedMetadata, methods []string) {
	algorithms := accept.IDTokenAlgs
	s.document = map[string]any{
		"issuer": s.issuer, "scopes_supported": append([]string{verify.ScopeRegister}, accept.Scopes...),
		"response_types_supported": []string{"code", "code id_token"}, "subject_types_supported": []string{"public"},
		"grant_types_supported": append([]string{"implicit"}, accept.GrantTypes...), "token_endpoint_auth_methods_supported": methods,
		"token_endpoint_auth_signing_alg_values_supported": algorithms, "id_token_signing_alg_values_supported": algorithms,
		"request_object_signing_alg_values_supported": algorithms, "tls_client_certificate_bound_access_tokens": s.binds,
		"backchannel_token_delivery_modes_supported": []string{"poll", "ping"}, "backchannel_authentication_request_signing_alg_values_supported": algorithms,
	}
	for name, path := range endpoints {
		if s.given[name] == "" {
			s.document[name] = s.issuer + path
		}
	}
}

// at is the path of an endpoint.
func (s *authorizationServer) at(name string) string {
	if given := s.given[name]; given != "" {
		return strings.ToLower(given)
	}
	return s.path + endpoints[name]
}

func (s *authorizationServer) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.ToLower(path.Clean(r.URL.Path)) // as lenient as servers are
	switch {
	case strings.Contains(path, "/.well-known/"):
		answer(w, http.StatusOK, s.document)
	case path == s.at("jwks_uri"):
		answer(w, http.StatusOK, map[string]any{"keys": []any{s.signing.jwk()}})
	case path == s.at("token_endpoint"):
		s.serveToken(w, r)
	case path == s.at("introspection_endpoint"):
		s.serveIntrospection(w, r)
	case path == s.at("revocation_endpoint"):
		s.serveRevocation(w, r)
	case path == s.at("pushed_authorization_request_endpoint"), path == s.at("backchannel_authentication_endpoint"), path == s.at("device_authorization_endpoint"):
		if c, _ := s.authenticate(w, r); c != nil {
			answer(w, http.StatusCreated, map[string]any{"request_uri": "urn:ietf:params:oauth:request_uri:" + rand.Text(), "expires_in": 60})
		}
	case path == s.at("registration_endpoint") || strings.HasPrefix(path, s.at("registration_endpoint")+"/"):
		s.serveRegistration(w, r, strings.TrimPrefix(r.URL.Path, s.at("registration_endpoint")))
	case path == s.at("userinfo_endpoint"):
		if s.token(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) == nil {
			answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
			return
		}
		answer(w, http.StatusOK, map[string]any{"sub": "user"})
	default:
		answer(w, http.StatusOK, map[string]any{})
	}
}

// issue makes a token without asking anybody. change alters what is unusual about it.
func (s *authorizationServer) issue(clientID, scope string, certificate *x509.Certificate, change func(*stubToken)) (string, error) {
	now := time.Now().Truncate(time.Second)
	t := &stubToken{ClientID: clientID, Scope: scope, Issued: now, Expires: now.Add(10 * time.Minute)}
	if certificate != nil {
		t.Thumbprint = thumbprint(certificate)
	}
	if change != nil {
		change(t)
	}
	text := rand.Text()
	if s.jwt {
		var err error
		claims := t.claims()
		maps.Copy(claims, map[string]any{"iss": s.issuer, "aud": s.audience, "sub": clientID, "jti": text})
		if text, err = s.signing.sign(claims, map[string]any{"typ": "at+jwt"}); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[text] = t
	return text, nil
}

// claims are the token's, as introspection and JWTs have them.
func (t *stubToken) claims() map[string]any {
	claims := map[string]any{"client_id": t.ClientID, "scope": t.Scope, "iat": t.Issued.Unix(), "exp": t.Expires.Unix()}
	if t.Thumbprint != "" {
		claims["cnf"] = map[string]any{"x5t#S256": t.Thumbprint}
	}
	return claims
}

// token is one that is good, nil for any other.
func (s *authorizationServer) token(text string) *stubToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[text]
	if t == nil || t.ended || time.Now().After(t.Expires) {
		return nil
	}
	return t
}

// registered are the ids of the clients that came by registration.
func (s *authorizationServer) registered() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.clients {
		if c.metadata != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// thumbprint is x5t#S256 (RFC 8705 3.1).
func thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// methodsOf are the methods that the server offers. Where its document decides on the way
// (auto), clients with a certificate are native, and all others in bridge mode, so that both
// ways are tried.
func methodsOf(way string) []string {
	secrets := []string{"client_secret_basic", "client_secret_post"}
	switch way {
	case "bridge":
		return secrets
	case "native":
		return append([]string{"tls_client_auth", "private_key_jwt"}, secrets...)
	}
	return append([]string{"tls_client_auth"}, secrets...)
}
