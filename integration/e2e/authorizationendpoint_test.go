package e2e_test

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// suspend suspends a client and returns how that is ended.
func suspend(t *testing.T, p *story.Play, id string) (resume func()) {
	t.Helper()
	changed(t, p, "clients/"+id, "suspend")
	return func() {
		t.Helper()
		changed(t, p, "clients/"+id, "resume")
	}
}

// browser is a user's, with cookies, that stays where it is sent to the TPP.
func browser(t *testing.T, p *story.Play) *tpp.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := tpp.NewClient(p.ClientOptions())
	t.Cleanup(b.Close)
	b.HTTP.Jar = jar
	b.HTTP.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == "tpp.example" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return b
}

// TestAuthorizationEndpoint: users reach the authorization server for active clients
// alone. For the others, and where it is not clear for which, they see a page and are
// sent nowhere.
func TestAuthorizationEndpoint(t *testing.T) {
	each(t, story.Options{}, func(t *testing.T, p *story.Play) {
		register := func() string {
			r := registers(t, p, p.Client(p.Acme), map[string]any{"response_types": []string{"code"}})
			return answered(t, r, nil, 201, "").Text("client_id")
		}
		active, suspended, deleted := register(), register(), register()
		token, err := p.ClientToken(t.Context(), p.Acme, deleted)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, deleted, token); err != nil || r.Status != 204 {
			t.Fatalf("got %v, %v, want 204", r, err)
		}
		resume := suspend(t, p, suspended)
		endpoint := p.Endpoint("authorization_endpoint")
		path := strings.TrimPrefix(endpoint, siteOf(p))
		object := func(claims map[string]any) string {
			text, err := p.Acme.Assertion(active, p.Issuer, claims)
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		asForm := "application/x-www-form-urlencoded"
		of := func(id string, more ...string) string {
			query := authorizationRequest(id)
			for i := 0; i < len(more); i += 2 {
				query.Add(more[i], more[i+1])
			}
			return query.Encode()
		}
		without := authorizationRequest("")
		without.Del("client_id")
		for _, c := range []struct {
			name, query, body, contentType string
			status                         int // 0: the AS's
		}{
			{"active", of(active), "", "", 0},
			{"active, in the form", "", of(active), asForm, 0},
			{"a client of the server's own", of("nobody-of-the-registry"), "", "", 0},
			{"a client of the server's own, with a request object", of("nobody-of-the-registry", "request", object(map[string]any{"iss": "nobody-of-the-registry", "sub": nil, "client_id": "nobody-of-the-registry"})), "", "", 0},
			{"no client", without.Encode(), "", "", 0},
			{"suspended", of(suspended), "", "", 403},
			{"suspended, in the form", "", of(suspended), asForm, 403},
			{"suspended, in a form with GET", "", of(suspended), "GET " + asForm, 403},
			{"suspended, escaped", strings.Replace(of(suspended), "client_id", "client%5fid", 1), "", "", 403},
			{"deleted", of(deleted), "", "", 400},
			{"deleted, in the form", "", of(deleted), asForm, 400},
			{"twice", of(active, "client_id", suspended), "", "", 400},
			{"the same twice", of(active, "client_id", active), "", "", 400},
			{"beside a client of the server's own", of("nobody-of-the-registry", "client_id", suspended), "", "", 400},
			{"in query and form", of(active), of(suspended), asForm, 400},
			{"in capitals", strings.Replace(of(suspended), "client_id", "CLIENT_ID", 1), "", "", 400},
			{"a list", strings.Replace(of(suspended), "client_id", "client_id%5B%5D", 1), "", "", 400},
			{"alike", of(strings.ToUpper(suspended)), "", "", 400},
			{"with a blank", of(suspended + " "), "", "", 400},
			{"with a null byte", of(suspended + "\x00"), "", "", 400},
			{"in a body of another type", "", of(suspended), "text/plain", 415},
			{"in a body of many parts", "", of(suspended), "multipart/form-data; boundary=x", 415},
			{"a request object of another client", of(active, "request", object(map[string]any{"client_id": suspended})), "", "", 400},
			{"a request object with another issuer", of("nobody-of-the-registry", "request", object(map[string]any{"iss": suspended, "client_id": "nobody-of-the-registry"})), "", "", 400},
			{"a request object without the parameter", without.Encode() + "&request=" + object(map[string]any{"client_id": suspended}), "", "", 400},
			{"a request_uri without the parameter", "request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax", "", "", 400},
			{"suspended, with a request_uri", "client_id=" + suspended + "&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax", "", "", 403},
		} {
			if err := p.AS.ResetRequests(t.Context()); err != nil {
				t.Fatal(err)
			}
			method, body := http.MethodGet, []byte(nil)
			header := http.Header{"Accept": {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}}
			if c.contentType != "" {
				contentType, get := strings.CutPrefix(c.contentType, "GET ")
				if body = []byte(c.body); !get {
					method = http.MethodPost
				}
				header.Set("Content-Type", contentType)
			}
			address := endpoint
			if c.query != "" {
				address += "?" + c.query
			}
			r, err := browser(t, p).Do(t.Context(), method, address, header, body)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			seen, err := p.AS.RequestsTo(t.Context(), method, path)
			if err != nil {
				t.Fatal(err)
			}
			if c.status == 0 {
				if len(seen) == 0 || r.Header.Get("x-fapi-interaction-id") != "" {
					t.Errorf("%s: the server did not see it: %v", c.name, r)
				}
				continue
			}
			if len(seen) != 0 || r.Status != c.status || r.Header.Get("Location") != "" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") ||
				!strings.Contains(string(r.Body), r.Header.Get("x-fapi-interaction-id")) || r.Header.Get("x-fapi-interaction-id") == "" {
				t.Errorf("%s: %v with %v, seen %d times, want %d", c.name, r, r.Header, len(seen), c.status)
			}
		}
		resume()
		if access, _ := consent(t, p, suspended); access == "" {
			t.Error("no token afterwards")
		}
	})
}

