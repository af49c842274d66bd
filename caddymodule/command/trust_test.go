package command

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const trustAnswer = `{"entries":[{"v":1,"workspace":"w","registration":"r1","client_id":"c1","client_name":"Acme\u001b[2J","software_id":"s1","org_id":"o1","directory":"d","findings":[
{"kind":"key_revoked","detail":"the key k1","since":1769817600,"suspended_at":1769904000},{"kind":"certificate_expired","detail":"serial 7","since":1769900000}]}],
"passes":[{"workspace":"w","under_way":true,"started_at":"2026-01-31T00:00:00Z","looked":12,"findings":{},"directories":[{"directory":"OpenBanking Ltd","kind":"keys_empty","detail":"no usable key","since":1769817600}]}]}`

// TestTrust prints how far the look at the clients is, the directories, and the clients; --json
// the clients alone.
func TestTrust(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET trust": says(200, trustAnswer)})
	out, stderr, status := dcr(t, "trust", "--address", s.address, "--workspace", "w", "--kind", "key_revoked")
	for _, want := range []string{"since 2026-01-31T00:00:00Z, 12 clients", "keys_empty", "key_revoked, certificate_expired  2026-01-31T00:00:00Z  2026-02-01T00:00:00Z", `Acme\x1b[2J`, "the key k1; serial 7"} {
		if !strings.Contains(out, want) || status != 0 {
			t.Errorf("got status %d, %s, %s; want %q", status, out, stderr, want)
		}
	}
	if want := []string{"GET trust?limit=1&workspace=w", "GET trust?kind=key_revoked&limit=100&workspace=w"}; !reflect.DeepEqual(s.calls, want) {
		t.Errorf("asked for %q, want %q", s.calls, want)
	}
	s.calls = nil
	out, _, status = dcr(t, "trust", "--address", s.address, "--json")
	if status != 0 || !strings.HasPrefix(out, `{"v":1,`) || len(s.calls) != 1 {
		t.Errorf("with --json: got status %d, %s after %q; want the client alone", status, out, s.calls)
	}
}

// TestTrustCheck: the command waits for the end of the check that it has started, not for that of
// the one before, and what was found is status 1.
func TestTrustCheck(t *testing.T) {
	pass := func(due, more string) string {
		return `{"workspace":"w","looked":3,"completed_at":"2026-01-31T00:00:00Z","due_at":"` + due + `","directories":[],` + more + `}`
	}
	before := pass("2026-02-01T00:00:00Z", `"under_way":false,"findings":{}`)
	underWay := pass("2026-02-02T00:00:00Z", `"under_way":true,"findings":{}`)
	for _, tc := range []struct {
		findings string
		status   int
		stderr   string
	}{{`{}`, 0, ""}, {`{"key_revoked":2}`, 1, "the check has 2 findings: caddy dcr trust lists the clients"}} {
		looks := []string{before, underWay, pass("2026-02-02T00:00:00Z", `"under_way":false,"findings":`+tc.findings)}
		s := newStandIn(t, map[string]http.HandlerFunc{"POST trust/check": says(200, before), "GET trust": func(w http.ResponseWriter, r *http.Request) {
			says(200, `{"entries":[],"passes":[`+looks[0]+`]}`)(w, r)
			looks = looks[min(1, len(looks)-1):]
		}})
		out, stderr, status := dcr(t, "trust", "check", "--address", s.address, "--reason", "a test")
		if status != tc.status || !strings.Contains(stderr, tc.stderr) || !strings.Contains(out, "2026-02-02T00:00:00Z") || len(s.calls) != 4 || s.calls[0] != "POST trust/check" {
			t.Errorf("got status %d, %s, %s after %q; want %d after three looks, and %q", status, out, stderr, s.calls, tc.status, tc.stderr)
		}
	}
	s := newStandIn(t, map[string]http.HandlerFunc{"POST trust/check": says(409, `{"error":"under way already"}`)})
	if _, stderr, status := dcr(t, "trust", "check", "--address", s.address, "--reason", "a test"); status != 1 || !strings.Contains(stderr, "under way already") {
		t.Errorf("a check under way: got status %d, %s", status, stderr)
	}
}

// TestUnusedSince: a duration is before now, for the one filter, and after it for the other.
func TestUnusedSince(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET clients": func(w http.ResponseWriter, r *http.Request) {
		for name, want := range map[string]time.Duration{"last_used_before": -180 * 24 * time.Hour, "certificate_expires_before": 30 * 24 * time.Hour} {
			at, err := time.Parse(time.RFC3339, r.URL.Query().Get(name))
			if off := time.Since(at.Add(-want)); err != nil || off.Abs() > time.Minute {
				t.Errorf("%s=%s, want %v from now", name, r.URL.Query().Get(name), want)
			}
		}
		says(200, `{"entries":[`+strings.TrimSuffix(aClient, "}")+`,"last_used":"2026-01-30"}]}`)(w, r)
	}})
	out, stderr, status := dcr(t, "clients", "list", "--address", s.address, "--unused-since", "180d", "--certificate-expires-within", "30d")
	if status != 0 || !strings.Contains(out, "2026-01-30") {
		t.Errorf("got status %d, %s, %s; want the day of the last use", status, out, stderr)
	}
	if _, stderr, status = dcr(t, "clients", "list", "--address", s.address, "--certificate-expires-before", "1d", "--certificate-expires-within", "1d"); status != 2 {
		t.Errorf("both flags: got status %d, %s; want 2", status, stderr)
	}
}
