package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/internal/wait"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// to is a request with a token in one place.
func to(path, place, token string) *http.Request {
	form := url.Values{"access_token": {token}}.Encode()
	var r *http.Request
	switch place {
	case "form":
		r = httptest.NewRequest("POST", path, strings.NewReader(form))
		r.Header.Set("Content-Type", formType)
	case "form with GET":
		r = httptest.NewRequest("GET", path, strings.NewReader(form))
		r.Header.Set("Content-Type", formType)
	case "query":
		r = httptest.NewRequest("GET", path+"?"+form, nil)
	default:
		r = httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", place+" "+token)
	}
	return r
}

const me, credential = "/default/obuk/me", "/default/obuk/credential"

// TestTokensOfSuspendedClients: what the registry says of a token's client counts for
// every request, however often the token has passed before.
func TestTokensOfSuspendedClients(t *testing.T) {
	w := newWhole(t, nil)
	w.as.says["own"] = `{"active":true,"client_id":"client","sub":"psu","jti":"j"}`
	places := []string{"Bearer", "bearer", "DPoP", "form", "form with GET", "query"}
	all := func(what string, status int) {
		t.Helper()
		for _, path := range []string{me, credential} {
			for _, place := range places {
				answer := w.serve(to(path, place, "own"))
				if answer.Code != status || (w.passed != nil) != (status == 200) {
					t.Errorf("%s, %s %s: %d %s, want %d", what, path, place, answer.Code, answer.Body, status)
				}
				if status == 401 && (answer.Header().Get("WWW-Authenticate") != `Bearer realm="https://bank.example/default/obuk", error="invalid_token"` || !strings.Contains(answer.Body.String(), `"error":"invalid_token"`)) {
					t.Errorf("%s: %v %s, want the challenge invalid_token with the host's realm", what, answer.Header(), answer.Body)
				}
				if other := w.serve(to(path, place, "of-another")); other.Code != 200 || w.passed == nil {
					t.Errorf("%s, a token of another client: %d", what, other.Code)
				}
			}
		}
	}
	all("active", 200)
	for _, s := range []registry.Suspension{w.of(registry.SuspendClient, "client"), w.of(registry.SuspendSoftware, "1")} {
		w.must(w.store.Suspend(t.Context(), s))
		all("suspended by "+s.Kind, 401)
		w.must(w.store.Resume(t.Context(), s))
		all("resumed", 200)
	}
	if n := w.as.asked.Load(); n != 2 {
		t.Errorf("the AS was asked %d times about two tokens", n)
	}
	w.must(w.store.Delete(t.Context(), w.ws, "client", registry.Presented{}))
	all("deleted", 401)
}

// TestSuspendedDuringIntrospection: what counts is what the registry says when the request
// goes on.
func TestSuspendedDuringIntrospection(t *testing.T) {
	var w *whole
	w = newWhole(t, func(as *tokenAS) {
		as.before = func() {
			if err := w.store.Suspend(context.Background(), w.of(registry.SuspendClient, "client")); err != nil {
				t.Error(err)
			}
		}
	})
	w.as.says["own"] = `{"active":true,"client_id":"client"}`
	if answer := w.serve(to(me, "Bearer", "own")); answer.Code != 401 || w.passed != nil {
		t.Errorf("%d %s, want 401, and nothing passed", answer.Code, answer.Body)
	}
}

// TestEndedTokensAreRefused: a token that the gateway takes no more is good for nothing else, by
// whatever name the gateway has ended it.
func TestEndedTokensAreRefused(t *testing.T) {
	w := newWhole(t, nil)
	w.as.says["another-spelling"] = `{"active":true,"client_id":"client","jti":"ended-jti"}`
	w.must(w.store.EndToken(t.Context(), w.ws, registry.Presented{Token: &verify.AccessToken{Raw: "ended", ID: "ended-jti"}}))
	for token, status := range map[string]int{"ended": 401, "another-spelling": 401, "good": 200} {
		if answer := w.serve(to(me, "Bearer", token)); answer.Code != status {
			t.Errorf("%s: %d %s, want %d", token, answer.Code, answer.Body, status)
		}
	}
}

