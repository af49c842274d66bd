package gateway

import (
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/targettest"
)

// notServed is the row of an address that nobody serves.
var notServed = errorRow{http.StatusNotFound, "invalid_request", "", "nothing is served at this address"}

// TestSpellings: an address of the gateway, or one that it guards, has one spelling. In any
// other it is 404, and the AS does not see it.
func TestSpellings(t *testing.T) {
	s := newStage(t, nil)
	paths := []string{
		stagePath, asRegistration, "/default/obuk/.well-known/openid-configuration", "/default/obuk/.well-known/oauth-authorization-server",
		"/.well-known/openid-configuration/default/obuk", "/.well-known/oauth-authorization-server/default/obuk",
	}
	for name, path := range endpoints {
		if name != "jwks_uri" { // which everybody may see
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		for name, spell := range targettest.Spellings {
			for _, method := range []string{"GET", "POST"} {
				if err := notServed.check(s, s.do(&s.acme.transport, method, stageSite+spell(path), "a=b", "Content-Type", formType)); err != nil {
					t.Errorf("%s %s (%s): %v", method, spell(path), name, err)
				}
			}
		}
	}
	// Below the AS's own registration everything is the AS's own registration.
	for _, below := range []string{"", "/abc", "/abc/def", "?tenant=1"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if err := notServed.check(s, s.do(&s.acme.transport, method, stageSite+asRegistration+below, "{}", "Content-Type", "application/json")); err != nil {
				t.Errorf("%s %s%s: %v", method, asRegistration, below, err)
			}
		}
	}
	if seen := s.as.passed(); len(seen) > 0 {
		t.Errorf("the authorization server saw %+v, want nothing", seen)
	}
}

// TestOtherPathsPassUnchanged: what is not the gateway's arrives as it was sent, and so does the answer.
func TestOtherPathsPassUnchanged(t *testing.T) {
	s := newStage(t, nil)
	const says = `{"b": 1.0,  "a":"\u0041"}`
	own := map[string]string{"Cache-Control": "private", "X-Own": "1", "Content-Type": "text/x-own"}
	s.as.answers(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range own {
			w.Header().Set(name, value)
		}
		w.WriteHeader(299)
		_, _ = io.WriteString(w, says)
	})
	sent := http.Header{
		"Authorization": {"Bearer of-somebody"}, "X-Own": {"a", "b"}, "Content-Type": {"application/x-own"}, "Cookie": {"a=b"},
		"X-Fapi-Interaction-Id": {"not-a-uuid"}, "Accept": {"*/*;q=0.1"}, "User-Agent": {"own/1"}, "Digest": {"SHA-256=x"}, "X-Jws-Signature": {"a..b"},
	}
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/elsewhere/accounts", ""},
		{"GET", "/default/obuk/elsewhere?a=%2F&b=c;d&a=+", ""},
		{"POST", "/elsewhere/Payments?x", "\x00\xff body"},
		{"PUT", "/elsewhere/a.b~c", strings.Repeat("x", 16<<10)},
		{"DELETE", "/elsewhere/x", ""},
		{"PATCH", "/elsewhere/x", "{}"},
		{"OPTIONS", "/elsewhere/x", ""},
		{"PROPFIND", "/elsewhere/x", ""},
		{"GET", "/default/obuk/openbankinguk/dcr/v3.2/registers/elsewhere", ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			a := s.doHeader(&s.acme.transport, c.method, stageSite+c.target, c.body, sent)
			a.header.Del("Date")
			a.header.Del("Content-Length")
			want := http.Header{}
			for name, value := range own {
				want.Set(name, value)
			}
			if a.status != 299 || a.body != says || !reflect.DeepEqual(a.header, want) {
				t.Errorf("got %s, want 299 %v %s", a, want, says)
			}
			seen := s.as.passed()
			if len(seen) != 1 || seen[0].method != c.method || seen[0].target != c.target || seen[0].body != c.body || seen[0].length != int64(len(c.body)) {
				t.Fatalf("the authorization server saw %+v, want %s %s %q", seen, c.method, c.target, c.body)
			}
			got := maps.Clone(seen[0].header)
			for _, name := range []string{"Accept-Encoding", "Content-Length"} { // net/http's own
				delete(got, name)
			}
			if !reflect.DeepEqual(got, sent) { // no certificate either
				t.Errorf("the authorization server saw the header %v, want %v", got, sent)
			}
		})
	}
}
