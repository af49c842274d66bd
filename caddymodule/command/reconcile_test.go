package command

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const reconcileDone = `{"v":1,"workspace":"w","state":"done","operator":{"name":"Anna","known":"declared"},"reason":"x","repair":false,"force":false,"rate":20,"started":1769817600,"ended":1769817660,` +
	`"checked":3,"counts":{"same":1,"different":1,"not_checked":1},"repaired":0,"rotated":0,"unchecked":[{"client_id":"c9","error":"slow"}],` +
	`"discrepancies":[{"v":1,"workspace":"w","kind":"different","registration":"r1","client_id":"c1","software_id":"s","org_id":"o","client_name":"Acme\u001b[2J","since":1769817600,"differences":[{"member":"scope","here":"a","there":"b"},{"member":"redirect_uris","here":"[]","there":""}]}]`

// reconcileStandIn runs once, and has two pages.
func reconcileStandIn(t *testing.T, done string) *standIn {
	t.Helper()
	looks := 0
	return newStandIn(t, map[string]http.HandlerFunc{
		"POST reconcile/start": says(200, `{}`), "POST reconcile/stop": says(200, `{}`),
		"GET reconcile": func(w http.ResponseWriter, r *http.Request) {
			looks++
			switch {
			case looks == 1:
				fmt.Fprint(w, `{"state":"running","checked":1,"counts":{"same":1},"waiting":"it is down"}`)
			case r.URL.Query().Get("cursor") == "" && r.URL.Query().Get("limit") != "1":
				fmt.Fprint(w, done+`,"next":"second"}`)
			default:
				fmt.Fprint(w, `{"state":"done","checked":3,"counts":{"same":1},"discrepancies":[]}`)
			}
		},
	})
}

// TestReconcile: it waits for the end, prints what was found, and fails where that is something.
func TestReconcile(t *testing.T) {
	s := reconcileStandIn(t, reconcileDone)
	out, stderr, status := dcr(t, "reconcile", "--address", s.address, "--workspace", "w", "--rate", "7", "--reason", "x", "--operator", "Anna")
	for _, want := range []string{"state                   done\n", "different               1\n", "not checked             1\n", "not checked c9          slow\n", "different  c1         Acme\\x1b[2J  scope, redirect_uris"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %s, want %q", out, want)
		}
	}
	if status != 1 || !strings.Contains(stderr, "2 of 3 clients are not as they should be") {
		t.Errorf("got status %d, %s", status, stderr)
	}
	if want := []string{"POST reconcile/start?rate=7&workspace=w", "GET reconcile?limit=1&workspace=w", "GET reconcile?limit=1&workspace=w", "GET reconcile?limit=1000&workspace=w", "GET reconcile?cursor=second&limit=1000&workspace=w"}; !reflect.DeepEqual(s.calls, want) {
		t.Errorf("asked for %q, want %q", s.calls, want)
	}
	if body := s.bodies[0]; body["reason"] != "x" || body["operator"] != "Anna" {
		t.Errorf("sent %v", body)
	}

	s = reconcileStandIn(t, strings.NewReplacer(`"same":1,"different":1,"not_checked":1`, `"same":1,"different":2`, `"repaired":0`, `"repaired":2`).Replace(reconcileDone))
	if out, stderr, status := dcr(t, "reconcile", "--address", s.address, "--repair", "--yes", "--reason", "x", "--json"); status != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, `"repaired":2`) || s.calls[0] != "POST reconcile/start?repair=true" {
		t.Errorf("repaired: got status %d, %s, %s, %q", status, out, stderr, s.calls)
	}

	s = reconcileStandIn(t, strings.Replace(reconcileDone, `"state":"done"`, `"state":"failed","error":"lost them all"`, 1))
	if out, stderr, status := dcr(t, "reconcile", "--address", s.address, "--resume", "--force", "--reason", "x"); status != 1 || !strings.Contains(out, "lost them all") || !strings.Contains(stderr, "failed") || s.calls[0] != "POST reconcile/start?force=true&resume=true" {
		t.Errorf("failed: got status %d, %s, %s, %q", status, out, stderr, s.calls)
	}
}

