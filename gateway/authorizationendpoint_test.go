package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

const authorize = "/default/obuk/auth"

// byBrowser is an authorization request, in the query or as a form.
func byBrowser(query, form string) *http.Request {
	r := httptest.NewRequest("GET", authorize+"?"+query, nil)
	if form != "" {
		r = httptest.NewRequest("POST", authorize+"?"+query, strings.NewReader(form))
		r.Header.Set("Content-Type", formType)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	return r
}

// TestAuthorizationOfSuspendedClients: nobody is asked for the consent of a user for a
// client that may do nothing, and the user is sent nowhere.
func TestAuthorizationOfSuspendedClients(t *testing.T) {
	w := newWhole(t, nil)
	object := func(claims string) string { return "&request=" + signed(claims) }
	all := func(what string, status int) {
		t.Helper()
		for name, c := range map[string]struct {
			query, form string
			status      int // 0: that of the client
		}{
			"query":                              {"response_type=code&client_id=client", "", 0},
			"form":                               {"", "client_id=client", 0},
			"escaped":                            {"client%5fid=%63lient", "", 0},
			"with a reference":                   {"client_id=client&request_uri=urn:x", "", 0},
			"with a request object":              {"client_id=client" + object(`{"client_id":"client","iss":"client"}`), "", 0},
			"another client":                     {"client_id=other", "", 200},
			"not the registry's":                 {"client_id=elsewhere", "", 200},
			"not the registry's, twice":          {"client_id=elsewhere&client_id=elsewhere", "", 200},
			"not the registry's, request object": {"x=y" + object(`{"client_id":"elsewhere"}`), "", 200},
			"nobody":                             {"response_type=code", "", 200},
			"twice":                              {"client_id=other&client_id=client", "", 400},
			"twice the same":                     {"client_id=client&client_id=client", "", 400},
			"in both":                            {"client_id=elsewhere", "client_id=client", 400},
			"alike":                              {"client_id=CLIENT", "", 400},
			"a list":                             {"client_id[]=client", "", 400},
			"in capitals":                        {"CLIENT_ID=client", "", 400},
			"request object of the client":       {"client_id=elsewhere" + object(`{"client_id":"client"}`), "", 400},
			"request object by the client":       {"client_id=elsewhere" + object(`{"iss":"client"}`), "", 400},
			"request object alone":               {"x=y" + object(`{"client_id":"client"}`), "", 400},
			"request object of another":          {"client_id=client" + object(`{"client_id":"elsewhere"}`), "", 400},
			"a reference alone":                  {"request_uri=urn:x", "", 400},
		} {
			want := c.status
			if want == 0 {
				want = status
			}
			answer := w.serve(byBrowser(c.query, c.form))
			if answer.Code != want || (w.passed != nil) != (want == 200) || w.passed != nil && w.body != c.form {
				t.Errorf("%s, %s: %d %s, want %d", what, name, answer.Code, answer.Body, want)
			}
			if want != 200 && (answer.Header().Get("Location") != "" || answer.Header().Get("Content-Type") != "text/html; charset=utf-8") {
				t.Errorf("%s, %s: %v, want a page without a redirect", what, name, answer.Header())
			}
		}
	}
	all("active", 200)
	for _, s := range []registry.Suspension{w.of(registry.SuspendClient, "client"), w.of(registry.SuspendSoftware, "1")} {
		w.must(w.store.Suspend(t.Context(), s))
		all("suspended by "+s.Kind, 403)
		w.must(w.store.Resume(t.Context(), s))
	}
	w.must(w.store.Delete(t.Context(), w.ws, "client", registry.Presented{}))
	all("deleted", 400)
}

// TestAuthorizationInAnotherBody: what is no form, an AS may take for one.
func TestAuthorizationInAnotherBody(t *testing.T) {
	w := newWhole(t, nil)
	for name, header := range map[string]http.Header{
		"text": {"Content-Type": {"text/plain"}}, "many parts": {"Content-Type": {"multipart/form-data; boundary=x"}}, "none": {}, "two": {"Content-Type": {"text/plain", formType}},
		"packed": {"Content-Type": {formType}, "Content-Encoding": {"gzip"}}, "in another character set": {"Content-Type": {formType + "; charset=utf-7"}},
	} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			r := httptest.NewRequest(method, authorize, strings.NewReader("client_id=client"))
			r.Header = header.Clone()
			if answer := w.serve(r); answer.Code != 415 || w.passed != nil || answer.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s %s: %d %s, want 415 in JSON, and nothing passed", method, name, answer.Code, answer.Body)
			}
		}
	}
}

// TestRefusalPage: it has the support code, and nothing of the request that a browser
// would run.
func TestRefusalPage(t *testing.T) {
	w := newWhole(t, nil)
	r := byBrowser(url.QueryEscape("Client-ID[<script>alert('x')</script>&amp;")+"=client", "")
	const code = "c4f4a16c-5a3c-4c5b-8b5d-1f0a6a2f4d10"
	r.Header.Set(interactionID, code)
	answer := w.serve(r)
	body := answer.Body.String()
	if answer.Code != 400 || !strings.Contains(body, "Support code: "+code) || answer.Header().Get(interactionID) != code || strings.Contains(body, "<script") || !strings.Contains(body, "&lt;script") {
		t.Errorf("%d %v %s, want 400 with the support code %s and no script", answer.Code, answer.Header(), body, code)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "WWW-Authenticate": ""} {
		if got := answer.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(answer.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v, want default-src 'none'", answer.Header())
	}
}
