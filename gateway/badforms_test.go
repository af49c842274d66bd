package gateway

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/authserver"
)

// asAssertions are the claims of a client that authenticates with assertions.
var asAssertions = map[string]any{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "PS256", "tls_client_auth_subject_dn": nil}

// inMode is a change of a stage: how clients authenticate at the AS.
func inMode(mode string) func(*stage, *Options, *authserver.Options) {
	return func(_ *stage, _ *Options, as *authserver.Options) { as.TokenEndpointAuth = mode }
}

// TestBadForms: what a request of a client of the registry may not be at the token endpoint,
// although it comes with the client's own certificate: each is answered as RFC 6749 5.2 says,
// in native and in bridge mode, and the AS sees none of them.
func TestBadForms(t *testing.T) {
	for _, mode := range []string{authserver.Native, authserver.Bridge} {
		t.Run(mode, func(t *testing.T) { badForms(t, newStage(t, inMode(mode))) })
	}
}

func badForms(t *testing.T, s *stage) {
	id, _ := s.registered(s.acme, nil)
	signing, _ := s.registered(s.acme, asAssertions)
	assertion := func() string { return s.acme.assertion(signing, stageIssuer, nil) }
	const grant = "grant_type=client_credentials"
	twice, own := assertion(), grant+"&scope=&client_id="+id
	_, signature, _ := strings.Cut(twice, "&")
	basic := func(id, secret string) http.Header {
		return http.Header{"Content-Type": {formType}, "Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}}
	}
	plain := http.Header{"Content-Type": {formType}}
	for _, c := range []struct {
		name   string
		method string
		query  string
		header http.Header
		body   string
		status int
		code   string
	}{
		{"a parameter twice", "POST", "", plain, own + "&scope=accounts", 400, "invalid_request"},
		{"a parameter twice with the same value", "POST", "", plain, own + "&grant_type=client_credentials", 400, "invalid_request"},
		{"a parameter in the body and in the address", "POST", "?scope=accounts", plain, own, 400, "invalid_request"},
		{"client_id in the address", "POST", "?client_id=" + id, plain, grant + "&scope=", 400, "invalid_request"},
		{"an assertion in the address", "POST", "?" + assertion(), plain, grant + "&scope=", 400, "invalid_request"},
		{"a null byte in a value", "POST", "", plain, own + "&resource=a%00b", 400, "invalid_request"},
		{"a null byte in a name", "POST", "", plain, own + "&a%00b=c", 400, "invalid_request"},
		{"not UTF-8", "POST", "", plain, own + "&resource=%ff%fe", 400, "invalid_request"},
		{"not UTF-8, unescaped", "POST", "", plain, own + "&resource=\xff\xfe", 400, "invalid_request"},
		{"Basic and the body", "POST", "", basic(id, "x"), own, 401, "invalid_client"},
		{"Basic and another id in the body", "POST", "", basic("other", "x"), own, 401, "invalid_client"},
		{"Basic without a secret", "POST", "", basic(id, ""), grant, 401, "invalid_client"},
		{"a secret in the body", "POST", "", plain, own + "&client_secret=x", 401, "invalid_client"},
		{"two empty secrets", "POST", "", plain, own + "&client_secret=&client_secret=", 400, "invalid_request"},
		{"two assertions", "POST", "", plain, grant + "&" + assertion() + "&" + signature, 400, "invalid_request"},
		{"the same assertion twice", "POST", "", plain, grant + "&" + twice + "&" + signature, 400, "invalid_request"},
		{"an assertion and a secret", "POST", "", plain, grant + "&client_secret=x&" + assertion(), 401, "invalid_client"},
		{"an assertion of one and the id of another", "POST", "", plain, own + "&" + assertion(), 401, "invalid_client"},
		{"GET", "GET", "?" + own, nil, "", 405, "invalid_request"},
		{"PUT", "PUT", "", plain, own, 405, "invalid_request"},
		{"JSON", "POST", "", http.Header{"Content-Type": {"application/json"}}, `{"client_id":"` + id + `"}`, 415, "invalid_request"},
		{"no content type", "POST", "", nil, own, 415, "invalid_request"},
		{"two content types", "POST", "", http.Header{"Content-Type": {formType, "text/plain"}}, own, 415, "invalid_request"},
		{"1 MiB", "POST", "", plain, own + "&x=" + strings.Repeat("a", 1<<20), 413, "invalid_request"},
		{"half an escape", "POST", "", plain, own + "&x=%f", 400, "invalid_request"},
		{"semicolons", "POST", "", plain, strings.ReplaceAll(own, "&", ";"), 400, "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.doHeader(&s.acme.transport, c.method, stageSite+tokenPath+c.query, c.body, c.header)
			if a.status != c.status || a.text("error") != c.code || a.text("error_description") == "" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %s, want %d %s", a, c.status, c.code)
			}
			if allow := a.header.Get("Allow"); (allow == "POST") != (c.status == 405) {
				t.Errorf("Allow is %q", allow)
			}
			want := map[bool]string{true: "Basic"}[c.status == 401 && c.header.Get("Authorization") != ""]
			if scheme, _, _ := strings.Cut(a.header.Get("Www-Authenticate"), " "); scheme != want {
				t.Errorf("the challenge is of the scheme %q, want %q", scheme, want)
			}
			if seen := s.as.passed(); len(seen) != 0 {
				t.Errorf("the authorization server saw %+v, want nothing", seen)
			}
		})
	}
	// Whoever is not the registry's is the AS's affair, as before.
	for name, body := range map[string]string{"an unknown client": grant + "&client_id=nobody&x=1&x=2", "nobody at all": grant + "&scope=", "one like it, ahead": grant + "&client_id=" + id + "x"} {
		a, seen := s.form(&s.acme.transport, tokenPath, body), s.as.passed()
		if len(seen) != 1 || seen[0].body != body || a.header.Get(interactionID) != "" {
			t.Errorf("%s: got %s, the authorization server saw %+v, want %q", name, a, seen, body)
		}
	}
	for name, body := range map[string]string{"the client itself": own, "with empty credentials": own + "&client_secret=&client_assertion=&client_assertion_type="} {
		a, seen := s.form(&s.acme.transport, tokenPath, body), s.as.passed()
		if a.status != http.StatusOK || len(seen) != 1 || seen[0].body != own {
			t.Errorf("%s: got %s, the authorization server saw %+v, want 200 and %q", name, a, seen, own)
		}
	}
}