// TestUserinfo: the tokens of active clients reach the authorization server, and those of
// suspended and deleted ones do not, wherever a request carries them.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"opaque", "jwt"} {
		t.Run(kind, func(t *testing.T) {
			each(t, story.Options{AccessTokens: kind}, func(t *testing.T, p *story.Play) { userinfo(t, p, kind) })
		})
	}
}

func userinfo(t *testing.T, p *story.Play, kind string) {
	register := func() string {
		r := registers(t, p, p.Client(p.Acme), map[string]any{"response_types": []string{"code"}})
		return answered(t, r, nil, 201, "").Text("client_id")
	}
	suspended, deleted := register(), register()
	first, _ := consent(t, p, suspended)
	second, _ := consent(t, p, suspended)
	ofDeleted, _ := consent(t, p, deleted)
	unknown, _ := consent(t, p, deleted)
	endpoint := p.Endpoint("userinfo_endpoint")
	path := strings.TrimPrefix(endpoint, siteOf(p))
	// ask sends a token in one place, or several, and tells whether the server saw it.
	ask := func(token, places string) (*tpp.Response, bool) {
		t.Helper()
		if err := p.AS.ResetRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		method, address, header, body := http.MethodGet, endpoint, http.Header{}, []byte(nil)
		for place := range strings.FieldsSeq(places) {
			switch place {
			case "Bearer", "DPoP":
				header.Add("Authorization", place+" "+token)
			case "query":
				address += "?access_token=" + url.QueryEscape(token)
			default:
				method, body = http.MethodPost, []byte("access_token="+url.QueryEscape(token))
				header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
		}
		r, err := p.Client(p.Acme).Do(t.Context(), method, address, header, body)
		if err != nil {
			t.Fatal(err)
		}
		seen, err := p.AS.RequestsTo(t.Context(), method, path)
		if err != nil {
			t.Fatal(err)
		}
		return r, len(seen) > 0
	}
	refused := func(what, token string) {
		t.Helper()
		for _, places := range []string{"Bearer", "DPoP", "query", "form"} {
			if r, seen := ask(token, places); seen || r.Status != 401 || r.Text("error") != "invalid_token" || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer realm=") {
				t.Errorf("%s, %s: %v, seen %v, want 401 invalid_token", what, places, r, seen)
			}
		}
	}
	passes := func(what, token string) {
		t.Helper()
		for _, places := range []string{"Bearer", "DPoP", "query", "form"} {
			if r, seen := ask(token, places); !seen {
				t.Errorf("%s, %s: the server did not see it: %v", what, places, r)
			}
		}
		// This server does not take the tokens of another resource server.
		if r, _ := ask(token, "Bearer"); (r.Status != 200 || r.Text("sub") != "psu") && !(kind == "jwt" && p.AS.Kind == authserverprocess.OIDCProvider) {
			t.Errorf("%s: got %v, want 200 for psu", what, r)
		}
	}
	passes("active", first)
	for _, places := range []string{"Bearer query", "Bearer form", "query form", "Bearer Bearer", "Bearer DPoP"} {
		if r, seen := ask(first, places); seen || r.Status != 400 || r.Text("error") != "invalid_request" {
			t.Errorf("%s: %v, seen %v, want 400 invalid_request", places, r, seen)
		}
	}
	passes("not yet deleted", ofDeleted)
	resume := suspend(t, p, suspended)
	refused("known before, suspended", first)
	refused("suspended", second)
	resume()
	passes("afterwards", second)
	own, err := p.ClientToken(t.Context(), p.Acme, deleted)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, deleted, own); err != nil || r.Status != 204 {
		t.Fatalf("got %v, %v, want 204", r, err)
	}
	refused("known before, deleted", ofDeleted)
	// oidc-provider fails when it is asked about a token of a client that is gone.
	if r, seen := ask(unknown, "Bearer"); seen || r.Status != 401 && !(r.Status == 503 && p.AS.Kind == authserverprocess.OIDCProvider) {
		t.Errorf("deleted: got %v, seen %v, want 401, not seen", r, seen)
	}
	// Nobody needs a token to be told that one is missing.
	if r, seen := ask("", ""); !seen {
		t.Errorf("without a token: got %v, want it passed on", r)
	}
	if kind == "jwt" {
		return // whose client their signature tells
	}
	third, _ := consent(t, p, suspended)
	introspection := strings.TrimPrefix(p.Endpoint("introspection_endpoint"), siteOf(p))
	if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: introspection, Times: -1, Status: 500, Body: "{}"}); err != nil {
		t.Fatal(err)
	}
	if r, seen := ask(third, "Bearer"); seen || r.Status != 503 || r.Text("error") != "temporarily_unavailable" {
		t.Errorf("the server does not answer: %v, seen %v, want 503 temporarily_unavailable", r, seen)
	}
	if r, seen := ask(second, "Bearer"); !seen {
		t.Errorf("the client was known before: %v", r)
	}
}

// TestTokensPassWithoutIntrospection: where the authorization server cannot be asked whose token it
// is, the operator is told so at the start, and tokens that say nothing are passed on and
// counted.
func TestTokensPassWithoutIntrospection(t *testing.T) {
	t.Parallel()
	edits := []gateway.Edit{gateway.At("client gateway").Remove(), tokenOff}
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC, Edits: edits}))
	id := answered(t, registers(t, p, p.Client(p.Acme), map[string]any{"response_types": []string{"code"}}), nil, 201, "").Text("client_id")
	token, _ := consent(t, p, id)
	defer suspend(t, p, id)()
	if r, err := p.Make(t.Context(), story.Call{URL: p.Endpoint("userinfo_endpoint"), Token: token, As: p.Acme}); err != nil || r.Status != 200 {
		t.Errorf("got %v, %v, want 200", r, err)
	}
	saysTimes(t, p.Gateway, 1, "cannot introspect access tokens at the authorization server")
	if all := metrics(t, p); !strings.Contains(all, `caddy_openbanking_dcr_unchecked_tokens_total{workspace="default/obuk"} 1`) {
		t.Errorf("got the metrics\n%s\nwant one unchecked token", all)
	}
}
