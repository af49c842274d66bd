package page

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// answers is an admin API that says always the same, by method and path.
type answers struct {
	t     *testing.T
	says  map[string]string
	fails map[string]error
	calls []Call
}

func (a *answers) Call(_ context.Context, c Call) (*Answer, error) {
	a.calls = append(a.calls, c)
	if err := a.fails[c.Method+" "+c.Path]; err != nil {
		return nil, err
	}
	text, ok := a.says[c.Method+" "+c.Path]
	if !ok {
		return nil, &Refused{http.StatusNotFound, "registry: not found"}
	}
	return &Answer{Status: http.StatusOK, Tag: `"tag"`, Body: json.RawMessage(text)}, nil
}

const status = `{"workspaces":[{"workspace":"default/obuk","clients":{"active":1}}],"clients_counted":true}`

// one is a client with a name.
func one(name, more string) string {
	text, _ := json.Marshal(name)
	return `{"client_id":"a","workspace":"default/obuk","label":"DCR","status":"active","client_name":` + string(text) + `,"software_id":"s","org_id":"o","directory":"d","token_endpoint_auth":"native","registered_at":"2026-01-31T00:00:00Z"` + more + `}`
}

// site is the pages of an API, as somebody sees them.
type site struct {
	t       *testing.T
	handler http.Handler
	api     *answers
	who     operator
}

func newSite(t *testing.T, changes bool) *site {
	t.Helper()
	s := &site{t: t, api: &answers{t: t, says: map[string]string{"GET status": status}, fails: map[string]error{}}, who: operator{Operator: registry.Operator{Name: "anna", Known: registry.ByLogin}, changes: changes}}
	s.handler = newServer(func(operator) API { return s.api }, slog.New(slog.DiscardHandler))
	return s
}

// open is a page.
func (s *site) open(method, address string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, address, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, withOperator(r, s.who))
	return w
}

// shows holds that a page has a status and texts.
func (s *site) shows(w *httptest.ResponseRecorder, status int, texts ...string) {
	s.t.Helper()
	if w.Code != status {
		s.t.Errorf("got status %d, want %d: %s", w.Code, status, w.Body)
	}
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) && !strings.Contains(w.Body.String(), strings.ReplaceAll(text, "+", "&#43;")) {
			s.t.Errorf("%q is not in %s", text, w.Body)
		}
	}
}

// TestHostileNames: what a TPP has chosen is a text, of a bounded length, whose characters can be
// seen.
func TestHostileNames(t *testing.T) {
	for name, want := range map[string]string{
		`<script>alert(1)</script>`: `&lt;script&gt;alert(1)&lt;/script&gt;`, `" onclick="x`: `&#34; onclick=&#34;x`,
		"\u202egnp.exe": `[U+202E]gnp.exe`, "a\u200bb": `a[U+200B]b`, "\u3164": `[U+3164]`, "a\ufe0f": `a[U+FE0F]`, "a\x1b[31m": `a[U+001B][31m`, "\U000e0041": `[U+E0041]`, strings.Repeat("x", 10<<10): strings.Repeat("x", longestShort) + "</bdi>",
	} {
		s := newSite(t, true)
		s.api.says["GET clients"] = `{"entries":[` + one(name, "") + `],"looked":1}`
		s.api.says["GET clients/a"] = one(name, `,"metadata":{"client_name":"x","redirect_uris":[`+strings.Repeat(`"https://tpp.example/<b>",`, 2000)+`"z"]}`)
		for _, address := range []string{"/clients", "/clients/a", "/clients/a/suspend"} {
			w := s.open("GET", address, nil)
			s.shows(w, http.StatusOK, want)
			if strings.Contains(w.Body.String(), "<script>alert") || strings.Contains(w.Body.String(), "<b>") || w.Body.Len() > 60<<10 {
				t.Errorf("%q at %s: %d bytes, or it is no text: %s", name, address, w.Body.Len(), w.Body)
			}
		}
		s.shows(s.open("GET", "/clients/a", nil), http.StatusOK, "and 1981 more")
	}
}

// TestHeaders: nothing comes from elsewhere, nothing is inline, and no page is kept or framed.
func TestHeaders(t *testing.T) {
	s := newSite(t, true)
	s.api.says["GET clients"] = `{"entries":[],"looked":0}`
	for _, address := range []string{"/clients", "/nothing", "/clients/b"} {
		w := s.open("GET", address, nil)
		for name, want := range headers {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q", address, name, got)
			}
		}
		if inline := regexp.MustCompile(`(?i)<style|\son\w+=|\sstyle=|<script(?: defer)?>|https?://`).FindString(w.Body.String()); inline != "" {
			t.Errorf("%s has %q", address, inline)
		}
	}
}

var tokenIn = regexp.MustCompile(`name="token" value="([^"]+)"`)

