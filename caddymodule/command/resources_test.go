package command

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// TestHolders: what has clients is shown, suspended and resumed, also where its id is a URL.
func TestHolders(t *testing.T) {
	const one = `{"workspace":"w","kind":"directory","value":"https://dir.example/\u202e","suspended":true,"suspension":{"reason":"fraud","operator":{"name":"Anna"}},"clients":2001,"all_counted":false}`
	s := newStandIn(t, map[string]http.HandlerFunc{"GET directories/https:%2F%2Fdir%2Eexample%2F": says(200, one), "POST directories/https:%2F%2Fdir%2Eexample%2F/resume": says(200, one)})
	out, stderr, status := dcr(t, "directories", "show", "https://dir.example/", "--address", s.address)
	for _, want := range []string{`https://dir.example/\u202e` + "\n", "2001 clients or more\n", "suspended               yes\n", "Anna", "fraud"} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("got status %d, %s, %s; want %q", status, out, stderr, want)
		}
	}
	if out, stderr, status = dcr(t, "directories", "resume", "https://dir.example/", "--address", s.address, "--reason", "x", "--workspace", "w"); status != 0 || out != "resumed directory https://dir.example/\n" || !strings.HasPrefix(stderr, "resume directory ") {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	if got := s.calls[len(s.calls)-1]; got != "POST directories/https:%2F%2Fdir%2Eexample%2F/resume?workspace=w" {
		t.Errorf("asked %s", got)
	}
}

// TestSecretsRotate: one client, or page by page all; what failed is told, and counts.
func TestSecretsRotate(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{
		"GET clients/c1": says(200, aClient), "POST clients/c1/rotate_secret": says(200, aClient),
		"POST secrets/rotate": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("cursor") == "" {
				fmt.Fprint(w, `{"rotated":20,"failed":[],"next":"n"}`)
			} else {
				fmt.Fprint(w, `{"rotated":1,"failed":[{"client_id":"c2","error":"the AS\u001b says no"}]}`)
			}
		},
	})
	if out, stderr, status := dcr(t, "secrets", "rotate", "c1", "--address", s.address, "--reason", "x"); status != 0 || out != "rotated the secret of client c1\n" {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	s.calls = nil
	if _, stderr, status := dcr(t, "secrets", "rotate", "--address", s.address, "--reason", "x"); status != 2 || !strings.Contains(stderr, "--yes") || s.calls != nil {
		t.Errorf("without --yes: got status %d, %s", status, stderr)
	}
	out, stderr, status := dcr(t, "secrets", "rotate", "--address", s.address, "--reason", "x", "--yes")
	if status != 1 || out != "FAILED CLIENT_ID  ERROR\nc2                the AS\\x1b says no\n" || stderr != "rotated 21 secrets\nError: 1 client failed\n" {
		t.Errorf("got status %d, %q, %q", status, out, stderr)
	}
	if want := []string{"POST secrets/rotate?limit=20", "POST secrets/rotate?cursor=n&limit=20"}; !reflect.DeepEqual(s.calls, want) {
		t.Errorf("asked %q, want %q", s.calls, want)
	}
}

