package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

const fileHeader = `{"format":"openbanking_dcr_clients","version":1}` + "\n"

func clientLine(id string) string {
	return `{"client_id":"` + id + `","software_id":"s","org_id":"o","directory":"OpenBanking Ltd","metadata":{"token_endpoint_auth_method":"tls_client_auth","scope":"openid accounts","tls_client_auth_subject_dn":"CN=tpp,O=Acme,C=GB"}}` + "\n"
}

const write = "dry_run=false&operator=Anna&reason=they+were+there"

// TestImportAndExport: nothing is written unless that is said, and the whole file or nothing; it
// can be exported, and undone.
func TestImportAndExport(t *testing.T) {
	start(t)
	file := fileHeader + clientLine("one") + clientLine("two")
	var report registry.ImportReport
	imports := func(query, body string, want int) {
		t.Helper()
		status, says := asks(t, "POST import", query, body)
		report = registry.ImportReport{}
		if status != want || json.Unmarshal([]byte(says), &report) != nil && want < 400 {
			t.Fatalf("%s: %d %s, want %d", query, status, says, want)
		}
	}
	there := func(id string, want int) {
		t.Helper()
		if status, says := asks(t, "GET clients/"+id, workspace, ""); status != want {
			t.Errorf("client %s: %d %s, want %d", id, status, says, want)
		}
	}
	imports("", file, http.StatusOK)
	if report.New != 2 || report.State != "checked" || report.WarningCount != 2 {
		t.Errorf("%+v, want two that would be written", report)
	}
	imports("", file+"{}\n", http.StatusOK)
	if report.ErrorCount != 1 || report.Errors[0].Line != 4 {
		t.Errorf("%+v, want the error of line 4", report)
	}
	imports(write, file+"{}\n", http.StatusUnprocessableEntity)
	there("one", http.StatusNotFound)
	heardOf(t, "a check, and a file with an error")
	imports(write, file, http.StatusOK)
	heardOf(t, "an import", "openbanking_dcr_imported map[clients:2 conflicts:0 import:"+report.ID+" written:2]")
	if report.Written != 2 || report.State != registry.ImportDone {
		t.Errorf("%+v, want both written", report)
	}
	there("one", http.StatusOK)
	if _, says := asks(t, "GET audit", workspace, ""); strings.Count(says, `"change":"imported"`) != 2 || !strings.Contains(says, `"reason":"they were there"`) || !strings.Contains(says, `"name":"Anna"`) {
		t.Errorf("the audit trail has %s", says)
	}
	status, exported := asks(t, "POST export", "secrets=sealed", change)
	if status != http.StatusOK || strings.Count(exported, "\n") != 4 || !strings.Contains(exported, `"count":2`) {
		t.Fatalf("%d %s, want a file with both", status, exported)
	}
	imports("", exported, http.StatusOK)
	if report.Present != 2 || report.ErrorCount != 0 {
		t.Errorf("%+v, want that both are there already", report)
	}
	id := firstImport(t)
	r := httptest.NewRequest(http.MethodPost, "http://localhost:2019"+prefix+"imports/"+id+"/undo", strings.NewReader(change))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("If-Match", tagOf(t, "imports/"+id))
	w := httptest.NewRecorder()
	if err := serve(w, r); err != nil || !strings.Contains(w.Body.String(), `"undone":2`) {
		t.Fatalf("%s, %v; want both undone", w.Body, err)
	}
	heardOf(t, "an undo", "openbanking_dcr_import_undone map[import:"+id+" kept:0 undone:2]")
	there("one", http.StatusNotFound)
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(t.TempDir()), "*", "import-*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v; want that nothing is left of the files", left, err)
	}
}

// heardOf fails unless these are the events since the last look.
func heardOf(t *testing.T, after string, want ...string) {
	t.Helper()
	heard.Lock()
	defer heard.Unlock()
	var got []string
	for _, e := range heard.events {
		got = append(got, fmt.Sprint(e.Name(), " ", e.Data))
	}
	heard.events = nil
	if !slices.Equal(got, want) {
		t.Errorf("after %s: events %q, want %q", after, got, want)
	}
}