// TestFormSize: a form of 64 KiB passes as it is, and one of a byte more is refused.
func TestFormSize(t *testing.T) {
	s := newStage(t, nil)
	id, _ := s.registered(s.acme, nil)
	form := func(size int) string {
		own := "grant_type=client_credentials&scope=&client_id=" + id + "&x="
		return own + strings.Repeat("a", size-len(own))
	}
	const largest = 64 << 10
	a, seen := s.form(&s.acme.transport, tokenPath, form(largest)), s.as.passed()
	if a.status != http.StatusOK || len(seen) != 1 || seen[0].body != form(largest) {
		t.Errorf("got %s, the authorization server saw %d requests, want 200 and the form", a, len(seen))
	}
	a, seen = s.form(&s.acme.transport, tokenPath, form(largest+1)), s.as.passed()
	if a.status != http.StatusRequestEntityTooLarge || a.text("error") != "invalid_request" || len(seen) != 0 {
		t.Errorf("a byte more: got %s, the authorization server saw %d requests, want 413 and none", a, len(seen))
	}
}

// TestBridgedAssertionAudience: in bridge mode the gateway takes the assertions of RFC 10070,
// which have a typ and name the issuer alone, and those of today's tools, which name an
// endpoint, until the operator takes these away.
func TestBridgedAssertionAudience(t *testing.T) {
	const endpoint = stageSite + tokenPath
	for name, c := range map[string]struct {
		issuerOnly bool
		status     int // of an assertion that names an endpoint
	}{"endpoints": {false, http.StatusOK}, "issuer": {true, http.StatusUnauthorized}} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(_ *stage, o *Options, as *authserver.Options) {
				o.IssuerAudienceOnly, as.TokenEndpointAuth = c.issuerOnly, authserver.Bridge
			})
			id, _ := s.registered(s.acme, asAssertions)
			for _, one := range []struct {
				typ, aud any
				status   int
			}{
				{"client-authentication+jwt", stageIssuer, http.StatusOK},
				{"application/Client-Authentication+JWT", []string{stageIssuer}, http.StatusOK},
				{"client-authentication+jwt", endpoint, http.StatusUnauthorized},
				{"client-authentication+jwt", []string{stageIssuer, endpoint}, http.StatusUnauthorized},
				{nil, stageIssuer, http.StatusOK},
				{"JWT", endpoint, c.status},
				{nil, []string{endpoint, stageIssuer}, c.status},
				{"JWT", "https://other.example", http.StatusUnauthorized},
			} {
				a := s.form(&s.acme.transport, tokenPath, "grant_type=client_credentials&scope=&"+s.acme.assertion(id, one.aud, one.typ))
				if seen := s.as.passed(); a.status != one.status || (len(seen) == 1) != (one.status == http.StatusOK) {
					t.Errorf("typ %v and aud %v: got %s, the authorization server saw %+v, want %d", one.typ, one.aud, a, seen, one.status)
				}
			}
		})
	}
}
