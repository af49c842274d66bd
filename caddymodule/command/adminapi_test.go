package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/docs"
)

// dcr runs a command line of caddy dcr, with what it prints and its exit status.
func dcr(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	return dcrReading(t, "", args...)
}

// dcrReading does it with a standard input, which is no terminal.
func dcrReading(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	root := dcrRoot()
	root.SilenceErrors = false
	var out, e bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&e)
	root.SetArgs(append([]string{"dcr"}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), e.String(), exitStatus(err)
}

// standIn is an admin API with a few answers, and with the description of the real one. It
// keeps what it was asked.
type standIn struct {
	address string
	// answers are by method and path: "GET clients".
	answers map[string]http.HandlerFunc
	calls   []string
	bodies  []map[string]string
}

func newStandIn(t *testing.T, answers map[string]http.HandlerFunc) *standIn {
	t.Helper()
	s := &standIn{answers: answers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.address = strings.TrimPrefix(server.URL, "http://")
	return s
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + strings.TrimPrefix(r.URL.EscapedPath(), apiPrefix)
	s.calls = append(s.calls, strings.TrimSuffix(call+"?"+r.URL.RawQuery, "?"))
	if r.Method == http.MethodPost {
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			body = map[string]string{"error": err.Error()}
		}
		body["If-Match"], body["Content-Type"] = r.Header.Get("If-Match"), r.Header.Get("Content-Type")
		s.bodies = append(s.bodies, body)
	}
	if answer, ok := s.answers[call]; ok {
		answer(w, r)
		return
	}
	if call == "GET openapi.json" {
		says(http.StatusOK, docs.AdminAPI)(w, r)
		return
	}
	says(http.StatusNotFound, `{"error":"not found"}`)(w, r)
}

