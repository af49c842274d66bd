package tpp_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

func enrolled(t *testing.T) (*directory.Directory, *tpp.Software) {
	t.Helper()
	d, err := directory.Start(t.Context(), directory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	s, err := d.Enrol(directory.Enrolment{TransportKey: directory.P256})
	if err != nil {
		t.Fatal(err)
	}
	return d, &tpp.Software{Software: s, Audience: "0015800001HQQrZAAX"}
}

// verified are the claims of a JWT that a key of the set signed.
func verified(t *testing.T, raw string, keys jose.JSONWebKeySet) map[string]any {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.PS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := token.Claims(keys, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestRequest(t *testing.T) {
	d, s := enrolled(t)
	raw, err := s.Request(map[string]any{"scope": "openid", "application_type": nil, "extra": json.RawMessage("null")})
	if err != nil {
		t.Fatal(err)
	}
	claims := verified(t, raw, s.JWKS())
	statement := verified(t, claims["software_statement"].(string), d.JWKS())
	if statement["software_id"] != s.SoftwareID {
		t.Errorf("got a statement of %v, want %s", statement["software_id"], s.SoftwareID)
	}
	id, err := uuid.Parse(claims["jti"].(string))
	if err != nil || id.Version() != 4 {
		t.Errorf("got the jti %v, want a UUID of version 4", claims["jti"])
	}
	if life := claims["exp"].(float64) - claims["iat"].(float64); life != time.Hour.Seconds() {
		t.Errorf("got a life of %v s, want %v s", life, time.Hour.Seconds())
	}
	for _, name := range []string{"jti", "iat", "exp", "software_statement"} {
		delete(claims, name)
	}
	want := map[string]any{
		"iss": s.SoftwareID, "aud": "0015800001HQQrZAAX", "software_id": s.SoftwareID, "extra": nil,
		"redirect_uris": []any{"https://tpp.example/callback"}, "token_endpoint_auth_method": "tls_client_auth",
		"grant_types": []any{"authorization_code", "refresh_token", "client_credentials"}, "response_types": []any{"code id_token"},
		"id_token_signed_response_alg": "PS256", "request_object_signing_alg": "PS256", "scope": "openid",
		"tls_client_auth_subject_dn": "CN=" + s.SoftwareID + ",organizationIdentifier=PSDGB-FCA-123456,O=Acme Ltd,C=GB",
	}
	if !reflect.DeepEqual(claims, want) {
		t.Errorf("claims are\n%v, want\n%v", claims, want)
	}

	// The same claims under another algorithm, and under a header that lies about it.
	body, err := s.RequestClaims(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.AddSigningKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = key.Sign(body, nil); err != nil {
		t.Fatal(err)
	}
	verified(t, raw, s.JWKS())
	if raw, err = key.Sign(body, map[string]any{"alg": "PS256", "kid": s.Signing.ID}); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.PS256})
	if err != nil || token.Headers[0].KeyID != s.Signing.ID || token.Claims(s.JWKS(), &claims) == nil {
		t.Errorf("%v: the header does not lie: %s", err, raw)
	}
}

// echo is what the test server saw.
type echo struct {
	Method, Path, Authorization, ContentType, Body, Subject, Proto string
	Connections                                                    int
}

func bank(t *testing.T, d *directory.Directory) *httptest.Server {
	t.Helper()
	certificate, err := d.ServerCertificate("auth.bank.example")
	if err != nil {
		t.Fatal(err)
	}
	remotes := map[string]bool{} // requests come one after another
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			t.Error(err)
		}
		remotes[r.RemoteAddr] = true
		e := echo{r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body), "", r.Proto, len(remotes)}
		if len(r.TLS.VerifiedChains) > 0 {
			e.Subject = r.TLS.VerifiedChains[0][0].Subject.CommonName
		}
		if r.URL.Path == "/moved" {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusFound)
		}
		if err := json.NewEncoder(w).Encode(e); err != nil {
			t.Error(err)
		}
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: d.Roots()}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestClient(t *testing.T) {
	d, s := enrolled(t)
	server := bank(t, d)
	client := s.Client(tpp.ClientOptions{Roots: d.Roots()})
	defer client.Close()
	register := server.URL + "/register"
	ctx := t.Context()
	form := tpp.ClientCredentials("")

	for name, test := range map[string]struct {
		send func() (*tpp.Response, error)
		want echo
	}{
		"register": {func() (*tpp.Response, error) { return client.Register(ctx, register, "t", "a.b.c") },
			echo{Method: "POST", Path: "/register", Authorization: "Bearer t", ContentType: "application/jose", Body: "a.b.c"}},
		"register without a token": {func() (*tpp.Response, error) { return client.Register(ctx, register, "", "a.b.c") },
			echo{Method: "POST", Path: "/register", ContentType: "application/jose", Body: "a.b.c"}},
		"read": {func() (*tpp.Response, error) { return client.Read(ctx, register, "a/b", "t") },
			echo{Method: "GET", Path: "/register/a%2Fb", Authorization: "Bearer t"}},
		"update": {func() (*tpp.Response, error) { return client.Update(ctx, register, "id", "t", "a.b.c") },
			echo{Method: "PUT", Path: "/register/id", Authorization: "Bearer t", ContentType: "application/jose", Body: "a.b.c"}},
		"delete": {func() (*tpp.Response, error) { return client.Delete(ctx, register, "id", "t") },
			echo{Method: "DELETE", Path: "/register/id", Authorization: "Bearer t"}},
		"token": {func() (*tpp.Response, error) {
			return client.Token(ctx, server.URL+"/token", form, tpp.TLSClientAuth("id"))
		},
			echo{Method: "POST", Path: "/token", ContentType: "application/x-www-form-urlencoded", Body: "client_id=id&grant_type=client_credentials&scope="}},
		"token with a secret": {func() (*tpp.Response, error) {
			return client.Token(ctx, server.URL+"/token", form, tpp.Basic("id", "s+"))
		},
			echo{Method: "POST", Path: "/token", Authorization: "Basic aWQ6cyUyQg==", ContentType: "application/x-www-form-urlencoded", Body: "grant_type=client_credentials&scope="}},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := test.send()
			if err != nil {
				t.Fatal(err)
			}
			var got echo
			if err := json.Unmarshal(response.Body, &got); err != nil || response.Status != http.StatusOK || response.Text("Method") != got.Method {
				t.Fatalf("got %v: %s, want 200, and the method %q", err, response, got.Method)
			}
			test.want.Subject, test.want.Proto, test.want.Connections = s.SoftwareID, "HTTP/1.1", 1
			if got != test.want {
				t.Errorf("the server saw\n%+v, want\n%+v", got, test.want)
			}
		})
	}
	if form.Encode() != "grant_type=client_credentials&scope=" {
		t.Error("the caller's form was changed")
	}
	if moved, err := client.Do(ctx, "GET", server.URL+"/moved", nil, nil); err != nil || moved.Status != http.StatusFound {
		t.Errorf("got %v, %v, want 302", moved, err)
	}

	response, err := client.Token(ctx, server.URL+"/token", nil, s.PrivateKeyJWT("id", "https://as.example"))
	if err != nil {
		t.Fatal(err)
	}
	sent, err := url.ParseQuery(response.Text("Body"))
	if err != nil {
		t.Fatal(err)
	}
	if claims := verified(t, sent.Get("client_assertion"), s.JWKS()); claims["sub"] != "id" || claims["iss"] != "id" || claims["aud"] != "https://as.example" {
		t.Errorf("got %v, want iss and sub id, for https://as.example", claims)
	}
}

func TestClientWithoutCertificate(t *testing.T) {
	d, _ := enrolled(t)
	server := bank(t, d)
	client := tpp.NewClient(tpp.ClientOptions{Roots: d.Roots(), Address: strings.TrimPrefix(server.URL, "https://"), HTTP2: true})
	defer client.Close()
	response, err := client.Do(t.Context(), "GET", "https://auth.bank.example/x", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.Text("Subject") != "" || response.Text("Proto") != "HTTP/2.0" {
		t.Errorf("got %v, want no subject, over HTTP/2.0", response)
	}
}

// TestClientWithForeignCertificate: a certificate that the server's list of
// authorities does not hold is sent all the same.
func TestClientWithForeignCertificate(t *testing.T) {
	d, _ := enrolled(t)
	_, stranger := enrolled(t)
	server := bank(t, d)
	client := stranger.Client(tpp.ClientOptions{Roots: d.Roots()})
	defer client.Close()
	if response, err := client.Do(t.Context(), "GET", server.URL, nil, nil); err == nil {
		t.Errorf("the server let it in: %s", response)
	}
}
