package authserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// logged is how often a line of a level with a text was logged.
func (e *edge) logged(level, text string) (n int) {
	for line := range strings.Lines(e.log.String()) {
		if strings.Contains(line, "level="+level) && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

const (
	jwtHeader = `{"alg":"ES256","kid":"k","typ":"at+jwt"}`
	jwtClaims = `{"iss":"https://bank.example/as","client_id":"tpp","sub":"tpp","scope":"accounts","exp":1800000060,"aud":"https://bank.example/as"}`
)

// TestNoIntrospectionEndpoint: who has written that the AS decides on access tokens gets
// no other decision, and is told once; who has not is told once what decides.
func TestNoIntrospectionEndpoint(t *testing.T) {
	mine := newKey(t)
	for name, change := range map[string][]string{
		"none":                {"introspection_endpoint", ""},
		"of a foreign origin": {"introspection_endpoint", `"https://evil.example/introspect"`},
		"null":                {"introspection_endpoint", "null"},
	} {
		edgeWith := func(validate string) *edge {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Validate = validate })
			e.on(discovery, answer(http.StatusOK, e.document(change...)))
			e.on("GET /as/jwks", answer(http.StatusOK, mine.jwks(t)))
			return e
		}
		t.Run(name+"/written", func(t *testing.T) {
			e := edgeWith(authserver.Introspection)
			for _, token := range []string{mine.sign(t, jwtHeader, jwtClaims), accessToken} {
				_, err := e.CheckToken(t.Context(), token)
				if e.refused(err, refusal.Unavailable); !strings.Contains(err.Error(), "introspection_endpoint <path>") {
					t.Errorf("error %v does not say what to write", err)
				}
			}
			if n := e.logged("ERROR", "introspection_endpoint <path>"); n != 1 {
				t.Errorf("%d error lines with the cure, want one:\n%s", n, e.log)
			}
			// Right again, without another configuration.
			e.on(discovery, answer(http.StatusOK, e.document()))
			e.on(introspect, answer(http.StatusOK, `{"active":true,"client_id":"tpp"}`))
			before := e.metadata()
			e.later(time.Hour)
			wait.Until(t, "the new document", func() bool { return e.metadata() != before })
			if _, err := e.CheckToken(t.Context(), accessToken); err != nil {
				t.Error(err)
			}
			if n := e.logged("INFO", "introspection"); n != 1 {
				t.Errorf("%d info lines, want one:\n%s", n, e.log)
			}
		})
		t.Run(name+"/default", func(t *testing.T) {
			e := edgeWith("")
			before := e.metadata()
			for range 3 {
				if _, err := e.CheckToken(t.Context(), mine.sign(t, jwtHeader, jwtClaims)); err != nil {
					t.Error(err)
				}
			}
			e.on(discovery, answer(http.StatusOK, e.document(append([]string{"x", "1"}, change...)...)))
			e.later(time.Hour)
			wait.Until(t, "the new document", func() bool { return e.metadata() != before })
			if n := e.logged("WARN", "introspection_endpoint <path>"); n != 1 {
				t.Errorf("%d warnings with the cure, want one:\n%s", n, e.log)
			}
		})
		t.Run(name+"/jwt", func(t *testing.T) {
			e := edgeWith(authserver.JWT)
			if _, err := e.CheckToken(t.Context(), mine.sign(t, jwtHeader, jwtClaims)); err != nil {
				t.Error(err)
			}
			if n := e.logged("", "introspection_endpoint <path>"); n != 0 {
				t.Errorf("told of it:\n%s", e.log)
			}
		})
	}
}

