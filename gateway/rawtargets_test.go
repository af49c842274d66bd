package gateway

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/internal/targettest"
)

// targetsBefore stand before a path that counts. There is none with another host: which site
// such a request is for is the server's to say.
func targetsBefore(host string) []string {
	return []string{
		"x:", "x:/", "x:http:", "x:http:/", "x:http://any.host", "x:http://" + host, "x:https:", "x://" + host, "http:", "http:/", "http://", "https:", "https:/", "https://",
		"//", "///", "//evil", "//" + host, "/.//evil", "/x/..//evil", "/./", "/x/..", "/%2e", "/%2e%2e/", "/%2f", "\\", "/\\", "/%5c", "/;x", "/%00", "/%20", "/%c0%af", "/%ef%bc%8f", "\t", " ",
		"http://u@" + host, "https://" + host + "/x/..", "https://" + host + "//evil", "https://" + host + "\\", "https://" + host + "@evil",
		"*", "*/", "?", "/?", "#", "/#", "/x?y#", "%2f", ":", ":443", host, "data:", "file://", "ws://" + host, "/\x01", "/\x7f", "/\xff", "/\xc0\xaf",
	}
}

// targetsAfter follow a path that counts.
var targetsAfter = []string{"?#", "#", "#?x", "%23", "%3f", "/.", "/..;/", "%2e", "%00", "%20", "%C2%A0", "\\", ";", "/", "//", "%e2%80%8b"}

// TestRequestTargets: whatever a request line says, the AS sees no request at its token,
// registration or userinfo endpoint that was not checked, and every target that it sees has
// one reading.
func TestRequestTargets(t *testing.T) {
	s := newStage(t, nil)
	id, _ := s.registered(s.acme, nil)
	form := "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id)
	guarded := []string{tokenPath, asRegistration, endpoints["userinfo_endpoint"], stagePath}
	// Nobody: without TLS there is no certificate, and the guard lets no request of a registered
	// client pass. A connection costs little then.
	http1 := httptest.NewServer(s.https.Config.Handler)
	t.Cleanup(http1.Close)
	answered := 0
	for _, path := range guarded {
		var targets []string
		for _, before := range targetsBefore(stageHost) {
			targets = append(targets, before+path)
		}
		for _, after := range targetsAfter {
			targets = append(targets, path+after)
		}
		for _, target := range targets {
			conn, err := net.DialTimeout("tcp", http1.Listener.Addr().String(), stageTimeout)
			s.must(err)
			a, err := s.over(conn, "POST", oneRequest("POST", target, form, "Connection: close"))
			if err == nil {
				answered++
			}
			seen := s.as.passed()
			if err == nil && a.text("access_token") != "" {
				t.Errorf("POST %q: got %s, want no token", target, a)
			}
			if err == nil && a.status < 300 && len(seen) != 1 {
				t.Errorf("POST %q: got %s without the authorization server", target, a)
			}
			for _, got := range seen {
				if err := targettest.OneReading(got.target, guarded...); err != nil {
					t.Errorf("POST %q: the authorization server saw %q: %v", target, got.target, err)
				}
			}
		}
	}
	if answered == 0 {
		t.Error("nothing was answered at all")
	}
}

// TestAbsoluteForm: a target with the site's own host is one of this site, and leaves without
// it. Methods that make a tunnel, or that tell the
// sender what the AS was sent, are refused.
func TestAbsoluteForm(t *testing.T) {
	s := newStage(t, nil)
	id, _ := s.registered(s.acme, nil)
	form := "grant_type=client_credentials&scope=&client_id=" + url.QueryEscape(id)
	for _, c := range []struct {
		method, target, body string
		status               int
		passes               string // the target that the AS sees; "" for none
	}{
		{"POST", stageSite + tokenPath + "?x=y", form, http.StatusOK, tokenPath + "?x=y"},
		{"POST", "HTTPS://" + strings.ToUpper(stageHost) + tokenPath, form, http.StatusOK, tokenPath},
		{"POST", "https://u@" + stageHost + tokenPath, form, http.StatusBadRequest, ""},
		{"TRACE", "/x", "", http.StatusMethodNotAllowed, ""},
		{"trace", "/x", "", http.StatusMethodNotAllowed, ""},
		{"TRACK", "/x", "", http.StatusMethodNotAllowed, ""},
		{"CONNECT", stageHost, "", http.StatusMethodNotAllowed, ""},
		{"CONNECT", "/x", "", http.StatusMethodNotAllowed, ""},
		{"GET", "/x", "", http.StatusOK, "/x"},
	} {
		a, err := s.raw(&s.acme.transport, c.method, oneRequest(c.method, c.target, c.body))
		seen := s.as.passed()
		if err != nil || a.status != c.status || c.passes == "" && len(seen) != 0 || c.passes != "" && (len(seen) != 1 || seen[0].target != c.passes) {
			t.Errorf("%s %s: got %v, %v, the authorization server saw %+v, want %d %q", c.method, c.target, a, err, seen, c.status, c.passes)
		}
	}
}
