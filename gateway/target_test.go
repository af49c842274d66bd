package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// read is a request line as Go's server reads it, nil where it refuses the line itself.
func read(method, target string) *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + target + " HTTP/1.1\r\nHost: bank.example\r\n\r\n")))
	if err != nil {
		return nil
	}
	return r
}

func TestCheckTarget(t *testing.T) {
	for _, c := range []struct {
		method, target string
		status         int    // 0: it is accepted
		leaves         string // the target that leaves; "" for the same
	}{
		{"POST", "/default/obuk/token", 0, ""},
		{"GET", "/a%2Fb?c=%23&d", 0, ""},
		{"GET", "/?", 0, ""},
		{"GET", "/caf%C3%A9", 0, ""},
		{"POST", "https://bank.example/default/obuk/token?x=y", 0, "/default/obuk/token?x=y"},
		{"POST", "http://bank.example/a%2Fb", 0, "/a%2Fb"},
		{"POST", "HTTPS://BANK.example:443/a", 0, "/a"},
		{"POST", "x:http:/default/obuk/token", 400, ""},
		{"POST", "x:http://any.host/default/obuk/register", 400, ""},
		{"POST", "x:/default/obuk/token", 400, ""},
		{"POST", "x://bank.example/default/obuk/token", 400, ""},
		{"POST", "https:default/obuk/token", 400, ""},
		{"POST", "https:/default/obuk/token", 400, ""},
		{"POST", "https:///default/obuk/token", 400, ""},
		{"POST", "https://u@bank.example/default/obuk/token", 400, ""},
		{"POST", "https://bank.example", 400, ""},
		{"POST", "https://bank.example?a", 400, ""},
		{"GET", "*", 400, ""},
		{"GET", "/" + strings.Repeat("a", 8<<10-1), 0, ""},
		{"GET", "/" + strings.Repeat("a", 8<<10), 400, ""},
		{"GET", "/a" + strings.Repeat("%C3%A9", 1<<9-1), 0, ""}, // 1 KiB decoded
		{"GET", "/" + strings.Repeat("%C3%A9", 1<<9), 400, ""},
		{"GET", "/a?b#/default/obuk/token", 400, ""},
		{"CONNECT", "bank.example:443", 405, ""},
		{"CONNECT", "/default/obuk/token", 405, ""},
	} {
		r := read(c.method, c.target)
		if r == nil {
			t.Errorf("%s %s: Go itself refuses it", c.method, c.target)
			continue
		}
		before := *r.URL
		err := checkTarget(r)
		status := 0
		if err != nil {
			status = refusal.From(err).Status()
		}
		if status != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, status, c.status)
		}
		want := c.leaves
		if want == "" {
			want = before.RequestURI()
		}
		if got := r.URL.RequestURI(); got != want || err == nil && r.RequestURI != want {
			t.Errorf("%s %s: leaves as %s, RequestURI %s, want %s", c.method, c.target, got, r.RequestURI, want)
		}
	}
	for host, good := range map[string]bool{
		"bank.example": true, "bank.example:8443": true, "[::1]": true, "[::1]:443": true, "bank.example:": false, "bank.example:evil": false, "bank.example:-1": false, "bank.example:0": false, "bank.example:99999": false,
	} {
		r := read("POST", "/a")
		r.Host = host
		if err := checkTarget(r); (err == nil) != good {
			t.Errorf("Host: %s: %v", host, err)
		}
	}
	for _, c := range []struct {
		method, target string
		what           purpose
		status         int
	}{
		{"GET", "/a", passThrough, 0},
		{"GET", "/default/obuk/%c0%afx", passThrough, 400},
		{"GET", "/default/obuk/toke%ee", hidden, 400},
		{"GET", "//a", passThrough, 400},
		{"GET", "//default/obuk/token", hidden, 0}, // is 404
		{"TRACE", "/", passThrough, 405},
		{"trace", "/", endpoint, 405},
		{"TRACK", "/", hidden, 405},
		{"TRACE", "/", registrations, 0}, // has its own 405
		{"GET", "/x/%ff", registration, 0},
	} {
		err := checkPassed(read(c.method, c.target), c.what)
		status := 0
		if err != nil {
			status = refusal.From(err).Status()
		}
		if status != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, status, c.status)
		}
	}
	// Another authority than the one that routed the request: HTTP/2 can send it.
	r := read("POST", "https://bank.example/a")
	r.Host = "other.example"
	if err := checkTarget(r); err == nil || refusal.From(err).Status() != http.StatusMisdirectedRequest {
		t.Errorf("another host: %v", err)
	}
}