// TestGivenEndpoints: the operator names endpoints that the AS has and does not publish.
func TestGivenEndpoints(t *testing.T) {
	for _, test := range []struct {
		name          string
		introspection string
		call          string
		document      []string
	}{
		{"a path", "/as/token/info", "POST /as/token/info", []string{"introspection_endpoint", ""}},
		{"a path with a query", "/as/token/info?realm=b", "POST /as/token/info?realm=b", []string{"introspection_endpoint", ""}},
		{"a URL", "{as}/as/token/info", "POST /as/token/info", []string{"introspection_endpoint", ""}},
		{"in place of one of a foreign origin", "/as/token/info", "POST /as/token/info", []string{"introspection_endpoint", `"https://evil.example/as/x"`}},
		{"in place of one that the AS publishes", "/as/token/info", "POST /as/token/info", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := newEdge(t, func(e *edge, o *authserver.Options) {
				o.Validate = authserver.Introspection
				o.IntrospectionEndpoint = strings.ReplaceAll(test.introspection, "{as}", e.https.URL)
			})
			e.on(discovery, answer(http.StatusOK, e.document(test.document...)))
			e.on(test.call, answer(http.StatusOK, `{"active":true,"client_id":"tpp"}`))
			if _, err := e.CheckToken(t.Context(), accessToken); err != nil {
				t.Error(err)
			}
			e.only(test.call)
			m := e.metadata()
			if !e.Introspects(m) {
				t.Error("not asked whose a token is")
			}
			paths := map[string]bool{}
			for _, endpoint := range m.Endpoints {
				if endpoint.Name == "introspection_endpoint" {
					paths[endpoint.Path] = true
				}
			}
			if !paths["/as/token/info"] || paths["/as/introspect"] != (test.document == nil) {
				t.Errorf("guarded: %v", paths)
			}
			// What TPPs are told stays as the AS has it.
			published, err := strictjson.Parse(m.Publish("https://gateway.example", "https://mtls.example", ""))
			if err != nil {
				t.Fatal(err)
			}
			want := `"https://gateway.example/as/introspect"`
			if test.document != nil {
				want = test.document[1]
			}
			if got := string(published.Raw("introspection_endpoint")); got != want {
				t.Errorf("published %s, want %s", got, want)
			}
			if aliases, _, err := published.Object("mtls_endpoint_aliases"); err != nil || aliases.Has("introspection_endpoint") != (test.document == nil) {
				t.Errorf("published aliases %s, %v", published.Raw("mtls_endpoint_aliases"), err)
			}
		})
	}
	t.Run("revocation", func(t *testing.T) {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.RevocationEndpoint = "/as/token/end" })
		e.on(discovery, answer(http.StatusOK, e.document("revocation_endpoint", "")))
		e.on("POST /as/token/end", answer(http.StatusOK, ""))
		if err := e.Revoke(t.Context(), registry.Revocation{Token: accessToken}); err != nil {
			t.Error(err)
		}
		e.only("POST /as/token/end")
	})
}

// TestGivenEndpointsRefused: they are the AS's own, and a path as it is sent.
func TestGivenEndpointsRefused(t *testing.T) {
	e := newEdge(t, nil)
	for _, bad := range []string{
		"introspect", "https://evil.example/as/introspect", "http://bank.example/as/introspect", "//evil.example/x", "/", "https://localhost",
		"/as/x#y", "https://u:p@bank.example/as/x", "/as/%zz", "/as/x y", "mailto:x", "?x=y", "/as/\x00",
	} {
		for name, set := range map[string]func(*authserver.Options){
			"introspection_endpoint": func(o *authserver.Options) { o.IntrospectionEndpoint = bad },
			"revocation_endpoint":    func(o *authserver.Options) { o.RevocationEndpoint = bad },
		} {
			o := authserver.Options{URL: "https://bank.example/as", Client: e.client(0), ClientID: "gateway", Supported: verify.DefaultSupportedMetadata()}
			set(&o)
			if _, err := authserver.New(o); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s %q: %v, want an error that names it", name, bad, err)
			}
		}
	}
}

// TestNoRevocationEndpoint: an operator is told once that nothing can be revoked.
func TestNoRevocationEndpoint(t *testing.T) {
	e := newEdge(t, nil)
	e.on(discovery, answer(http.StatusOK, e.document("revocation_endpoint", "")))
	for range 3 {
		e.metadata()
		e.refused(e.Revoke(t.Context(), registry.Revocation{Token: accessToken}), refusal.AccessDenied)
	}
	if n := e.logged("WARN", "revocation_endpoint <path>"); n != 1 {
		t.Errorf("%d warnings with the cure, want one:\n%s", n, e.log)
	}
}

// TestTokensThatAreNotIntrospected: an AS that introspects no JWTs leaves them to their
// signature, and an operator is told once.
func TestTokensThatAreNotIntrospected(t *testing.T) {
	mine := newKey(t)
	for _, validate := range []string{"", authserver.Introspection} {
		e := newEdge(t, func(_ *edge, o *authserver.Options) { o.Validate = validate })
		e.on("GET /as/jwks", answer(http.StatusOK, mine.jwks(t)))
		e.on(introspect, answer(http.StatusBadRequest, `{"error":"unsupported_token_type"}`))
		for range 3 {
			if _, err := e.CheckToken(t.Context(), mine.sign(t, jwtHeader, jwtClaims)); err != nil {
				t.Error(err)
			}
		}
		if n := e.logged("WARN", "unsupported_token_type"); n != 1 {
			t.Errorf("validate %q: %d warnings, want one:\n%s", validate, n, e.log)
		}
	}
}