// says answers with a text.
func says[T string | []byte](status int, text T) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"tag"`)
		w.WriteHeader(status)
		fmt.Fprint(w, string(text))
	}
}

// TestNoGatewayThatAnswers: each reason has status 3 and a text that says what to do.
func TestNoGatewayThatAnswers(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	other := `{"openapi":"3.1.1","paths":{"/status":{"get":{}}}}`
	for name, tc := range map[string]struct {
		answers map[string]http.HandlerFunc
		says    []string
		status  int
	}{
		"nobody":                {nil, []string{"does not answer", "is the gateway running", "admin off", "--address"}, 3},
		"caddy without module":  {map[string]http.HandlerFunc{"GET clients": http.NotFound}, []string{"HTTP 404", "caddy list-modules", "--address"}, 3},
		"another server":        {map[string]http.HandlerFunc{"GET clients": says(502, "<html>")}, []string{"HTTP 502", "--address"}, 3},
		"no JSON":               {map[string]http.HandlerFunc{"GET clients": says(200, "<html>")}, []string{"no JSON", "--address"}, 3},
		"other JSON":            {map[string]http.HandlerFunc{"GET clients": says(200, `[1]`)}, []string{"this version of the command", "use the caddy binary"}, 3},
		"endless":               {map[string]http.HandlerFunc{"GET clients": endless}, []string{"more than"}, 3},
		"cut off":               {map[string]http.HandlerFunc{"GET clients": cutOff}, []string{"cut off"}, 3},
		"redirect":              {map[string]http.HandlerFunc{"GET clients": http.RedirectHandler("/else", http.StatusMovedPermanently).ServeHTTP}, []string{"HTTP 301"}, 3},
		"no site":               {map[string]http.HandlerFunc{"GET clients": says(404, `{"error":"no site"}`), "GET openapi.json": says(404, `{"error":"no site"}`)}, []string{"no site with openbanking_dcr", "older version"}, 3},
		"another version":       {map[string]http.HandlerFunc{"GET clients": says(404, `{"error":"there are status"}`), "GET openapi.json": says(200, other)}, []string{"another version", "use the caddy binary"}, 3},
		"another version, 405":  {map[string]http.HandlerFunc{"GET clients": says(405, `{"error":"no method"}`), "GET openapi.json": says(200, other)}, []string{"another version"}, 3},
		"a workspace not there": {map[string]http.HandlerFunc{"GET clients": says(404, `{"error":"workspace \"x\"; there are y"}`)}, []string{`the gateway says: workspace "x"; there are y`}, 1},
		"a wrong flag":          {map[string]http.HandlerFunc{"GET clients": says(400, `{"error":"status is active or deleting"}`)}, []string{"the gateway says: status is active or deleting"}, 2},
		"refused":               {map[string]http.HandlerFunc{"GET clients": says(503, `{"error":"the store is closed"}`)}, []string{"the gateway says: the store is closed"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			address := strings.TrimPrefix(closed.URL, "http://")
			if tc.answers != nil {
				address = newStandIn(t, tc.answers).address
			}
			out, stderr, status := dcr(t, "clients", "list", "--address", address)
			if status != tc.status || out != "" {
				t.Errorf("got status %d and %q, want %d and no output", status, out, tc.status)
			}
			for _, want := range tc.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("got %s, want %q", stderr, want)
				}
			}
		})
	}
}

// TestUnknownID: what is not there is named, and so is the command that lists what there is.
func TestUnknownID(t *testing.T) {
	nothing := says(404, `{"error":"registry: not found"}`)
	s := newStandIn(t, map[string]http.HandlerFunc{
		"GET clients/x": nothing, "GET outbox/x": nothing, "GET discrepancies/detached/r": nothing, "GET imports/x": nothing,
		"GET keys/x":       says(404, `{"error":"registry: not found: no key set has this id"}`),
		"GET openapi.json": says(200, `{"paths":{"/clients/{id}":{"get":{}},"/outbox/{id}":{"get":{}},"/keys/{id}":{"get":{}},"/discrepancies/{kind}/{id}":{"get":{}},"/imports/{id}":{"get":{}}}}`),
	})
	for line, want := range map[string]string{
		"clients show x":                                    `there is no client "x"; caddy dcr clients list shows those that there are`,
		"clients suspend x --reason y":                      `there is no client "x"; caddy dcr clients list`,
		"secrets rotate x --yes --reason y":                 `there is no client "x"; caddy dcr clients list`,
		"outbox retry x --reason y":                         `there is no entry of the outbox "x"; caddy dcr outbox list`,
		"discrepancies dismiss detached r --yes --reason y": `there is no discrepancy "detached r"; caddy dcr discrepancies shows`,
		"import --undo x --reason y":                        `there is no import "x"`,
		"keys show x":                                       `the gateway says: no key set has this id`,
	} {
		if out, stderr, status := dcr(t, append(strings.Fields(line), "--address", s.address)...); status != 1 || out != "" || !strings.Contains(stderr, want) || strings.Contains(stderr, "registry") {
			t.Errorf("%s: got status %d, %s, %s; want %q", line, status, out, stderr, want)
		}
	}
}

// endless answers more than any gateway.
func endless(w http.ResponseWriter, _ *http.Request) {
	for block := bytes.Repeat([]byte(" "), 1<<20); ; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, "{")
}

// TestAddressOfGateway: over a unix socket, https with certificates, and that of a configuration.
func TestAddressOfGateway(t *testing.T) {
	dir := t.TempDir()
	s := newStandIn(t, map[string]http.HandlerFunc{"GET status": says(200, `{"workspaces":[],"clients_counted":true}`)})
	socket := filepath.Join(dir, "admin.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	unix := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s}}
	unix.Start()
	t.Cleanup(unix.Close)
	secure := httptest.NewTLSServer(s)
	t.Cleanup(secure.Close)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", pemOf(secure.Certificate()))
	for name, tc := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"address":             {[]string{"--address", s.address}, 0, ""},
		"http":                {[]string{"--address", "http://" + s.address + "/"}, 0, ""},
		"unix":                {[]string{"--address", "unix/" + socket}, 0, ""},
		"unix, permissions":   {[]string{"--address", "unix/" + socket + "|0220"}, 0, ""},
		"https":               {[]string{"--address", secure.URL, "--admin-ca", ca}, 0, ""},
		"https, another CA":   {[]string{"--address", secure.URL}, 3, "certificate"},
		"CA without https":    {[]string{"--address", s.address, "--admin-ca", ca}, 2, "https"},
		"no CA":               {[]string{"--address", secure.URL, "--admin-ca", file("x", "x")}, 2, "no certificate in PEM"},
		"half a certificate":  {[]string{"--address", secure.URL, "--operator-key", ca}, 2, "together"},
		"no address":          {[]string{"--address", "localhost:1-3"}, 2, "is none like localhost:2019"},
		"no port":             {[]string{"--address", "gateway.internal"}, 2, "is none like localhost:2019"},
		"odd bytes":           {[]string{"--address", "local\x00host:2019"}, 2, ""},
		"configuration":       {[]string{"--config", file("c.json", `{"admin":{"listen":"`+s.address+`"}}`)}, 0, ""},
		"placeholder":         {[]string{"--config", file("p.json", `{"admin":{"listen":"{env.DCR_TEST_ADMIN}"}}`)}, 0, ""},
		"admin off":           {[]string{"--config", file("off.json", `{"admin":{"disabled":true}}`)}, 3, "admin unix//run/caddy/admin.sock"},
		"no configuration":    {[]string{"--config", filepath.Join(dir, "none")}, 2, "--config"},
		"adapter without one": {[]string{"--adapter", "caddyfile"}, 2, "--config"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DCR_TEST_ADMIN", s.address)
			_, stderr, status := dcr(t, append([]string{"status"}, tc.args...)...)
			if status != tc.status || !strings.Contains(stderr, tc.says) || status == 0 && stderr != "" {
				t.Errorf("got status %d, %s; want %d, %q", status, stderr, tc.status, tc.says)
			}
		})
	}
}

// TestOriginOfCalls: a call has an Origin only where the gateway demands one, as with
// enforce_origin; and the Host of a gateway that listens on all addresses is localhost.
func TestOriginOfCalls(t *testing.T) {
	var origins []string
	s := newStandIn(t, map[string]http.HandlerFunc{"GET status": func(w http.ResponseWriter, r *http.Request) {
		origins = append(origins, r.Host+" "+r.Header.Get("Origin"))
		if r.Header.Get("Origin") == "" {
			says(http.StatusForbidden, `{"error":"required Origin header is missing"}`)(w, r)
			return
		}
		fmt.Fprint(w, `{"workspaces":[],"clients_counted":true}`)
	}})
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{":" + port, "0.0.0.0:" + port} {
		origins = nil
		_, stderr, status := dcr(t, "status", "--address", address)
		if want := []string{"localhost:" + port + " ", "localhost:" + port + " http://localhost:" + port}; status != 0 || !slices.Equal(origins, want) {
			t.Errorf("%s: got status %d, %s, %q; want %q", address, status, stderr, origins, want)
		}
	}
	s.answers["GET status"] = says(http.StatusForbidden, `{"error":"not you"}`)
	if _, stderr, status := dcr(t, "status", "--address", s.address); status != 1 || !strings.Contains(stderr, "the gateway says: not you") {
		t.Errorf("got status %d, %s", status, stderr)
	}
}

// TestWrongUseHasStatus2, of every command.
func TestWrongUseHasStatus2(t *testing.T) {
	for _, c := range leaves(dcrRoot()) {
		words := strings.Fields(c.CommandPath())[2:]
		for _, more := range [][]string{{"--no-such-flag"}, {"one", "two", "three"}} {
			if _, stderr, status := dcr(t, append(words, more...)...); status != 2 || !strings.HasPrefix(stderr, "Error: ") {
				t.Errorf("%s %s: got status %d, %q; want 2", c.CommandPath(), more, status, stderr)
			}
		}
	}
	for _, line := range []string{"polcy", "clients shw x", "clients list --limit 0", "clients list --limit 3 --all", "clients list --registered-after yesterday"} {
		if _, stderr, status := dcr(t, strings.Fields(line)...); status != 2 {
			t.Errorf("%s: got status %d, %q; want 2", line, status, stderr)
		}
	}
}

// TestExitStatusReachesCaddy: Caddy takes it from what it knows in the error.
func TestExitStatusReachesCaddy(t *testing.T) {
	root := dcrRoot()
	root.SetArgs([]string{"dcr", "status", "x"})
	err := root.ExecuteContext(t.Context())
	var known *exitError
	if !errors.As(err, &known) || fmt.Sprintf("%T", known.status) != "*caddycmd.exitError" {
		t.Errorf("got %T, want one that has Caddy's", err)
	}
}