// TestReconcileNotStarted: what is wrong, or not confirmed, starts nothing.
func TestReconcileNotStarted(t *testing.T) {
	s := reconcileStandIn(t, reconcileDone)
	s.answers["POST reconcile/start"] = says(409, `{"error":"a reconciliation of this workspace is running"}`)
	for line, want := range map[string]struct {
		status int
		says   string
	}{
		"reconcile":                                        {2, "--reason is missing"},
		"reconcile --reason x --repair":                    {2, "give --yes"},
		"reconcile --reason x more":                        {2, "takes no arguments"},
		"reconcile --reason x":                             {1, "is running"},
		"reconcile --as-clients nowhere":                   {2, "no such file"},
		"reconcile --as-clients nowhere --repair":          {2, "only reads"},
		"reconcile stop":                                   {2, "--reason is missing"},
		"reconcile pause":                                  {2, "pause"},
		"reconcile --reason x --workspace w --rate twenty": {2, "--rate"},
	} {
		_, stderr, status := dcr(t, append(strings.Fields(line), "--address", s.address)...)
		if status != want.status || !strings.Contains(stderr, want.says) {
			t.Errorf("%s: got status %d, %s; want %d, %q", line, status, stderr, want.status, want.says)
		}
	}
	if len(s.calls) != 1 {
		t.Errorf("asked for %q, want the one that is refused", s.calls)
	}
}

// TestReconcileShowAndStop print what there is.
func TestReconcileShowAndStop(t *testing.T) {
	for _, name := range []string{"show", "stop"} {
		s := newStandIn(t, map[string]http.HandlerFunc{"GET reconcile": says(200, reconcileDone+"}"), "POST reconcile/stop": says(200, `{}`)})
		args := []string{"reconcile", name, "--address", s.address}
		if name == "stop" {
			args = append(args, "--reason", "x")
		}
		if out, stderr, status := dcr(t, args...); status != 0 || !strings.Contains(out, "c1") || !strings.Contains(out, "2026-01-31T00:00:00Z") {
			t.Errorf("%s: got status %d, %s, %s", name, status, out, stderr)
		}
	}
}

// TestReconcileOrphans: client_ids in lines, or in JSON objects, are looked up a thousand at a time.
func TestReconcileOrphans(t *testing.T) {
	asked := 0
	s := newStandIn(t, map[string]http.HandlerFunc{"POST reconcile/orphans": func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			fmt.Fprint(w, `{"unknown":["a\u001b"],"deleted":["b"],"leaving":["c"],"known":995,"own":2,"complete":true}`)
			return
		}
		fmt.Fprint(w, `{"unknown":[],"deleted":[],"leaving":[],"known":2,"own":0,"complete":false}`)
	}})
	file := filepath.Join(t.TempDir(), "clients")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Repeat("x\r\n", 1000) + "\n{\"client_id\":\"y\",\"scope\":\"z\"}\nlast")
	out, stderr, status := dcr(t, "reconcile", "--as-clients", file, "--address", s.address, "--workspace", "w")
	if want := "HERE     CLIENT_ID\nunknown  a\\x1b\ndeleted  b\nleaving  c\n"; out != want || status != 1 {
		t.Errorf("got status %d, %s, want %s", status, out, want)
	}
	if !strings.Contains(stderr, "1002 clients: 997 known here, 2 the gateway's own, 1 leaving, 2 not known here") || !strings.Contains(stderr, "run the command again later") {
		t.Errorf("got %s", stderr)
	}
	if want := []string{"POST reconcile/orphans?workspace=w", "POST reconcile/orphans?workspace=w"}; !reflect.DeepEqual(s.calls, want) {
		t.Errorf("asked for %q", s.calls)
	}
	if out, _, status := dcr(t, "reconcile", "--as-clients", file, "--address", s.address, "--json"); status != 0 || strings.Count(out, "\n") != 2 {
		t.Errorf("with --json: got status %d, %s", status, out)
	}
	for text, want := range map[string]string{"a\n{\"client_id\":7}": "line 2", "{}": "line 1: client_id is missing", "{": "line 1", "[{\"client_id\":\"a\"}]": "line 1: an array; write one client_id, or one JSON object, in each line (jq -c .[])", strings.Repeat("x", 2<<20): "after line 0"} {
		write(text)
		if _, stderr, status := dcr(t, "reconcile", "--as-clients", file, "--address", s.address); status != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%.20q: got status %d, %s; want %q", text, status, stderr, want)
		}
	}
}