// TestChange: an operator says why, and it is done once, for what was seen.
func TestChange(t *testing.T) {
	s := newSite(t, true)
	s.api.says["GET clients/a"] = one("Acme", "")
	s.api.says["POST clients/a/suspend"] = one("Acme", "")
	form := s.open("GET", "/clients/a/suspend?workspace=default/obuk", nil)
	s.shows(s.open("GET", "/clients/a", nil), http.StatusOK, `href="/clients/a/suspend?workspace=default%2Fobuk"`)
	s.shows(form, http.StatusOK, "Suspend", "gets no token", `action="/clients/a/suspend?workspace=default%2Fobuk"`)
	token := tokenIn.FindStringSubmatch(form.Body.String())
	if token == nil {
		t.Fatalf("no token in %s", form.Body)
	}
	good := url.Values{"token": {token[1]}, "tag": {`"tag"`}, "reason": {" a ticket "}}
	w := s.open("POST", "/clients/a/suspend?workspace=default/obuk", good)
	s.shows(w, http.StatusSeeOther)
	if to := w.Header().Get("Location"); to != "/clients/a?done=suspend&workspace=default%2Fobuk" {
		t.Errorf("leads to %s", to)
	}
	last := s.api.calls[len(s.api.calls)-1]
	if last.Method != "POST" || last.Path != "clients/a/suspend" || last.Reason != "a ticket" || last.Match != `"tag"` || last.Query.Get("workspace") != "default/obuk" {
		t.Errorf("calls %+v", last)
	}
	made := 0
	for name, c := range map[string]struct {
		form    url.Values
		headers []string
		status  int
		says    string
	}{
		"without a token":       {url.Values{"tag": {`"tag"`}, "reason": {"typed"}}, nil, http.StatusForbidden, "typed</textarea>"},
		"a token of elsewhere":  {url.Values{"token": {"x"}, "reason": {"typed"}}, nil, http.StatusForbidden, "too old"},
		"no reason":             {url.Values{"token": {token[1]}}, nil, http.StatusUnprocessableEntity, "Write a reason"},
		"another origin":        {good, []string{"Origin", "https://evil.example"}, http.StatusForbidden, "another site"},
		"another site":          {good, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden, "another site"},
		"a form without an end": {url.Values{"reason": {strings.Repeat("x", maxForm)}}, nil, http.StatusBadRequest, "cannot be read"},
	} {
		made = len(s.api.calls)
		s.shows(s.open("POST", "/clients/a/suspend", c.form, c.headers...), c.status, c.says)
		for _, call := range s.api.calls[made:] {
			if call.Method != "GET" {
				t.Errorf("%s: calls %+v", name, call)
			}
		}
	}
	s.api.fails["POST clients/a/suspend"] = &Refused{http.StatusPreconditionFailed, "changed"}
	s.shows(s.open("POST", "/clients/a/suspend", good), http.StatusConflict, "has changed since", "a ticket</textarea>")
	delete(s.api.says, "GET clients/a")
	s.shows(s.open("POST", "/clients/a/suspend", good), http.StatusNotFound, "not found")
}

// TestViewer sees no control that changes something, and the server refuses it.
func TestViewer(t *testing.T) {
	s := newSite(t, false)
	s.api.says["GET clients/a"] = one("Acme", "")
	if w := s.open("GET", "/clients/a", nil); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "Suspend") {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
	for _, a := range actions {
		s.shows(s.open("GET", "/clients/a/"+a.Name, nil), http.StatusForbidden, "you may look")
		token := s.open("POST", "/clients/a/"+a.Name, url.Values{"reason": {"x"}, "token": {"x"}})
		s.shows(token, http.StatusForbidden, "you may look")
	}
}

// TestSearch: the address of a view says what is looked for, and the page how far it has looked.
func TestSearch(t *testing.T) {
	s := newSite(t, false)
	s.api.says["GET clients"] = `{"entries":[],"next":"more","looked":2000,"up_to":"2026-01-31T00:00:00Z"}`
	s.shows(s.open("GET", "/clients?name=+Acme+&status=active&expires=30&unused=7&odd=1&cursor=c", nil), http.StatusOK, "No application matches", "2000 looked at", "Go on with the search", `/clients?cursor=more&amp;expires=30&amp;name=Acme&amp;status=active"`, "31 Jan 2026")
	q := s.api.calls[0].Query
	if q.Get("name") != "Acme" || q.Get("status") != "active" || q.Get("cursor") != "c" || q.Get("certificate_expires_before") == "" || q.Has("last_used_before") || q.Has("odd") {
		t.Errorf("asks for %v", q)
	}
	s.api.fails["GET clients"] = &Refused{http.StatusBadRequest, "cursor: this is none of this list"}
	s.shows(s.open("GET", "/clients?cursor=x", nil), http.StatusBadRequest, "this is none of this list", "1</strong> active")
	s.api.fails["GET clients"] = &Refused{http.StatusServiceUnavailable, "the store is not open"}
	s.shows(s.open("GET", "/clients", nil), http.StatusBadGateway, "the store is not open")
}

// TestRoot: links stay at the site, below the path that it has taken off.
func TestRoot(t *testing.T) {
	for original, want := range map[string]string{
		"/dcr/clients": "/dcr", "/clients": "", "//evil.example/clients": "", "/a//b/clients": "/a//b", "/other": "", "/\\evil.example/clients": "/%5Cevil.example", "/dcr%2Fx/clients": "/dcr%2Fx",
	} {
		asked := httptest.NewRequest("GET", "/clients", nil)
		first := http.Request{URL: &url.URL{Path: original}}
		if u, err := url.Parse(original); err == nil && u.Host == "" {
			first.URL = u
		}
		asked = asked.WithContext(context.WithValue(asked.Context(), caddyhttp.OriginalRequestCtxKey, first))
		if got := rootOf(asked); got != want {
			t.Errorf("%s: got %q, want %q", original, got, want)
		}
	}
}

// TestAssets: two files for every page, which browsers keep.
func TestAssets(t *testing.T) {
	s := newSite(t, false)
	for _, name := range []string{"page.css", "page.js"} {
		plain, zipped := s.open("GET", "/assets/"+name, nil), s.open("GET", "/assets/"+name, nil, "Accept-Encoding", "br, gzip")
		if plain.Code != 200 || zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() >= plain.Body.Len() || !strings.Contains(plain.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got %d, %d and %d bytes, %v", name, plain.Code, plain.Body.Len(), zipped.Body.Len(), zipped.Header())
		}
	}
	s.shows(s.open("GET", "/assets/other.js", nil), http.StatusNotFound)
}
