package command

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImportCommand: a file is checked, and written only if that is said and it has no error.
func TestImportCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "clients.jsonl")
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := `{"id":"one","state":"checked","clients":2,"new":2,"native":2,"errors":[],"warnings":[{"line":2,"client_id":"a","problem":"a\u001b[31mproblem"}],"warning_count":1}`
	done := `{"id":"one","state":"done","clients":2,"new":2,"written":2,"errors":[],"warnings":[]}`
	bad := `{"id":"one","clients":2,"errors":[{"line":3,"client_id":"b","problem":"write it"}],"error_count":1,"warnings":[]}`
	record := `{"v":1,"id":"one","state":"done","clients":2,"written":2,"began":1,"reason":"x","operator":{"name":"a","known":"declared"}}`
	report := good
	api := newStandIn(t, map[string]http.HandlerFunc{
		"POST import": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Content-Type") != "application/x-ndjson" {
				t.Errorf("the file was sent as %s", r.Header.Get("Content-Type"))
			}
			if r.URL.Query().Get("dry_run") == "false" {
				says(http.StatusOK, done)(w, r)
				return
			}
			says(http.StatusOK, report)(w, r)
		},
		"GET imports/one": says(http.StatusOK, record), "POST imports/one/undo": says(http.StatusOK, `{"v":1,"id":"one","state":"undone","clients":3,"written":3,"undone":2,"kept":1,"began":1}`),
		"GET imports": says(http.StatusOK, `{"entries":[`+record+`]}`),
		"POST export": says(http.StatusOK, `{"count":3}`+"\n"),
	})
	for _, tc := range []struct {
		name, args, report string
		status             int
		stdout, stderr     string
		calls              int
	}{
		{name: "checked", args: "import FILE", report: good, stdout: "--write imports them", calls: 1},
		{name: "a warning", args: "import FILE", report: good, stdout: `problem`, calls: 1},
		{name: "errors", args: "import FILE --write --reason x", report: bad, status: 1, stdout: "write it", stderr: "has 1 error,", calls: 1},
		{name: "no reason", args: "import FILE --write", status: 2, stderr: "--reason is missing"},
		{name: "written", args: "import FILE --write --reason x --workspace w", report: good, stdout: "written", calls: 2},
		{name: "JSON", args: "import FILE --json", report: good, stdout: `"new": 2`, calls: 1},
		{name: "no file", args: "import", status: 2, stderr: "give the file"},
		{name: "another file", args: "import FILE-", status: 2, stderr: "no such file"},
		{name: "undone", args: "import --undo one --reason x", stdout: "undone: 2 clients were removed (caddy dcr audit list has them), 1 kept because they have changed since", stderr: "undo the import one", calls: 2},
		{name: "undone with a file", args: "import FILE --undo one --reason x", status: 2, stderr: "takes no arguments"},
		{name: "undone and written", args: "import --undo one --write --reason x", status: 2, stderr: "give one of them"},
		{name: "listed", args: "import --list", stdout: "one", calls: 1},
		{name: "listed as JSON", args: "import --list --json", stdout: record, calls: 1},
		{name: "listed with a file", args: "import FILE --list", status: 2, stderr: "takes no arguments"},
		{name: "listed and undone", args: "import --list --undo one", status: 2, stderr: "give it without"},
		{name: "exported", args: "export - --workspace w", stdout: `{"count":3}` + "\n", calls: 1},
		{name: "exported with odd secrets", args: "export - --secrets clear", status: 2, stderr: "write none or sealed"},
		{name: "exported over a file", args: "export FILE", status: 1, stderr: "is there already"},
		{name: "exported to a file", args: "export FILE.2", stdout: ": 3 active clients, 12 B. To check it", calls: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			report, api.calls = tc.report, nil
			args := strings.Fields(strings.Replace(tc.args, "FILE", file, 1))
			stdout, stderr, status := dcr(t, append(args, "--address", api.address)...)
			if status != tc.status || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) || len(api.calls) != tc.calls {
				t.Errorf("status %d, %q, %q after %q; want %d, %q, %q after %d", status, stdout, stderr, api.calls, tc.status, tc.stdout, tc.stderr, tc.calls)
			}
			if strings.ContainsRune(stdout, 0x1b) {
				t.Error("what the gateway says reaches the terminal")
			}
		})
	}
}
