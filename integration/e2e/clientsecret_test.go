package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// secretWords switch on all methods that there are.
const secretWords = "token_endpoint_auth_methods tls_client_auth private_key_jwt client_secret_basic client_secret_post client_secret_jwt"

// secretMethods are on here. The gateway is the client at the AS for these alone: both
// servers can do tls_client_auth and private_key_jwt themselves.
var secretMethods = []gateway.Edit{gateway.Unlimited, gateway.Workspace(secretWords, "explain on", "reregister return")}

// asTool are the claims of the official tool: it names PS256 for every method, because the
// official files have no HS256.
func asTool(method string) map[string]any {
	return map[string]any{
		"token_endpoint_auth_method": method, "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil,
		"grant_types": []string{"authorization_code", "client_credentials"}, "subject_type": "public", "scope": "accounts openid",
	}
}

// secretToken is the official tool's request for a token with a secret. It has no client_id
// in the form, encodes nothing in Basic, and names no key in the assertion.
func secretToken(t *testing.T, by *tpp.Client, endpoint, method, id, secret string, header map[string]any) *tpp.Response {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}}
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	switch method {
	case "client_secret_basic":
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
	case "client_secret_post":
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	case "client_secret_jwt":
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", hmacAssertion(t, id, endpoint, secret, header))
	}
	r, err := by.Do(t.Context(), http.MethodPost, endpoint, h, []byte(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func hmacAssertion(t *testing.T, id, audience, secret string, header map[string]any) string {
	t.Helper()
	if header == nil {
		header = map[string]any{"alg": "HS256", "typ": "JWT"}
	}
	now := time.Now()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(header) + "." + part(map[string]any{
		"iss": id, "sub": id, "aud": audience, "iat": now.Unix(), "exp": now.Add(30 * time.Minute).Unix(), "jti": fmt.Sprint("jti-", now.UnixNano()),
	})
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestClientSecrets: a TPP registers with each of the methods that share a secret, gets
// tokens and manages its registration; the AS knows another secret, and nobody but the TPP
// is told the TPP's.
func TestClientSecrets(t *testing.T) {
	each(t, story.Options{Edits: secretMethods}, func(t *testing.T, p *story.Play) {
		s := &secrets{t: t, p: p, token: p.Endpoint("token_endpoint")}
		d, err := p.Client(p.Acme).Discover(t.Context(), p.Issuer)
		if err != nil || fmt.Sprint(d.JSON["token_endpoint_auth_methods_supported"]) != "[tls_client_auth private_key_jwt client_secret_basic client_secret_post client_secret_jwt]" ||
			fmt.Sprint(d.JSON["token_endpoint_auth_signing_alg_values_supported"]) != "[PS256 ES256 HS256]" {
			t.Errorf("discovery %v, %v", d, err)
		}
		says(t, p.Gateway, `"methods":"client_secret_basic client_secret_post client_secret_jwt"`)
		tls := registers(t, p, p.Client(p.Acme), nil)
		if tls.Status != http.StatusCreated || tls.JSON["client_secret"] != nil {
			t.Fatalf("got %v, want 201 without a client_secret", tls)
		}
		says(t, p.Gateway, `"token_endpoint_auth":"native"`)
		ids := map[string]string{}
		for _, method := range []string{"client_secret_basic", "client_secret_post", "client_secret_jwt"} {
			ids[method] = s.lives(method)
		}
		s.refuses(ids, tls.Text("client_id"))
		s.changes(ids["client_secret_basic"])
		s.repeats()
		s.ends(ids)
		s.secret()
	})
}

// secrets is a play with clients that have secrets; last is the newest of each client, all
// are all that there were.
type secrets struct {
	t     *testing.T
	p     *story.Play
	token string
	last  map[string]string
	all   []string
}

// told takes over the secret of an answer that must have one.
func (s *secrets) told(r *tpp.Response, status int) (id string) {
	s.t.Helper()
	secret := r.Text("client_secret")
	if r.Status != status || len(secret) != 32 || r.JSON["client_secret_expires_at"] != 0.0 || slices.Contains(s.all, secret) {
		s.t.Fatalf("got %v, want %d and a new secret of 32 characters", r, status)
	}
	if s.last == nil {
		s.last = map[string]string{}
	}
	id = r.Text("client_id")
	s.last[id], s.all = secret, append(s.all, secret)
	return id
}

// tokenOf is a token of the client's, and holds what the AS is sent.
func (s *secrets) tokenOf(method, id string) string {
	s.t.Helper()
	if err := s.p.AS.ResetRequests(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	r := secretToken(s.t, s.p.Client(s.p.Acme), s.token, method, id, s.last[id], nil)
	if r.Status != http.StatusOK {
		s.t.Fatalf("%s: %v, want 200", method, r)
	}
	seen, err := s.p.Seen(s.t.Context())
	if err != nil || len(seen) != 1 || seen[0].Header.Get("Authorization") != "Basic "+basic(id, secretOf(s.t, s.p, id)) ||
		strings.Contains(seen[0].Body, "client_secret") || strings.Contains(seen[0].Body, "client_assertion") {
		s.t.Errorf("%s: the authorization server was sent %+v, %v", method, seen, err)
	}
	return r.Text("access_token")
}

// lives registers, and manages the registration as the official tool does.
func (s *secrets) lives(method string) (id string) {
	s.t.Helper()
	client := s.p.Client(s.p.Acme)
	r := registers(s.t, s.p, client, asTool(method))
	id = s.told(r, http.StatusCreated)
	if r.Text("token_endpoint_auth_method") != method || r.Text("token_endpoint_auth_signing_alg") != "PS256" {
		s.t.Errorf("got %v, want %s and PS256", r, method)
	}
	token := s.tokenOf(method, id)
	quiet := func(r *tpp.Response, err error) {
		s.t.Helper()
		answered(s.t, r, err, 200, "")
		for _, name := range []string{"client_secret", "client_secret_expires_at"} {
			if r.JSON[name] != nil {
				s.t.Errorf("%s: %s is told again: %v", method, name, r)
			}
		}
	}
	quiet(client.Read(s.t.Context(), s.p.Register, id, token))
	body, err := s.p.Acme.Request(asTool(method))
	if err != nil {
		s.t.Fatal(err)
	}
	quiet(client.Update(s.t.Context(), s.p.Register, id, token, body))
	s.tokenOf(method, id)
	return id
}

// refuses holds that no other secret, place, signature or certificate will do, and that
// none of it reaches the AS.
func (s *secrets) refuses(ids map[string]string, tls string) {
	s.t.Helper()
	own := s.p.Client(s.p.Acme)
	anonymous := tpp.NewClient(s.p.ClientOptions())
	defer anonymous.Close()
	if err := s.p.AS.ResetRequests(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	const inBasic, post, jwt = "client_secret_basic", "client_secret_post", "client_secret_jwt"
	public, err := json.Marshal(s.p.Acme.JWKS())
	if err != nil {
		s.t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by                 *tpp.Client
		method, id, secret string
		header             map[string]any
	}{
		"no certificate":                            {anonymous, inBasic, ids[inBasic], s.last[ids[inBasic]], nil},
		"another certificate":                       {s.p.Client(s.p.Other), post, ids[post], s.last[ids[post]], nil},
		"another certificate, assertion":            {s.p.Client(s.p.Other), jwt, ids[jwt], s.last[ids[jwt]], nil},
		"a wrong secret":                            {own, inBasic, ids[inBasic], strings.Repeat("x", 32), nil},
		"an empty secret":                           {own, inBasic, ids[inBasic], "", nil},
		"another client's secret":                   {own, inBasic, ids[inBasic], s.last[ids[post]], nil},
		"another client's secret, posted":           {own, post, ids[post], s.last[ids[inBasic]], nil},
		"another client's secret, signing":          {own, jwt, ids[jwt], s.last[ids[post]], nil},
		"the secret at the authorization server":    {own, inBasic, ids[inBasic], secretOf(s.t, s.p, ids[inBasic]), nil},
		"a Basic client that posts":                 {own, post, ids[inBasic], s.last[ids[inBasic]], nil},
		"a Basic client that signs":                 {own, jwt, ids[inBasic], s.last[ids[inBasic]], nil},
		"a posting client with Basic":               {own, inBasic, ids[post], s.last[ids[post]], nil},
		"a signing client with Basic":               {own, inBasic, ids[jwt], s.last[ids[jwt]], nil},
		"a certificate client with a secret":        {own, inBasic, tls, s.last[ids[inBasic]], nil},
		"a certificate client that signs":           {own, jwt, tls, s.last[ids[jwt]], nil},
		"alg none":                                  {own, jwt, ids[jwt], s.last[ids[jwt]], map[string]any{"alg": "none"}},
		"alg PS256":                                 {own, jwt, ids[jwt], s.last[ids[jwt]], map[string]any{"alg": "PS256"}},
		"alg RS256":                                 {own, jwt, ids[jwt], s.last[ids[jwt]], map[string]any{"alg": "RS256"}},
		"alg HS512":                                 {own, jwt, ids[jwt], s.last[ids[jwt]], map[string]any{"alg": "HS512"}},
		"the software's public keys as if a secret": {own, jwt, ids[jwt], string(public), map[string]any{"alg": "HS256", "kid": s.p.Acme.Signing.ID}},
	} {
		if r := secretToken(s.t, c.by, s.token, c.method, c.id, c.secret, c.header); r.Status != 401 || r.Text("error") != "invalid_client" {
			s.t.Errorf("%s: %v, want 401 invalid_client", name, r)
		}
	}
	assertion, err := s.p.Acme.Assertion(ids[jwt], s.p.Issuer, nil) // PS256, with a key of the software
	if err != nil {
		s.t.Fatal(err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	r, err := own.Token(s.t.Context(), s.token, form, nil)
	answered(s.t, r, err, 401, "invalid_client")
	if seen, err := s.p.Seen(s.t.Context()); err != nil || len(seen) > 0 {
		s.t.Errorf("the authorization server saw %d requests, %v", len(seen), err)
	}
}

// changes takes a client to other methods and back: each secret ends with its method.
func (s *secrets) changes(id string) {
	s.t.Helper()
	client, before := s.p.Client(s.p.Acme), "client_secret_basic"
	for _, method := range []string{"client_secret_jwt", "client_secret_post", "tls_client_auth", "client_secret_basic"} {
		var token string
		if before == "tls_client_auth" {
			var err error
			if token, err = s.p.ClientToken(s.t.Context(), s.p.Acme, id); err != nil {
				s.t.Fatal(err)
			}
		} else {
			token = s.tokenOf(before, id)
		}
		claims := asTool(method)
		body, err := s.p.Acme.Request(claims)
		if err != nil {
			s.t.Fatal(err)
		}
		ended := s.last[id]
		r, err := client.Update(s.t.Context(), s.p.Register, id, token, body)
		answered(s.t, r, err, 200, "")
		if method == "tls_client_auth" {
			if r.JSON["client_secret"] != nil {
				s.t.Errorf("a secret of a client without: %v", r)
			}
		} else {
			s.told(r, 200)
		}
		for _, with := range []string{before, method} {
			if with == "tls_client_auth" {
				continue
			}
			if r := secretToken(s.t, client, s.token, with, id, ended, nil); r.Status != 401 {
				s.t.Errorf("from %s to %s, the old secret with %s: %v, want 401", before, method, with, r)
			}
		}
		before = method
	}
	s.tokenOf("client_secret_basic", id)
}

// repeats: the answer to a registration was lost, and the TPP sends it again.
func (s *secrets) repeats() {
	s.t.Helper()
	for _, method := range []string{"client_secret_post", "client_secret_jwt"} {
		token, _, err := s.p.Prepare(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		claims := asTool(method)
		claims["scope"] = "openid" // another than those before
		body, err := s.p.Acme.Request(claims)
		if err != nil {
			s.t.Fatal(err)
		}
		var id, ended string
		for range 3 {
			r, err := s.p.Client(s.p.Acme).Register(s.t.Context(), s.p.Register, token, body)
			if err != nil {
				s.t.Fatal(err)
			}
			if now := s.told(r, 201); id != "" && now != id {
				s.t.Fatalf("%s: got the client %s, want %s", method, now, id)
			} else {
				id = now
			}
			if ended != "" {
				if r := secretToken(s.t, s.p.Client(s.p.Acme), s.token, method, id, ended, nil); r.Status != 401 {
					s.t.Errorf("%s: the secret before: %v, want 401", method, r)
				}
			}
			s.tokenOf(method, id)
			ended = s.last[id]
		}
	}
}

// ends suspends a client, revokes a token of another one as itself, and deletes it.
func (s *secrets) ends(ids map[string]string) {
	s.t.Helper()
	client := s.p.Client(s.p.Acme)
	post, jwt := ids["client_secret_post"], ids["client_secret_jwt"]
	token := s.tokenOf("client_secret_post", post)
	changed(s.t, s.p, "clients/"+jwt, "suspend")
	if r := secretToken(s.t, client, s.token, "client_secret_jwt", jwt, s.last[jwt], nil); r.Status != 401 {
		s.t.Errorf("suspended: %v, want 401", r)
	}
	r, err := client.Token(s.t.Context(), s.p.Endpoint("revocation_endpoint"), url.Values{"token": {token}}, tpp.Post(post, s.last[post]))
	if err != nil || r.Status != 200 {
		s.t.Errorf("revocation: %v, %v, want 200", r, err)
	}
	if active, err := activeAtAS(s.t, s.p, token); err != nil || active {
		s.t.Errorf("the token is active: %v, %v", active, err)
	}
	token = s.tokenOf("client_secret_post", post)
	r, err = client.Delete(s.t.Context(), s.p.Register, post, token)
	if err != nil || r.Status != http.StatusNoContent {
		s.t.Fatalf("got %v, %v, want 204", r, err)
	}
	if r := secretToken(s.t, client, s.token, "client_secret_post", post, s.last[post], nil); r.Status != 401 {
		s.t.Errorf("deleted: %v, want 401", r)
	}
	if active, err := activeAtAS(s.t, s.p, token); err != nil || active {
		s.t.Errorf("the token of the deleted client is active: %v, %v", active, err)
	}
}

// secret holds that nothing that operators read has a client's secret.
func (s *secrets) secret() {
	s.t.Helper()
	for name, call := range map[string]string{"audit": "audit?limit=100", "explanations": "explanations?limit=100", "registrations": "registrations?workspace=default/obuk&limit=100"} {
		status, text, err := s.p.Operator(s.t.Context(), http.MethodGet, call, "")
		if err != nil || status != 200 {
			s.t.Errorf("%s: %d, %v, want 200", name, status, err)
		}
		for _, secret := range s.all {
			if strings.Contains(string(text), secret) {
				s.t.Errorf("%s has a secret", name)
			}
		}
	}
	for _, secret := range s.all {
		if strings.Contains(s.p.Gateway.Log(), secret) {
			s.t.Error("the log has a secret")
		}
	}
}
