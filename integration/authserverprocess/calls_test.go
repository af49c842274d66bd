package authserverprocess_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	. "github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/debianpackage"
)

const issuer = "https://localhost:8443/default/obuk"

// server is one authorization server as a test sees it.
type server struct {
	*Process
	t         *testing.T
	authority *authority
	discovery map[string]any
}

// eachServer runs a test against both, with Client-Cert trusted unless change says otherwise.
func eachServer(t *testing.T, change func(*Config), test func(*testing.T, *server)) {
	for _, kind := range Kinds {
		t.Run(string(kind), func(t *testing.T) { test(t, start(t, kind, change)) })
	}
}

// start starts a server that the test stops at its end.
func start(t *testing.T, kind Kind, change func(*Config)) *server {
	t.Helper()
	s := &server{t: t, authority: newAuthority(t)}
	certificate, key := s.authority.files(s.authority.issue(transportName("localhost")))
	config := Config{
		TLSCert: certificate, TLSKey: key, ClientCA: s.authority.roots, JWKSCA: s.authority.roots,
		Issuer: issuer, Prefix: "/default/obuk", InitialAccessToken: "initial", ClientIDHeader: "X-Client-Id",
		GatewayID: "gateway", GatewaySecret: "gateway-secret-of-32-characters--",
		RegistrarID: "registrar", RegistrarSecret: "registrar-secret-of-32-characters",
		TrustClientCertHeader: true, Admin: true,
	}
	if change != nil {
		change(&config)
	}
	var err error
	if s.Process, err = Start(t.Context(), kind, config); errors.Is(err, debianpackage.ErrNoApt) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.Log())
		}
	})
	s.discovery = s.json(http.StatusOK, s.request("GET", "/.well-known/openid-configuration", nil))
	return s
}

// call is a request under the prefix and who makes it.
type call struct {
	*http.Request
	certificate *tls.Certificate // direct mTLS
}

func (s *server) request(method, path string, body any) call {
	s.t.Helper()
	var reader io.Reader
	switch body := body.(type) {
	case url.Values:
		reader = strings.NewReader(body.Encode())
	case map[string]any:
		raw, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL()+path, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if _, ok := body.(url.Values); ok {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return call{Request: r}
}

// endpoint is a request to an endpoint that discovery names.
func (s *server) endpoint(name string, form url.Values) call {
	s.t.Helper()
	u, err := url.Parse(s.discovery[name].(string))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.request("POST", strings.TrimPrefix(u.Path, s.Config.Prefix), form)
}

func (c call) basic(id, secret string) call {
	c.SetBasicAuth(id, secret)
	return c
}

func (c call) bearer(token string) call {
	c.Header.Set("Authorization", "Bearer "+token)
	return c
}

func (c call) with(name, value string) call {
	c.Header.Set(name, value)
	return c
}

func (s *server) do(c call) (*http.Response, error) {
	config := &tls.Config{RootCAs: s.authority.pool()}
	if c.certificate != nil {
		config.Certificates = []tls.Certificate{*c.certificate}
	}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	return transport.RoundTrip(c.Request)
}

func (s *server) status(want int, c call) []byte {
	s.t.Helper()
	response, err := s.do(c)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != want {
		s.t.Fatalf("%s %s: %s, want %d\n%s\n%s", c.Method, c.URL, response.Status, want, raw, s.Log())
	}
	return raw
}

func (s *server) json(want int, c call) map[string]any {
	s.t.Helper()
	var out map[string]any
	if raw := s.status(want, c); json.Unmarshal(raw, &out) != nil {
		s.t.Fatalf("%s %s: not JSON: %s", c.Method, c.URL, raw)
	}
	return out
}

// metadata is what the gateway tells an AS about a client (RFC 7591).
func metadata(change map[string]any) map[string]any {
	out := map[string]any{
		"redirect_uris":  []string{"https://tpp.example/callback"},
		"response_types": []string{"code", "code id_token"}, "grant_types": []string{"authorization_code", "client_credentials", "refresh_token", "implicit"},
		"scope": "openid accounts payments", "client_name": "Acme", "application_type": "web",
		"id_token_signed_response_alg": "PS256", "jwks_uri": "https://localhost:1/jwks",
	}
	maps.Copy(out, change)
	return out
}

// tlsClient is metadata for tls_client_auth; each server compares the DN in its own form.
func (s *server) tlsClient(certificate tls.Certificate) map[string]any {
	dn := certificate.Leaf.Subject.String()
	if s.Kind == OIDCProvider {
		dn = "organizationIdentifier=PSDGB-FCA-123456,CN=" + certificate.Leaf.Subject.CommonName + `,O=Acme\, Ltd,C=GB`
	}
	return metadata(map[string]any{
		"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": dn,
		"tls_client_certificate_bound_access_tokens": true,
	})
}

func (s *server) register(body map[string]any, id string) map[string]any {
	s.t.Helper()
	return s.json(http.StatusCreated, s.endpoint("registration_endpoint", nil).withBody(s, body).bearer("initial").with("X-Client-Id", id))
}

func (c call) withBody(s *server, body map[string]any) call {
	return s.request(c.Method, strings.TrimPrefix(c.URL.Path, s.Config.Prefix), body)
}

func (s *server) managed(method, id, token string, body map[string]any) call {
	path := strings.TrimPrefix(s.endpoint("registration_endpoint", nil).URL.Path, s.Config.Prefix) + "/" + id
	return s.request(method, path, body).bearer(token)
}

func (s *server) introspect(token string) map[string]any {
	s.t.Helper()
	return s.json(http.StatusOK, s.endpoint("introspection_endpoint", url.Values{"token": {token}}).basic("gateway", s.Config.GatewaySecret))
}

func credentials(id string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {""}, "client_id": {id}}
}

func again(c call) call {
	body, _ := c.GetBody()
	c.Body = body
	return c
}
