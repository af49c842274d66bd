package gateway

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TestEmptyParameters: a parameter without a value counts as omitted (RFC 6749 3.2) at every
// endpoint where clients authenticate, also when the request before was let through. The AS,
// which may count it all the same, does not get it of a client of the registry; of any other
// client it gets what was sent.
func TestEmptyParameters(t *testing.T) {
	tpp := leaf(t, "tpp", time.Now().Add(time.Hour))
	w := newWhole(t, nil)
	for _, c := range []struct{ query, form, wantQuery, want string }{
		{"", "client_id=client&scope=", "", "client_id=client&scope="},
		{"", "client_id=client&client_secret=&scope=", "", "client_id=client&scope="},
		{"", "client_assertion_type=&client_assertion=&client_id=client", "", "client_id=client"},
		{"client_secret=&a=1", "client_id=client", "a=1", "client_id=client"},
		{"", "client_id=client&resource=a&resource=b&audience=&audience=x", "", "client_id=client&resource=a&resource=b&audience=&audience=x"},
		{"client_id=", "client_id=mobile-app&client_secret=", "client_id=", "client_id=mobile-app&client_secret="},
	} {
		for range 2 {
			r := tokenRequest(tpp, c.form)
			r.URL.RawQuery = c.query
			answer := w.serve(r)
			if answer.Code != 200 || w.passed.URL.RawQuery != c.wantQuery || w.body != c.want || w.passed.ContentLength != int64(len(c.want)) {
				t.Errorf("%q and %q: %d %s, passed on %q", c.query, c.form, answer.Code, answer.Body, w.body)
			}
		}
	}
	for _, at := range []purpose{clientAuthentication, revocation, introspection} {
		for form, want := range map[string]int{
			"client_id=client&client_secret=&client_assertion=": 200, "client_id=client&client_secret=&client_secret=": 400, "client_id=&client_id=client": 400,
			"client_id=client&client_secret=s": 401, "client_id=client&scope=&scope=": 400, "client_id=client&resource=&resource=": 200,
		} {
			got := 200
			a := &authentication{request: w.at(httptest.NewRecorder(), tokenRequest(tpp, form), at)}
			if err := a.check(); err != nil {
				got = refusal.From(err).Status()
			}
			if got != want {
				t.Errorf("endpoint %d, %q: %d, want %d", at, form, got, want)
			}
		}
	}
	// An Authorization header is no parameter: with one the client authenticates, also without a password.
	r := tokenRequest(tpp, "")
	r.SetBasicAuth("client", "")
	if answer := w.serve(r); answer.Code != http.StatusUnauthorized {
		t.Errorf("Basic without a password: %d", answer.Code)
	}
}
