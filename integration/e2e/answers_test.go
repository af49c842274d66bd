package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// wellKnown are the addresses of the discovery document, below the site's origin.
var wellKnown = []string{
	story.Prefix + "/.well-known/openid-configuration",
	story.Prefix + "/.well-known/oauth-authorization-server",
	"/.well-known/openid-configuration" + story.Prefix,
	"/.well-known/oauth-authorization-server" + story.Prefix,
}

func siteOf(p *story.Play) string { return strings.TrimSuffix(p.Issuer, story.Prefix) }

// TestSuccessfulAnswers: status, body and headers of everything that succeeds, for
// the media types and forms that TPPs send.
func TestSuccessfulAnswers(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		const code = "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"
		call := func(method, url, token, contentType, body string, status int) *tpp.Response {
			t.Helper()
			r, err := p.Make(t.Context(), story.Call{Method: method, URL: url, As: p.Acme, Token: token, Body: body, ContentType: contentType, Header: http.Header{"X-Fapi-Interaction-Id": {code}}})
			answered(t, r, err, status, "")
			want := map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "x-fapi-interaction-id": code, "WWW-Authenticate": "", "Retry-After": "", "Allow": ""}
			if status == http.StatusNoContent {
				want["Content-Type"] = ""
			}
			for name, value := range want {
				if got := strings.Join(r.Header.Values(name), "|"); got != value {
					t.Errorf("%s %d: %s is %q, want %q", method, status, name, got, value)
				}
			}
			if empty := len(r.Body) == 0; empty != (status == http.StatusNoContent) || !empty && r.JSON == nil {
				t.Errorf("%s %d with the body %q", method, status, r.Body)
			}
			return r
		}
		for _, c := range []struct{ contentType, after string }{
			{"application/jose", ""},
			{"application/jwt", ""},
			{"application/jose; charset=UTF-8", ""},
			{"application/jwt;charset=utf-8", ""},
			{"Application/JOSE", ""},
			{"application/jose", "\r\n"},
			{"application/jwt; charset=utf-8", "\r\n"},
		} {
			t.Run(fmt.Sprintf("%s %q", c.contentType, c.after), func(t *testing.T) {
				token, body, err := p.Prepare(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				created := call(http.MethodPost, p.Register, token, c.contentType, body+c.after, http.StatusCreated)
				id := created.Text("client_id")
				if id == "" || created.JSON["client_id_issued_at"] == nil {
					t.Errorf("got %s, want a client_id and its time of issue", created)
				}
				own, err := p.ClientToken(t.Context(), p.Acme, id)
				if err != nil {
					t.Fatal(err)
				}
				address := p.Register + "/" + id
				if read := call(http.MethodGet, address, own, "", "", http.StatusOK); string(read.Body) != string(created.Body) {
					t.Errorf("got\n%s\nwant as registered\n%s", read.Body, created.Body)
				}
				if body, err = p.Acme.Request(nil); err != nil {
					t.Fatal(err)
				}
				updated := call(http.MethodPut, address, own, c.contentType, body+c.after, http.StatusOK)
				if updated.Text("client_id") != id || updated.JSON["client_id_issued_at"] != created.JSON["client_id_issued_at"] {
					t.Errorf("updated\n%s\nregistered\n%s", updated.Body, created.Body)
				}
				call(http.MethodDelete, address, own, "", "", http.StatusNoContent)
			})
		}
	})
}