// TestEpochCommands: what there is, and the confirmation.
func TestEpochCommands(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET epoch": says(200, `{"at":1769817600,"cause":"restored","unconfirmed":true}`), "POST epoch/confirm": says(200, `{}`)})
	if out, stderr, status := dcr(t, "epoch", "show", "--address", s.address); status != 0 || !strings.Contains(out, "unconfirmed\n") || !strings.Contains(out, "2026-01-31T00:00:00Z\n") {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	if out, stderr, status := dcr(t, "epoch", "confirm", "--address", s.address, "--reason", "x", "--yes"); status != 0 || out != "confirmed the epoch\n" || stderr != "confirm the epoch of 2026-01-31T00:00:00Z (restored)\n" {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	s.answers["POST epoch/confirm"] = says(409, `{"error":"nothing waits"}`)
	if _, stderr, status := dcr(t, "epoch", "confirm", "--address", s.address, "--reason", "x", "--yes"); status != 1 || !strings.Contains(stderr, "the gateway says: nothing waits") {
		t.Errorf("got status %d, %s", status, stderr)
	}
}

// TestOtherLists: each prints a row for an entry, and nothing raw.
func TestOtherLists(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{
		"GET status":                            says(200, `{"workspaces":[{"workspace":"w","clients":{"active":3,"deleting":1},"waiting":2,"oldest":1769817600,"discrepancies":{"detached":5}}],"clients_counted":true,"store":{"free_bytes":1000000,"low":true,"unconfirmed":true}}`),
		"GET outbox":                            says(200, `{"entries":[{"id":"e.1","workspace":"w","kind":"delete","registration":"r","since":1769817600,"due":1769817601,"attempts":3,"last_error":"no\u0007"}]}`),
		"GET outbox/e%2E1":                      says(200, `{"id":"e.1","workspace":"w","kind":"delete","registration":"r","attempts":3}`),
		"POST outbox/e%2E1/retry":               says(204, ""),
		"POST outbox/e%2E1/give_up":             says(204, ""),
		"GET discrepancies":                     says(200, `{"entries":[{"workspace":"w","kind":"detached","registration":"r","client_id":"c1","client_name":"\u202ex","since":1769817600}]}`),
		"GET audit":                             says(200, `{"entries":[{"workspace":"w","id":"1","at":"2026-01-31T00:00:00Z","change":"suspended","org_id":"o1","operator":{"name":"Anna"},"reason":"fraud"}]}`),
		"GET discrepancies/detached/r":          says(200, `{"workspace":"w","kind":"detached","registration":"r","client_id":"c1"}`),
		"POST discrepancies/detached/r/dismiss": says(204, ""),
	})
	for line, want := range map[string]string{
		"status":                              "w          4        2       2026-01-31T00:00:00Z  5              3 active, 1 deleting\n",
		"outbox give-up e.1 --reason x --yes": "gave up entry e.1\n",
		"outbox retry e.1 --reason x":         "entry e.1 is due now; caddy dcr outbox list has it until it is done\n",
		"outbox show e.1":                     "attempts                3\n",
		"outbox list":                         `no\a        2026-01-31T00:00:01Z`,
		"discrepancies":                       `\u202ex`,
		"audit list --workspace w":            "2026-01-31T00:00:00Z  suspended  organisation o1  Anna      fraud   o1      w\n",
		"audit list --since 1d":               `2026-01-31T00:00:00Z  suspended`,
		"audit list --json":                   `{"workspace":"w","id":"1","at":"2026-01-31T00:00:00Z"`,
		"discrepancies dismiss detached r --reason x --yes": "dismissed detached of r\n",
	} {
		if out, stderr, status := dcr(t, append(strings.Fields(line), "--address", s.address)...); status != 0 || !strings.Contains(out, want) || strings.ContainsAny(out, "\u202e\a") {
			t.Errorf("%s: got status %d, %s, %s; want %q", line, status, out, stderr, want)
		}
	}
}

// TestAuditSinceNeedsOneWorkspace: times are those of one workspace.
func TestAuditSinceNeedsOneWorkspace(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET status": says(200, `{"workspaces":[{"workspace":"a"},{"workspace":"b"}]}`)})
	if out, stderr, status := dcr(t, "audit", "list", "--since", "7d", "--address", s.address); status != 2 || out != "" || !strings.Contains(stderr, "has 2: give --workspace too") {
		t.Errorf("got status %d, %q, %q", status, out, stderr)
	}
}

// TestSuspendWithoutClients asks whether the id is right, since one without clients can be suspended.
func TestSuspendWithoutClients(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{
		"GET organisations/typo":          says(200, `{"kind":"organisation","value":"typo","workspace":"w","clients":0,"all_counted":true}`),
		"POST organisations/typo/suspend": says(200, `{}`),
	})
	if out, stderr, status := dcr(t, "organisations", "suspend", "typo", "--address", s.address, "--reason", "x"); status != 0 || out != "suspended organisation typo\n" || stderr != "suspend organisation typo, which has no clients (is its id right?), in workspace w\n" {
		t.Errorf("got status %d, %q, %q", status, out, stderr)
	}
}