// TestOneTokenIsRead: what an AS could take from elsewhere does not reach it.
func TestOneTokenIsRead(t *testing.T) {
	w := newWhole(t, nil)
	with := func(r *http.Request, name, value string) *http.Request {
		r.Header.Add(name, value)
		return r
	}
	typed := func(place, contentType, body string) *http.Request {
		r := httptest.NewRequest("POST", me, strings.NewReader(body))
		if place != "" {
			r.Header.Set("Authorization", place+" x")
		}
		r.Header.Set("Content-Type", contentType)
		return r
	}
	jsonTo := func(path string, r *http.Request) *http.Request { r.URL.Path = path; r.RequestURI = path; return r }
	for name, c := range map[string]struct {
		r      *http.Request
		status int
	}{
		"no token":                        {httptest.NewRequest("GET", me, nil), 200},
		"header and query":                {with(to(me, "query", "x"), "Authorization", "Bearer x"), 400},
		"header and form":                 {with(to(me, "form", "x"), "Authorization", "DPoP x"), 400},
		"two headers":                     {with(to(me, "Bearer", "x"), "Authorization", "Bearer x"), 400},
		"another spelling of the name":    {httptest.NewRequest("GET", me+"?Access_Token=x", nil), 400},
		"a scheme that nobody knows":      {to(me, "Token", "x"), 401},
		"JSON at userinfo":                {typed("Bearer", "application/json", `{"access_token":"y"}`), 415},
		"many parts":                      {typed("", "multipart/form-data; boundary=b", "x"), 415},
		"a form of another character set": {typed("", formType+"; charset=utf-16", "x"), 415},
		"a packed form":                   {with(to(me, "form", "x"), "Content-Encoding", "gzip"), 415},
		"JSON elsewhere":                  {jsonTo(credential, typed("Bearer", "application/json", `{}`)), 200},
		"JSON elsewhere, no token":        {jsonTo(credential, typed("", "application/json", `{"access_token":"y"}`)), 415},
		"many parts elsewhere":            {jsonTo(credential, typed("Bearer", "multipart/form-data; boundary=b", "x")), 415},
		"log out":                         {httptest.NewRequest("GET", "/default/obuk/out?access_token=x&access_token=y", nil), 200},
	} {
		if answer := w.serve(c.r); answer.Code != c.status || (w.passed != nil) != (c.status == 200) {
			t.Errorf("%s: %d %s, want %d", name, answer.Code, answer.Body, c.status)
		}
	}
	if w.serve(to(me, "form", "x")); w.body != "access_token=x" {
		t.Errorf("the AS was sent %q", w.body)
	}
}

