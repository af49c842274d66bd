package command

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

const aClient = `{"client_id":"c1","workspace":"w","status":"active","client_name":"Acme\u001b[2J\u202eLtd\n","software_id":"s1","org_id":"o1","registered_at":"2026-01-31T00:00:00Z","unknown_member":1.50}`

// TestClientsList: page by page up to the limit, with what is hidden in names made visible.
func TestClientsList(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET clients": func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": "second", "second": "third", "third": ""}[r.URL.Query().Get("cursor")]
		entries := aClient
		if next == "third" { // a page of a list with filters may be empty
			entries = ""
		}
		fmt.Fprintf(w, `{"entries":[%s],"next":%q,"looked":2000}`, entries, next)
	}})
	list := func(args ...string) (string, string) {
		t.Helper()
		s.calls = nil
		out, stderr, status := dcr(t, append([]string{"clients", "list", "--address", s.address}, args...)...)
		if status != 0 {
			t.Fatalf("%s: got status %d, %s", args, status, stderr)
		}
		return out, stderr
	}
	out, stderr := list("--name", "a&b", "--registered-after", "2026-01-31", "--suspended", "false", "--unused-since", "2026-02-01", "--certificate-expires-within", "2027-01-01T00:00:00+01:00")
	if lines := strings.Split(out, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "CLIENT_ID  STATUS  CLIENT_NAME") || !strings.Contains(lines[2], `Acme\x1b[2J\u202eLtd\n`) || stderr != "" {
		t.Errorf("got %s, %s; want titles and two clients", out, stderr)
	}
	if want := []string{
		"GET clients?certificate_expires_before=2026-12-31T23%3A00%3A00Z&last_used_before=2026-02-01T00%3A00%3A00Z&limit=100&name=a%26b&registered_after=2026-01-31T00%3A00%3A00Z&suspended=false",
		"GET clients?certificate_expires_before=2026-12-31T23%3A00%3A00Z&cursor=second&last_used_before=2026-02-01T00%3A00%3A00Z&limit=99&name=a%26b&registered_after=2026-01-31T00%3A00%3A00Z&suspended=false",
		"GET clients?certificate_expires_before=2026-12-31T23%3A00%3A00Z&cursor=third&last_used_before=2026-02-01T00%3A00%3A00Z&limit=99&name=a%26b&registered_after=2026-01-31T00%3A00%3A00Z&suspended=false",
	}; !reflect.DeepEqual(s.calls, want) {
		t.Errorf("asked for %q, want %q", s.calls, want)
	}
	if out, stderr = list("--limit", "1"); strings.Count(out, "\n") != 2 || !strings.Contains(stderr, "there may be more clients") {
		t.Errorf("with --limit 1: got %s, %s", out, stderr)
	}
	if list("--all"); len(s.calls) != 3 || s.calls[0] != "GET clients?limit=1000" {
		t.Errorf("with --all: asked for %q", s.calls)
	}
	line := strings.ReplaceAll(aClient, "1.50", "1.50")
	if out, _ = list("--json"); out != line+"\n"+line+"\n" {
		t.Errorf("with --json: got %s, want the members as they came", out)
	}
	s.answers["GET clients"] = says(200, `{"entries":[],"looked":0}`)
	if out, stderr = list(); out != "" || stderr != "no clients\n" {
		t.Errorf("got %q, %q; want nothing, and that there is none", out, stderr)
	}
	if out, stderr = list("--json"); out != "" || stderr != "" {
		t.Errorf("with --json: got %q, %q; want nothing", out, stderr)
	}
	s.answers["GET clients"] = says(200, `{"entries":[],"next":"same"}`)
	if _, stderr, status := dcr(t, "clients", "list", "--address", s.address); status != 3 || !strings.Contains(stderr, "does not end") {
		t.Errorf("a list that goes round: got status %d, %s", status, stderr)
	}
}