// TestStatusOfServers: what fails is told, and what is not known is no failure.
func TestStatusOfServers(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET status": says(200, `{"workspaces":[{"workspace":"w","authorization_server":{"url":"https://as","reachable":true,"circuit_breakers":{"tokens":"open","registration":"closed"}},
"directories":[{"directory":"OB","url":"https://ob","error":"no\u001b route"},{"directory":"new","url":"https://new"}]}],"clients_counted":true,"store":{"size_bytes":2000000,"schema":1,"sequence":7},"version":{"caddy_dcr":"v1","caddy":"v2","go":"go1"},"configuration_hash":"abc"}`)})
	out, stderr, status := dcr(t, "status", "--address", s.address)
	for _, want := range []string{"caddy-dcr v1 caddy v2 go1\n", "2.0 MB, schema 1, commit 7\n", "failing  authorization server           https://as   w          circuit breaker tokens open\n", `https://ob   w          no\x1b route`, "unknown  new "} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("got status %d, %s, %s; want %q", status, out, stderr, want)
		}
	}
}

// TestKeysRefresh: keys that could not be fetched are a failure.
func TestKeysRefresh(t *testing.T) {
	const one = `{"id":"k","workspace":"w","kind":"software","url":"https://ks/x","keys":2,"key_ids":["a","b\u202e"],"fetched_at":"2026-01-31T00:00:00Z"`
	s := newStandIn(t, map[string]http.HandlerFunc{"GET keys": says(200, `{"entries":[`+one+`}]}`), "GET keys/k": untagged(one + "}"), "POST keys/k/refresh": untagged(one + `,"fetched":true}`)})
	if out, stderr, status := dcr(t, "keys", "list", "--address", s.address); status != 0 || !strings.Contains(out, "k   software  2            https://ks/x  2026-01-31T00:00:00Z") {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	if out, stderr, status := dcr(t, "keys", "show", "k", "--address", s.address); status != 0 || !strings.Contains(out, `a, b\u202e`) {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	refresh := func(more ...string) (string, string, int) {
		return dcr(t, append([]string{"keys", "refresh", "k", "--address", s.address, "--reason", "x"}, more...)...)
	}
	if out, stderr, status := refresh(); status != 0 || out != "refreshed keys k\n" {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	if _, stderr, status := refresh("--etag", "x"); status != 2 {
		t.Errorf("with --etag: got status %d, %s", status, stderr)
	}
	s.answers["POST keys/k/refresh"] = untagged(one + `,"error":"no route","fetched":true}`)
	if out, stderr, status := refresh(); status != 1 || out != "" || !strings.HasSuffix(stderr, "Error: the keys could not be fetched: no route\n") {
		t.Errorf("a failed fetch: got status %d, %s, %s", status, out, stderr)
	}
}

// untagged answers without an entity tag.
func untagged(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

// TestCompletion asks the gateway for what begins as it is written, and is silent without one.
func TestCompletion(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{
		"GET clients": says(200, `{"entries":[{"client_id":"c1","client_name":"Acme\tLtd\nx","org_id":"o"},{"client_id":"c2\u001b","client_name":"hidden","org_id":"o"},{"client_id":"d","org_id":"o"}]}`),
		"GET status":  says(200, `{"workspaces":[{"workspace":"default/obuk"},{"workspace":"w"}]}`),
	})
	for _, tc := range []struct{ line, want string }{
		{"clients show c --address=" + s.address, "c1\tAcme\\tLtd\\nx\n:4\n"},
		{"organisations suspend --address=" + s.address + " ", "o\n:4\n"},
		{"clients list --address=" + s.address + " --workspace ", "default/obuk\nw\n:4\n"},
		{"clients list --status d", "active\nawaiting_approval\ndeleting\n:4\n"},
		{"clients show c1 --address=" + s.address + " ", ":4\n"},
		{"clients show --address=localhost:1 ", ":4\n"},
	} {
		words := strings.Split(tc.line, " ")
		if n := len(words); strings.HasPrefix(words[n-1], "--address") { // what is completed comes last
			words = append(append(words[:n-2:n-2], words[n-1]), words[n-2])
		}
		root := dcrRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetArgs(append([]string{"__complete", "dcr"}, words...))
		if err := root.ExecuteContext(t.Context()); err != nil || out.String() != tc.want {
			t.Errorf("%s: got %q, %v; want %q", tc.line, out.String(), err, tc.want)
		}
	}
}