// unchecked is the count of tokens that were passed on unchecked.
func unchecked(t *testing.T, workspace string) float64 {
	t.Helper()
	var m dto.Metric
	if err := uncheckedTokens.WithLabelValues(workspace).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// TestTokensOfUnknownHoldersPass: where nobody knows whose token it is it is passed,
// counted, and the operator has been told.
func TestTokensOfUnknownHoldersPass(t *testing.T) {
	w := newWhole(t, func(as *tokenAS) { as.unasked = true })
	before := unchecked(t, w.ws.Name)
	for range 3 {
		if answer := w.serve(to(me, "Bearer", "opaque")); answer.Code != 200 {
			t.Errorf("%d %s, want 200", answer.Code, answer.Body)
		}
	}
	if n := unchecked(t, w.ws.Name) - before; n != 3 {
		t.Errorf("%v were counted", n)
	}
	if n := strings.Count(w.log.String(), "cannot introspect access tokens at the authorization server"); n != 1 {
		t.Errorf("%d warnings: %s", n, w.log)
	}
	// Nothing in it is believed but that it is a suspended client's.
	w.must(w.store.Suspend(t.Context(), w.of(registry.SuspendClient, "client")))
	if answer := w.serve(to(me, "Bearer", signed(`{"client_id":"client"}`))); answer.Code != 401 {
		t.Errorf("a JWT that nobody can verify: %d", answer.Code)
	}
}

func TestTokensWhileTheASIsDown(t *testing.T) {
	w := newWhole(t, nil)
	if answer := w.serve(to(me, "Bearer", "known")); answer.Code != 200 {
		t.Fatalf("%d, want 200", answer.Code)
	}
	if strings.Contains(w.log.String(), "WARN") {
		t.Errorf("warned: %s", w.log)
	}
	w.as.down.Store(true)
	if answer := w.serve(to(me, "Bearer", "unknown")); answer.Code != 503 || answer.Header().Get("Retry-After") == "" || w.passed != nil {
		t.Errorf("%d %v, want 503 with Retry-After, and nothing passed", answer.Code, answer.Header())
	}
	if answer := w.serve(to(me, "Bearer", "known")); answer.Code != 200 {
		t.Errorf("known before: %d", answer.Code)
	}
}

// TestInactiveTokens: the AS itself refuses what it calls inactive, and at userinfo it may
// do nothing else.
func TestInactiveTokens(t *testing.T) {
	w := newWhole(t, nil)
	w.as.says["gone"] = `{"active":false}`
	for _, c := range []struct {
		path         string
		answer, want int
		words        string
	}{
		{me, 401, 401, "of the AS"}, {me, 403, 403, "of the AS"}, {me, 200, 401, "not active at the authorization server"}, {me, 204, 401, "not active"}, {credential, 200, 200, "of the AS"},
	} {
		w.answer = c.answer
		if answer := w.serve(to(c.path, "Bearer", "gone")); answer.Code != c.want || w.passed == nil || c.answer != 204 && !strings.Contains(answer.Body.String(), c.words) {
			t.Errorf("%s answers %d: %d %s", c.path, c.answer, answer.Code, answer.Body)
		}
	}
	if n := w.as.asked.Load(); n != 1 {
		t.Errorf("the AS was asked %d times", n)
	}
	if !strings.Contains(w.log.String(), "let the gateway's client introspect") {
		t.Errorf("logged %s", w.log)
	}
}

// TestChecksOf: every endpoint that a discovery document may name is checked, or open on
// purpose.
func TestChecksOf(t *testing.T) {
	for name, want := range map[string]checks{
		"authorization_endpoint": checksClient, "authorization_challenge_endpoint": checksClient, "userinfo_endpoint": checksToken | checksForm,
		"introspection_endpoint": checksToken, "credential_endpoint": checksToken, "anything_endpoint": checksToken,
		"token_endpoint": 0, "pushed_authorization_request_endpoint": 0, "device_authorization_endpoint": 0, "backchannel_authentication_endpoint": 0,
		"revocation_endpoint": 0, "end_session_endpoint": 0, "check_session_iframe": 0, "jwks_uri": 0, "registration_endpoint": 0,
	} {
		if got := checksOf(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	// One address for several things has the checks of all of them, and keeps them when
	// the AS moves them.
	h := &Gateway{options: Options{RegisterPath: "/bank/register", IssuerPath: "/bank"}}
	shared := h.newTable(&authserver.Metadata{Endpoints: []authserver.Endpoint{
		authserver.NewEndpoint("userinfo_endpoint", "/bank/Oauth"), authserver.NewEndpoint("authorization_endpoint", "/bank/Oauth?x=y"), authserver.NewEndpoint("end_session_endpoint", "/bank/Oauth"),
	}})
	later := h.newTable(&authserver.Metadata{})
	later.keep(shared)
	for i, table := range []*table{shared, later} {
		if what, _ := table.find("/bank/Oauth"); what != endpoint || table.checksAt("/bank/Oauth") != checksClient|checksToken|checksForm {
			t.Errorf("%d: %d %d, want an endpoint with all three checks", i, what, table.checksAt("/bank/Oauth"))
		}
	}
}

// TestTokensCheckedAtOnce is for the race detector.
func TestTokensCheckedAtOnce(t *testing.T) {
	w := newWhole(t, nil)
	w.as.says["own"] = `{"active":true,"client_id":"client"}`
	w.next = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	done := make(chan int, 20)
	for range 20 {
		go func() {
			answer, r := httptest.NewRecorder(), to(me, "Bearer", "own")
			w.ServeHTTP(answer, ofHost(r))
			done <- answer.Code
		}()
	}
	for range 20 {
		if code := wait.For(t, done, "an answer"); code != http.StatusOK {
			t.Errorf("got %d, want 200", code)
		}
	}
	if n := w.as.asked.Load(); n != 1 {
		t.Errorf("the AS was asked %d times about one token", n)
	}
}