// TestClientsShow prints what there is, and the etag; an id may have any bytes.
func TestClientsShow(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{
		"GET clients/a%2F%2E%2E%20b": says(200, strings.TrimSuffix(aClient, "}")+`,"metadata":{"scope":"openid accounts","redirect_uris":["https://a","https://b"]},"suspensions":[{"kind":"organisation","value":"o1","since":1769817600,"operator":{"name":"Anna"},"reason":"fraud"}],"history":[],"proposals":[{"action":"resume","operator":{"name":"Ben"},"until":1769817600}]}`),
	})
	out, stderr, status := dcr(t, "clients", "show", "a/.. b", "--address", s.address, "--workspace", "w")
	for _, want := range []string{"client_id               c1\n", `Acme\x1b[2J\u202eLtd\n`, "etag                    \"tag\"\n", "https://a, https://b\n", "\nSuspensions\nSUSPENDED", "2026-01-31T00:00:00Z  Anna      fraud\n", "\nProposals\nPROPOSED", "resume    Ben"} {
		if !strings.Contains(out, want) || status != 0 {
			t.Errorf("got status %d, %s, %s; want %q", status, out, stderr, want)
		}
	}
	if out, _, _ := dcr(t, "clients", "show", "a/.. b", "--address", s.address, "--json"); !strings.Contains(out, "\n  \"unknown_member\": 1.50,\n") || strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("with --json: got %s", out)
	}
	if _, stderr, status := dcr(t, "clients", "show", "nobody", "--address", s.address); status != 1 || stderr != "Error: the gateway says: not found\n" {
		t.Errorf("an unknown id: got status %d, %s", status, stderr)
	}
}

// TestClientsSuspend sends what was read, the reason and who it is; what has changed meanwhile
// is shown and stays.
func TestClientsSuspend(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET clients/c1": says(200, aClient), "POST clients/c1/suspend": says(200, aClient)})
	suspend := func(args ...string) (string, string, int) {
		s.calls, s.bodies = nil, nil
		return dcr(t, append([]string{"clients", "suspend", "c1", "--address", s.address}, args...)...)
	}
	out, stderr, status := suspend("--reason", "fraud", "--operator", "Anna")
	if status != 0 || out != "suspended client c1\n" || stderr != `suspend client c1 (Acme\x1b[2J\u202eLtd\n) of software s1, organisation o1, in workspace w`+"\n" {
		t.Errorf("got status %d, %q, %q", status, out, stderr)
	}
	if want := []map[string]string{{"reason": "fraud", "operator": "Anna", "If-Match": `"tag"`, "Content-Type": "application/json"}}; !reflect.DeepEqual(s.bodies, want) {
		t.Errorf("sent %v, want %v", s.bodies, want)
	}
	if suspend("--reason", "fraud"); len(s.bodies) != 1 || s.bodies[0]["local_user"] == "" {
		t.Errorf("sent %v, want a local_user", s.bodies)
	}
	if _, stderr, status := suspend(); status != 2 || !strings.Contains(stderr, "--reason is missing") || len(s.calls) > 0 {
		t.Errorf("without a reason: got status %d, %s, and asked %q", status, stderr, s.calls)
	}
	if out, stderr, status := suspend("--reason", "x", "--etag", `"seen"`); status != 1 || !strings.Contains(stderr, "has changed since") || !strings.Contains(out, "client_id") || len(s.bodies) > 0 {
		t.Errorf("another etag: got status %d, %s, %s, sent %v", status, out, stderr, s.bodies)
	}
	s.answers["POST clients/c1/suspend"] = says(412, `{"error":"changed"}`)
	if out, stderr, status := suspend("--reason", "x"); status != 1 || !strings.Contains(stderr, "has changed since") || !strings.Contains(out, "client_id") || len(s.calls) != 3 {
		t.Errorf("changed meanwhile: got status %d, %s, %s, asked %q", status, out, stderr, s.calls)
	}
}