// judged is what a gateway with the table does with a request line: the target that
// leaves, and the path that was checked. Empty where nothing leaves.
func judged(t *table, method, target string) (leaves, checked string) {
	r := read(method, target)
	if r == nil || checkTarget(r) != nil {
		return "", ""
	}
	checked = r.URL.EscapedPath()
	switch what, _ := t.find(checked); {
	case what == hidden, what == discovery, what == registrations, what == registration:
		return "", "" // answered here
	case checkPassed(r, what) != nil:
		return "", ""
	}
	return r.URL.RequestURI(), checked
}

// sameReading holds that what leaves has one path, the one that was checked: for a
// server that reads it as Go reads a request target, and for one that reads it as a
// reference (RFC 3986) of itself.
func sameReading(t *table, leaves, checked string) error {
	asTarget, err := url.ParseRequestURI(leaves)
	if err != nil {
		return fmt.Errorf("what leaves is no request target: %w", err)
	}
	asReference, err := url.Parse(leaves)
	if err != nil {
		return fmt.Errorf("what leaves is no reference: %w", err)
	}
	base := &url.URL{Scheme: "https", Host: "as.internal", Path: "/"}
	for name, u := range map[string]*url.URL{"as a target": asTarget, "as a reference": asReference} {
		if u.EscapedPath() != checked || u.Host != "" || u.Opaque != "" || u.Scheme != "" || u.Fragment != "" || u.User != nil {
			return fmt.Errorf("%s it is %#v", name, u)
		}
		resolved := base.ResolveReference(u)
		if resolved.Host != base.Host {
			return fmt.Errorf("%s it leads to %s", name, resolved.Host)
		}
		before, _ := t.find(checked)
		if now, _ := t.find(resolved.EscapedPath()); now != before && now != passThrough {
			return fmt.Errorf("%s resolved it is %s, which counts", name, resolved.EscapedPath())
		}
	}
	if asTarget.RawQuery != asReference.RawQuery {
		return errors.New("the query has two readings")
	}
	return nil
}

// targetParts are what targets are made of, before each guarded path.
var targetParts = []string{
	"", "/", "//", "///", ".", "/.", "/..", "/./", "/.//", "/x/../", "/x/..//", "/%2e/", "/%2E%2e/", "/%2e//", "\\", "/\\", "\\\\", "/%5c", "/%5c%5c",
	"x:", "x:/", "x://", "x:http:", "x:http:/", "x:http://", "x:http://any.host", "x:https://bank.example", "http:", "http:/", "http://", "https:", "https://",
	"http://bank.example", "https://bank.example", "HTTPS://bank.example", "https://bank.example:443", "https://bank.example:1", "https://bank.example/.", "https://bank.example//",
	"https://bank.example\\", "https://other.example", "https://@bank.example", "https://u:p@bank.example", "https://bank.example#", "https://bank.example?", "https://bank.example@other.example",
	"https://[::1]", "https://bank.example%2f", "http://bank.example:80", "//evil", "//evil@bank.example", "//bank.example", "/.//evil", "/x/..//evil", "/;x/", "/%00", "/%0d%0a", "/%20", "/%c0%af", "/%ef%bc%8f",
	"*", "*/", "?", "/?", "#", "/#", "/x?", "/x#", "/x?y#", "%2f", "%2f%2f", ":", ":443", "bank.example", "bank.example:443", "data:", "javascript:", "file://", "ws://bank.example", "//\t", "/\x01", "/\x7f", "\xff", "/\xc0\xaf",
}

// TestTargets: every target that is made of the parts and an address that counts
// leaves with the path that was checked, or not at all.
func TestTargets(t *testing.T) {
	table, passed := paths(t), 0
	for _, path := range []string{"/default/obuk/token", "/default/obuk/Reg", "/default/obuk/userinfo", "/elsewhere/revoke", "/default/obuk/openbankinguk/dcr/v3.2/register", "/elsewhere", ""} {
		for _, first := range targetParts {
			for _, second := range targetParts {
				target := first + second + path
				leaves, checked := judged(table, "POST", target)
				if leaves == "" {
					continue
				}
				passed++
				if err := sameReading(table, leaves, checked); err != nil {
					t.Errorf("POST %q leaves as %q: %v", target, leaves, err)
				}
			}
		}
	}
	if passed == 0 {
		t.Error("nothing leaves at all")
	}
}

// FuzzTarget holds the same of any target.
func FuzzTarget(f *testing.F) {
	for _, first := range targetParts {
		f.Add("POST", first+"/default/obuk/token")
		f.Add("GET", first+"/default/obuk/userinfo?a=b")
	}
	table := paths(f)
	f.Fuzz(func(t *testing.T, method, target string) {
		leaves, checked := judged(table, method, target)
		if leaves == "" {
			return
		}
		if err := sameReading(table, leaves, checked); err != nil {
			t.Errorf("%q %q leaves as %q: %v", method, target, leaves, err)
		}
	})
}