// TestInteractionID: a UUID is echoed as it was sent, so that software finds its
// own again; whatever else is sent, a new one is made.
func TestInteractionID(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		const code = "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11"
		seen := map[string]bool{}
		for _, c := range []struct {
			name string
			sent []string
			want string // empty: a new one
		}{
			{"lower case", []string{code}, code},
			{"upper case", []string{strings.ToUpper(code)}, strings.ToUpper(code)},
			{"version 1", []string{"c232ab00-9414-11ec-b3c8-9f6bdeced846"}, "c232ab00-9414-11ec-b3c8-9f6bdeced846"},
			{"none", nil, ""},
			{"empty", []string{""}, ""},
			{"text", []string{"my-request-1"}, ""},
			{"one character too many", []string{code + "1"}, ""},
			{"without dashes", []string{strings.ReplaceAll(code, "-", "")}, ""},
			{"in braces", []string{"{" + code + "}"}, ""},
			{"as URN", []string{"urn:uuid:" + code}, ""},
			{"markup", []string{"<script>alert(1)</script>-1234567890"}, ""},
			{"long", []string{strings.Repeat("4f5a1c3e-", 400)}, ""},
			{"two", []string{code, "c232ab00-9414-11ec-b3c8-9f6bdeced846"}, ""},
		} {
			for _, method := range []string{http.MethodPost, http.MethodPatch} {
				t.Run(c.name+" "+method, func(t *testing.T) {
					header := http.Header{"Content-Type": {"application/jose"}}
					if c.sent != nil {
						header["X-Fapi-Interaction-Id"] = c.sent
					}
					r, err := p.Client(p.Acme).Do(t.Context(), method, p.Register, header, []byte("x"))
					if err != nil {
						t.Fatal(err)
					}
					if err := hasSupportCode(r); err != nil {
						t.Fatal(err)
					}
					got := r.Header.Get("x-fapi-interaction-id")
					if c.want != "" && got != c.want || c.want == "" && (seen[got] || slices.Contains(c.sent, got)) {
						t.Errorf("got %q, want %q (empty: a new code)", got, c.want)
					}
					seen[got] = c.want == ""
				})
			}
		}
	})
}

// TestMethods: each address has its methods, and refuses all others with 405 and
// Allow, whoever asks.
func TestMethods(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		id, err := p.RegisterAnother(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"}
		type address struct {
			url   string
			allow []string
			// passed is answered by the AS: CORS.
			passed string
		}
		addresses := []address{
			{p.Register, []string{"POST"}, ""},
			{p.Register + "/" + id, []string{"GET", "PUT", "DELETE"}, ""},
			{p.Register + "/nobody", []string{"GET", "PUT", "DELETE"}, ""},
		}
		for _, path := range wellKnown {
			addresses = append(addresses, address{siteOf(p) + path, []string{"GET", "HEAD"}, "OPTIONS"})
		}
		anonymous := tpp.NewClient(p.ClientOptions())
		defer anonymous.Close()
		for _, a := range addresses {
			for _, method := range all {
				if slices.Contains(a.allow, method) || method == a.passed {
					continue
				}
				for _, client := range []*tpp.Client{p.Client(p.Acme), anonymous} {
					r, err := client.Do(t.Context(), method, a.url, nil, nil)
					if err != nil {
						t.Errorf("%s %s: %v", method, a.url, err)
						continue
					}
					if got := strings.Join(r.Header.Values("Allow"), "|"); r.Status != 405 || got != strings.Join(a.allow, ", ") {
						t.Errorf("%s %s: %d, Allow %q, want 405, Allow %q", method, a.url, r.Status, got, strings.Join(a.allow, ", "))
					}
					if method == "HEAD" {
						continue // has no body
					}
					if err := (row{405, "invalid_request", "", "method: not one of this address; it takes " + strings.Join(a.allow, ", ")}).isIn(p, r, nil); err != nil && a.passed == "" {
						t.Errorf("%s %s: %v", method, a.url, err)
					}
				}
			}
		}
	})
}

// TestUnknownPathsBelowRegisterAreNotFound: everything else below the register path is 404 in JSON for
// every method, and the AS never sees it.
func TestUnknownPathsBelowRegisterAreNotFound(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, token := registered(t, p)
	if err := p.AS.ResetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/" + id + "/", "/" + id + "/keys", "/a/b/c", "//" + id, "/./" + id, "/x/../" + id, "/" + id + ";v=1", "/%2e%2e", "/..%2f..%2ftoken", "/%00", "/" + id + "%2f", "/;"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"} {
			r, err := p.Client(p.Acme).Do(t.Context(), method, p.Register+path, http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/jose"}}, []byte("x"))
			if method == "HEAD" {
				if err != nil || r.Status != 404 || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("HEAD %s: %v, %v, want 404", path, r, err)
				}
				continue
			}
			if err := notFound.isIn(p, r, err); err != nil {
				t.Errorf("%s %s: %v", method, path, err)
			}
		}
	}
	if seen, err := p.Seen(t.Context()); err != nil || len(seen) > 0 {
		t.Errorf("the authorization server saw %v, %v", seen, err)
	}
}