// TestClientsApprove is for what the operator has seen alone.
func TestClientsApprove(t *testing.T) {
	waiting := strings.TrimSuffix(aClient, "}") + `,"history":[{"at":"2026-01-31T00:00:00Z","change":"awaiting_approval","client_id":"c1","approval":[{"reason":"a new registration"},{"policy":"p","reason":"new\u202e"}]}]}`
	s := newStandIn(t, map[string]http.HandlerFunc{"GET clients/c1": says(200, waiting), "POST clients/c1/approve": says(200, aClient), "POST clients/c1/refuse": says(204, "")})
	run := func(action string, args ...string) (string, string, int) {
		s.calls, s.bodies = nil, nil
		return dcr(t, append([]string{"clients", action, "c1", "--address", s.address, "--reason", "contract"}, args...)...)
	}
	if _, stderr, status := run("approve"); status != 2 || !strings.Contains(stderr, "--etag is missing") || len(s.calls) > 0 {
		t.Errorf("without an etag: got status %d, %s, asked %q", status, stderr, s.calls)
	}
	out, stderr, status := run("approve", "--etag", `"seen before"`)
	if status != 1 || !strings.Contains(stderr, "has changed since") || !strings.Contains(out, `a new registration; policy p: new\u202e`) || len(s.bodies) > 0 {
		t.Errorf("another etag: got status %d, %s, %s, sent %v", status, out, stderr, s.bodies)
	}
	if out, stderr, status := run("approve", "--etag", "tag"); status != 0 || out != "approved client c1\n" || len(s.bodies) != 1 || s.bodies[0]["If-Match"] != `"tag"` {
		t.Errorf("got status %d, %q, %q, sent %v", status, out, stderr, s.bodies)
	}
	s.answers["POST clients/c1/approve"] = says(409, `{"error":"this client does not await approval"}`)
	if _, stderr, status := run("approve", "--etag", `"tag"`); status != 1 || !strings.Contains(stderr, "does not await approval") {
		t.Errorf("an active client: got status %d, %s", status, stderr)
	}
	if _, stderr, status := run("refuse"); status != 2 || !strings.Contains(stderr, "give --yes") || len(s.calls) > 0 {
		t.Errorf("refuse without --yes: got status %d, %s, asked %q", status, stderr, s.calls)
	}
	if out, stderr, status := run("refuse", "--yes"); status != 0 || out != "refused client c1; caddy dcr outbox list has it until the authorization server has deleted it too\n" || !strings.Contains(stderr, "which deletes it here and at the authorization server") || len(s.bodies) != 1 {
		t.Errorf("refuse: got status %d, %q, %q, sent %v", status, out, stderr, s.bodies)
	}
}

// TestClientsDelete asks, where there is somebody to ask.
func TestClientsDelete(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET clients/c1": says(200, aClient), "POST clients/c1/delete": says(204, "")})
	if _, stderr, status := dcrReading(t, "y\n", "clients", "delete", "c1", "--address", s.address, "--reason", "x"); status != 2 || !strings.Contains(stderr, "give --yes") || len(s.calls) > 0 {
		t.Errorf("without a terminal: got status %d, %s, asked %q", status, stderr, s.calls)
	}
	if out, stderr, status := dcr(t, "clients", "delete", "c1", "--address", s.address, "--reason", "x", "--yes"); status != 0 || out != "deleted client c1; caddy dcr outbox list has it until the authorization server has deleted it too\n" {
		t.Errorf("got status %d, %s, %s", status, out, stderr)
	}
	s.answers["POST clients/c1/delete"] = says(202, `{"proposal":{"action":"delete","until":1769817600}}`)
	if out, stderr, status := dcr(t, "clients", "delete", "c1", "--address", s.address, "--reason", "x", "--yes"); status != 0 || out != "proposed, and nothing is changed yet: another operator confirms it with the same command, until 2026-01-31T00:00:00Z\n" {
		t.Errorf("with four_eyes: got status %d, %s, %s", status, out, stderr)
	}
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "\n": false, "n\n": false, "": false, strings.Repeat("y", 5000): false} {
		if err := answered(t.Context(), strings.NewReader(answer)); (err == nil) != want {
			t.Errorf("%.10q: got %v, want consent %t", answer, err, want)
		}
	}
}

// TestLatestEntries: of a list that has the oldest first, the hint says how to get to the end.
func TestLatestEntries(t *testing.T) {
	s := newStandIn(t, map[string]http.HandlerFunc{"GET audit": says(200, `{"entries":[{"workspace":"w","change":"updated"}],"next":"n"}`)})
	if _, stderr, status := dcr(t, "audit", "list", "--address", s.address, "--limit", "1"); status != 0 || !strings.Contains(stderr, "there may be more entries: --since <time>, --limit <number>, or --all") {
		t.Errorf("got status %d, %s; want how to get the latest", status, stderr)
	}
}
