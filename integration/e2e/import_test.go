package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestImportIntoAnotherGateway: what one gateway exports, another one in front of the same AS
// takes over, with what lets it change the client there. Before, it is imported as a client of
// which only an AS knows, beside others: it gets tokens by mTLS and reads its registration, and
// a PUT makes it a full one.
func TestImportIntoAnotherGateway(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	id, _ := registered(t, p)
	dcr := func(succeeds bool, says string, args ...string) string {
		t.Helper()
		args = append([]string{"dcr"}, args...)
		out, err := p.Gateway.Command(t.Context(), append(args, "--config", "Caddyfile")...)
		if (err == nil) != succeeds || !strings.Contains(out, says) {
			t.Fatalf("%s: %v\n%s\nwant %q, success %t", strings.Join(args, " "), err, out, says, succeeds)
		}
		return out
	}
	dcr(true, "To check it:", "export", "sealed.jsonl", "--secrets", "sealed", "--reason", "another gateway")
	second, _ := registered(t, p)
	dcr(true, "To check it:", "export", "plain.jsonl", "--reason", "another gateway")
	foreign := foreignFile(t, filepath.Join(p.Dir, "plain.jsonl"), id, second)
	if err := os.WriteFile(filepath.Join(p.Dir, "foreign.jsonl"), []byte(foreign), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.Dir, "bad.jsonl"), []byte(strings.Replace(foreign, `"client_id":"other-200"`, `"client_id":"other-199"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	restart(t, p, func() error { // and it has an empty store, with the same keyset
		if err := p.Gateway.Stop(); err != nil {
			return err
		}
		return os.Rename(filepath.Join(p.Dir, "store"), filepath.Join(p.Dir, "store.before"))
	})
	dcr(false, "more than once", "import", "bad.jsonl", "--write", "--reason", "from the AS")
	dcr(true, "402 clients", "import", "foreign.jsonl")
	out := dcr(true, "written                 402", "import", "foreign.jsonl", "--write", "--reason", "from the AS")
	dcr(true, "imported before         402", "import", "foreign.jsonl", "--write", "--reason", "from the AS")

	if err := reads(t.Context(), p, id); err != nil {
		t.Errorf("the imported client: %v", err)
	}
	put := func(id string) {
		t.Helper()
		token, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		body, err := p.Acme.Request(map[string]any{"redirect_uris": []string{updatedTo}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Update(t.Context(), p.Register, id, token, body)
		if err != nil || r.Status != http.StatusOK || !strings.Contains(r.String(), updatedTo) {
			t.Fatalf("PUT: %v, %v; want 200 and %s", r, err, updatedTo)
		}
		isWhole(t, p, id)
	}
	put(second) // without a registration access token: the AS gives another one, as the gateway chooses client_ids
	const again = "registers a client at the authorization server again"
	if n := strings.Count(p.Gateway.Log(), again); n != 1 {
		t.Errorf("%d times %q, want once", n, again)
	}
	imported := regexp.MustCompile(`(?m)^import +(\S+)$`).FindStringSubmatch(out)
	if imported == nil {
		t.Fatalf("%s names no import", out)
	}
	d := described(t, p)
	report := dcr(true, "", "import", "foreign.jsonl", "--json")
	d.answers(http.MethodPost, "/import", http.StatusOK, []byte(report[strings.Index(report, "{\n"):strings.LastIndex(report, "}")+1]))
	for path, call := range map[string]string{"/imports": "imports", "/imports/{id}": "imports/" + imported[1]} {
		status, answer, err := p.Operator(t.Context(), http.MethodGet, call, "")
		if err != nil {
			t.Fatal(err)
		}
		d.answers(http.MethodGet, path, status, answer)
	}
	dcr(true, "undone", "import", "--undo", imported[1], "--reason", "without tokens")
	for one, want := range map[string]int{id: http.StatusNotFound, "other-7": http.StatusNotFound, second: http.StatusOK} {
		if status, answer, err := p.Operator(t.Context(), http.MethodGet, "clients/"+one, ""); err != nil || status != want {
			t.Errorf("%s: %d %s, %v; want that only the client is known that has changed", one, status, answer, err)
		}
	}

	dcr(true, "written                 1", "import", "sealed.jsonl", "--write", "--reason", "another gateway")
	if err := reads(t.Context(), p, id); err != nil {
		t.Errorf("the client that was exported: %v", err)
	}
	put(id)
	if n := strings.Count(p.Gateway.Log(), again); n != 1 {
		t.Errorf("%d times %q, want once: its registration access token came with it", n, again)
	}
}

// isWhole fails unless a client has all that a registration brings.
func isWhole(t *testing.T, p *story.Play, id string) {
	t.Helper()
	status, answer, err := p.Operator(t.Context(), http.MethodGet, "clients/"+id, "")
	var c struct {
		Statement   map[string]any `json:"software_statement"`
		Certificate map[string]any `json:"certificate"`
	}
	if err != nil || status != http.StatusOK || json.Unmarshal(answer, &c) != nil || c.Statement["software_id"] != p.Acme.SoftwareID || c.Certificate == nil {
		t.Errorf("%d %s, %v; want a registration with statement and certificate", status, answer, err)
	}
}

// foreignFile makes of an export what only an AS knows: its clients without request, statement,
// certificate and secrets; and 400 others.
func foreignFile(t *testing.T, export string, ids ...string) string {
	t.Helper()
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{`{"format":"openbanking_dcr_clients","version":1}`}
	directory := ""
	for line := range strings.Lines(string(text)) {
		var c map[string]any
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		id, _ := c["client_id"].(string)
		if !slices.Contains(ids, id) {
			continue
		}
		foreign := map[string]any{}
		for _, name := range []string{"client_id", "software_id", "org_id", "directory", "metadata"} {
			foreign[name] = c[name]
		}
		one, err := json.Marshal(foreign)
		if err != nil {
			t.Fatal(err)
		}
		lines, directory = append(lines, string(one)), fmt.Sprint(c["directory"])
	}
	if len(lines) != 1+len(ids) {
		t.Fatalf("%s has not the clients %q: %s", export, ids, text)
	}
	for n := range 400 {
		lines = append(lines, fmt.Sprintf(`{"client_id":"other-%d","software_id":"other%d","org_id":"other","directory":%q,"metadata":{"token_endpoint_auth_method":"tls_client_auth","scope":"openid accounts","tls_client_auth_subject_dn":"CN=other %d,C=GB"}}`, n, n%100, directory, n))
	}
	return strings.Join(lines, "\n") + "\n"
}