func firstImport(t *testing.T) string {
	t.Helper()
	_, says := asks(t, "GET imports", "", "")
	var list struct{ Entries []registry.ImportRecord }
	if err := json.Unmarshal([]byte(says), &list); err != nil || len(list.Entries) != 1 || list.Entries[0].Written != 2 {
		t.Fatalf("%s, %v; want the import", says, err)
	}
	return list.Entries[0].ID
}

func tagOf(t *testing.T, resource string) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := serve(w, httptest.NewRequest(http.MethodGet, "http://localhost:2019"+prefix+resource, http.NoBody)); err != nil {
		t.Fatal(err)
	}
	return w.Header().Get("Etag")
}

// TestImportRefuses what no operator has sent, and what is no file of clients.
func TestImportRefuses(t *testing.T) {
	start(t)
	for name, tc := range map[string]struct {
		query, body, kind, encoding string
		length                      int64
		status                      int
		says                        string
	}{
		"a form of another site":  {query: write, kind: "text/plain", status: 415, says: "application/x-ndjson"},
		"no media type":           {query: write, kind: "-", status: 415, says: "application/x-ndjson"},
		"JSON":                    {query: write, kind: "application/json", status: 415, says: "application/x-ndjson"},
		"an encoding":             {query: write, encoding: "gzip", status: 415, says: "Content-Encoding"},
		"gzip":                    {query: write, body: "\x1f\x8b\x08", status: 400, says: "uncompress"},
		"a byte order mark":       {query: write, body: "\xef\xbb\xbf" + fileHeader, status: 400, says: "byte order mark"},
		"nothing":                 {query: write, body: "-", status: 400, says: "empty"},
		"a backup":                {query: write, body: "caddy-dcr backup 1\n", status: 400, says: "not a file of clients"},
		"a newer file":            {query: write, body: `{"format":"openbanking_dcr_clients","version":2}` + "\n", status: 400, says: "newer version"},
		"more than it says":       {query: write, length: 1<<30 + 1, status: 413, says: "too large"},
		"no reason":               {query: "dry_run=false&operator=Anna", status: 400, says: "reason: a text"},
		"no operator":             {query: "dry_run=false&reason=x", status: 400, says: "operator: a text"},
		"two operators":           {query: write + "&local_user=x", status: 400, says: "send one of them"},
		"another dry_run":         {query: "dry_run=1", status: 400, says: "dry_run: must be"},
		"another workspace":       {query: "workspace=default/other", status: 404, says: "there are default/obuk"},
		"a reason that deceives":  {query: "dry_run=false&operator=Anna&reason=" + url.QueryEscape("a\u202eb"), status: 400, says: "reason: must be"},
		"lines of no workspace":   {query: "", body: fileHeader + strings.Replace(clientLine("a"), "{", `{"workspace":"default/other",`, 1), status: 200, says: "is not configured"},
		"an export with a secret": {query: "", body: fileHeader + strings.Replace(clientLine("a"), "{", `{"sealed":"AAAA",`, 1), status: 200, says: "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			body := tc.body
			switch body {
			case "":
				body = fileHeader
			case "-":
				body = ""
			}
			r := httptest.NewRequest(http.MethodPost, "http://localhost:2019"+prefix+"import?"+tc.query, strings.NewReader(body))
			r.Header.Set("Content-Type", jsonLines)
			if tc.kind == "-" {
				r.Header.Del("Content-Type")
			} else if tc.kind != "" {
				r.Header.Set("Content-Type", tc.kind)
			}
			if tc.encoding != "" {
				r.Header.Set("Content-Encoding", tc.encoding)
			}
			if tc.length != 0 {
				r.ContentLength = tc.length
			}
			w := httptest.NewRecorder()
			status, says := answerOf(t, w, serve(w, r))
			if status != tc.status || !strings.Contains(says, tc.says) {
				t.Errorf("%d %s, want %d and %q", status, says, tc.status, tc.says)
			}
		})
	}
}

func answerOf(t *testing.T, w *httptest.ResponseRecorder, err error) (status int, says string) {
	t.Helper()
	if failure, ok := err.(caddy.APIError); ok {
		return failure.HTTPStatus, failure.Err.Error()
	} else if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Body.String()
}
