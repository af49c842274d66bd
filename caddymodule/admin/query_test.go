package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

const workspace = "workspace=default/obuk"

// change is the body of a change.
const change = `{"reason":"a test","operator":"Anna"}`

// good is a query that each call takes, and the body where it takes one.
var good = map[string]struct{ query, body string }{
	"GET backlog": {}, "GET outbox": {query: workspace + "&limit=5"}, "GET outbox/{id}": {query: workspace}, "POST outbox/{id}/retry": {workspace, change}, "POST outbox/{id}/give_up": {workspace, change},
	"GET discrepancies": {query: workspace}, "GET suspensions": {query: workspace},
	"GET keys": {query: workspace + "&limit=5"}, "GET keys/{id}": {query: workspace}, "POST keys/{id}/refresh": {workspace, change},
	"GET discrepancies/{kind}/{registration}": {query: workspace}, "POST discrepancies/{kind}/{registration}/dismiss": {workspace, change},
	"GET epoch": {}, "POST epoch/confirm": {body: change},
	"POST backup": {body: change},
	"POST export": {workspace + "&secrets=none", change}, "POST import": {workspace + "&dry_run=false&reason=x&operator=Anna", `{"format":"openbanking_dcr_clients","version":1}` + "\n"},
	"GET imports": {query: "limit=5"}, "GET imports/{id}": {}, "POST imports/{id}/undo": {body: change},
	"GET reconcile": {query: workspace + "&limit=5"}, "POST reconcile/start": {workspace + "&repair=true&force=false&rate=7", change}, "POST reconcile/stop": {workspace, change}, "POST reconcile/orphans": {workspace, `{"client_ids":["x"]}`},
	"GET openapi.json": {},
	"GET status":       {},
	"GET trust":        {query: workspace + "&kind=unused&limit=5"}, "POST trust/check": {workspace, change},
	"GET clients": {query: workspace + "&label=DCR&status=active&suspended=false&name=x&registered_after=2026-01-31T00:00:00Z&last_used_after=2026-01-31T00:00:00Z&last_used_before=2026-01-31T00:00:00Z&limit=7"}, "GET clients/{client_id}": {query: workspace},
	"POST clients/{client_id}/suspend": {workspace, change}, "POST clients/{client_id}/resume": {workspace, change}, "POST clients/{client_id}/approve": {workspace, change}, "POST clients/{client_id}/refuse": {workspace, change}, "POST clients/{client_id}/delete": {workspace, change}, "POST clients/{client_id}/rotate_secret": {workspace, change},
	"GET software/{id}": {query: workspace}, "POST software/{id}/suspend": {workspace, change}, "POST software/{id}/resume": {workspace, change},
	"GET organisations/{id}": {query: workspace}, "POST organisations/{id}/suspend": {workspace, change}, "POST organisations/{id}/resume": {workspace, change},
	"GET directories/{id}": {query: workspace}, "POST directories/{id}/suspend": {workspace, change}, "POST directories/{id}/resume": {workspace, change},
	"POST secrets/rotate": {workspace, change}, "GET registrations": {query: workspace}, "GET audit": {query: workspace}, "GET explanations": {query: workspace},
}

// start runs a gateway that has reached nothing yet.
func start(t *testing.T) {
	t.Helper()
	startWith(t, "admin off", "")
}

// startWith is start with another admin endpoint, and more global options of the gateway.
// changes are those that only JSON can make.
func startWith(t *testing.T, admin, options string, changes ...func(*caddy.Config)) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	text := `{
	` + admin + `
	events {
		on openbanking_dcr_approved admin_test_hears
		on openbanking_dcr_refused admin_test_hears
		on openbanking_dcr_imported admin_test_hears
		on openbanking_dcr_import_undone admin_test_hears
	}
	skip_install_trust
	log {
		output discard
	}
	openbanking_dcr {
		` + options + `
		store badger ` + t.TempDir() + `
		restored "copy of yesterday"
	}
}
http://127.0.0.1:0 {
	openbanking_dcr default/obuk {
		authorization_server https://localhost:1/default/obuk {
			provision rfc7591
		}
		software_statement "OpenBanking Ltd" {
			jwks_uri https://localhost:1/keys.jwks
		}
	}
}
`
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(&config)
	}
	if err := caddy.Run(&config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// asks is the status of a call, and what it says.
func asks(t *testing.T, name, query, body string) (status int, says string) {
	t.Helper()
	method, what, _ := strings.Cut(name, " ")
	what = strings.NewReplacer("{client_id}", "nobody", "{id}", "x", "{kind}", "answer_lost", "{registration}", "x").Replace(what)
	r := httptest.NewRequest(method, prefix+what, strings.NewReader(body))
	r.Host = "localhost:2019"
	r.URL.RawQuery = query
	r.Header.Set("Content-Type", "application/json")
	if name == "POST import" {
		r.Header.Set("Content-Type", jsonLines)
	}
	r.Header.Set("If-Match", `"of nothing"`)
	w := httptest.NewRecorder()
	err := serve(w, r)
	if failure := (caddy.APIError{}); errors.As(err, &failure) {
		return failure.HTTPStatus, failure.Err.Error()
	} else if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Body.String()
}

// TestWhatIsNotUnderstoodIsRefused: no call does less, or more, than its query says.
func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	start(t)
	for name, ask := range good {
		t.Run(name, func(t *testing.T) {
			if status, says := asks(t, name, ask.query, ask.body); status >= 400 && status != http.StatusNotFound && !(name == "POST reconcile/stop" && status == http.StatusConflict) && status != http.StatusPreconditionFailed || strings.Contains(says, "workspace") && status == http.StatusNotFound {
				t.Fatalf("as it should be: %d %s", status, says)
			}
			and := ""
			if ask.query != "" {
				and = "&"
			}
			for _, wrong := range []struct{ query, says string }{
				{ask.query + and + "cursor=a;b", "the query cannot be read"}, {ask.query + and + "x=%zz", "the query cannot be read"}, {ask.query + ";limit=1", "the query cannot be read"},
				{ask.query + and + "everything=1", "unknown parameter"}, {ask.query + and + "=1", "unknown parameter"}, {ask.query + and + "Limit=1", "unknown parameter"},
			} {
				if status, says := asks(t, name, wrong.query, ask.body); status != http.StatusBadRequest || !strings.Contains(says, wrong.says) {
					t.Errorf("%s: %d %s, want %q", wrong.query, status, says, wrong.says)
				}
			}
			for _, parameter := range strings.FieldsFunc(ask.query, func(c rune) bool { return c == '&' }) {
				named, _, _ := strings.Cut(parameter, "=")
				twice, empty := ask.query+"&"+parameter, strings.Replace(ask.query, parameter, named+"=", 1)
				for query, word := range map[string]string{twice: "more than once", empty: named, strings.Replace(ask.query, parameter, named, 1): named} {
					if status, says := asks(t, name, query, ask.body); status != http.StatusBadRequest || !strings.Contains(says, word) {
						t.Errorf("%s: %d %s, want %q", query, status, says, word)
					}
				}
			}
			if ask.body != "" {
				return
			}
			if status, says := asks(t, name, ask.query, "{}"); status != http.StatusBadRequest || !strings.Contains(says, "takes no body") {
				t.Errorf("with a body: got %d %s, want 400, takes no body", status, says)
			}
		})
	}
	if len(good) != len(routes) {
		t.Errorf("got %d calls, want %d", len(good), len(routes))
	}
}

// TestWrongCalls: what is particular to a call.
func TestWrongCalls(t *testing.T) {
	start(t)
	for _, tc := range []struct {
		name, query, body string
		status            int
		says              string
	}{
		{"POST secrets/rotate", workspace + "&client_id=x", change, 400, `unknown parameter "client_id"`},
		{"POST secrets/rotate", workspace + "&cursor=suspended%2Fdefault%252Fobuk%2Fx", change, 400, "the cursor is of another list"},
		{"POST secrets/rotate", "workspace=default/other", change, 404, "there are default/obuk"},
		{"POST secrets/rotate", workspace, `{"reason":"x"}`, 400, "operator: a text"},
		{"POST secrets/rotate", "", change, 200, `"rotated":0`},
		{"POST secrets", workspace, change, 404, "there are"},
		{"DELETE clients", workspace + "&client_id=nobody&reason=lost", "", 405, "DELETE is not a method"},
		{"GET audit", "workspace=default/obuk;b", "", 400, "the query cannot be read"},
		{"GET audit", "workspace=default%2Fobuk%3Bb", "", 404, `workspace "default/obuk;b"; there are default/obuk`},
		{"GET audit", "workspace=", "", 400, "workspace: empty"},
		{"GET audit", "since=", "", 400, "since: empty"},
		{"GET audit", workspace + "&cursor=audit%2Fdefault%252Fother%2F0", "", 400, "the cursor is of another list"},
		{"GET audit", "cursor=divergence%2Fdefault%252Fobuk%2F0", "", 400, "the cursor is of another list"},
		{"GET audit", "limit=", "", 400, "limit: empty"},
		{"GET audit", "limit=1000", "", 200, `"entries":`},
		{"POST clients", workspace, "", 405, "POST is not a method"},
		{"GET reconcile", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET reconcile", workspace, "", 200, `"state":"never"`},
		{"GET reconcile", "cursor=audit%2Fx", "", 400, "the cursor is of another list"},
		{"GET reconcile", "limit=0", "", 400, "limit: a number"},
		{"POST reconcile/start", "workspace=default/other", change, 404, "there are default/obuk"},
		{"POST reconcile/start", "repair=yes", change, 400, "repair: must be true or false"},
		{"POST reconcile/start", "rate=0", change, 400, "rate: a number from 1 to 200"},
		{"POST reconcile/start", "rate=201", change, 400, "rate: a number from 1 to 200"},
		{"POST reconcile/start", "resume=true", change, 409, "nothing to resume"},
		{"POST reconcile/start", "resume=true&repair=true", change, 400, "leave repair out"},
		{"POST reconcile/start", "", `{"operator":"Anna"}`, 400, "reason: a text"},
		{"POST reconcile/stop", "", change, 409, "no reconciliation of this workspace is running"},
		{"POST reconcile/stop", "", "", 400, "the body must be"},
		{"POST reconcile/orphans", "", `{"client_ids":["x"]}`, 200, `"unknown":["x"]`},
		{"POST reconcile/orphans", "workspace=default/other", `{"client_ids":["x"]}`, 404, "there are default/obuk"},
		{"POST reconcile/orphans", "", `{"client_ids":[]}`, 400, "from 1 to 1000"},
		{"POST reconcile/orphans", "", `{"client_ids":["x"` + strings.Repeat(`,"x"`, 1000) + `]}`, 400, "from 1 to 1000"},
		{"POST reconcile/orphans", "", `{"client_ids":["` + strings.Repeat("x", 600<<10) + `"]}`, 400, "too large"},
		{"POST reconcile/orphans", "", `{"client_ids":["x"],"reason":"x"}`, 400, "and nothing else"},
		{"POST reconcile/orphans", "", `{"client_ids":[7]}`, 400, "client_ids"},
		{"GET audit", "limit=1001", "", 400, "limit: a number from 1 to 1000"},
		{"GET outbox", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET outbox", "cursor=outbox%2Fx", "", 400, "the cursor is of another list"},
		{"GET outbox/{id}", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET outbox/{id}", "", "", 404, "not found"},
		{"GET keys", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET keys", "cursor=x", "", 400, "the cursor is of another list"},
		{"GET keys", "cursor=----------------", "", 200, `"kind":"directory"`},
		{"GET keys/{id}", "workspace=default/other", "", 404, "there are default/obuk"},
		{"POST keys/{id}/refresh", "", `{"operator":"Anna"}`, 404, "no key set has this id"},
		{"GET registrations", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET discrepancies", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET suspensions", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET suspensions", workspace + "&cursor=divergence%2Fdefault%252Fobuk%2Fx", "", 400, "the cursor is of another list"},
		{"GET explanations", "code=", "", 400, "code is missing"},
		{"GET explanations", "code=x&limit=5", "", 400, "unknown parameter"},
		{"GET explanations", "cursor=audit%2Fx", "", 400, "the cursor is of another list"},
		{"DELETE discrepancies", workspace + "&kind=answer_lost&registration=x", "", 405, "DELETE is not a method"},
		{"GET discrepancies/{kind}/{registration}", "workspace=default/other", "", 404, "there are default/obuk"},
		{"GET discrepancies/other/x", workspace, "", 400, "must be one of"},
		{"POST discrepancies/{kind}/{registration}/dismiss", "workspace=default/other", change, 404, "there are default/obuk"},
		{"POST discrepancies/other/x/dismiss", workspace, change, 400, "must be one of"},
		{"GET epoch", "", "", 200, `"cause":"restored","label":"copy of yesterday","unconfirmed":true`},
		{"POST epoch", "", `{"reason":"looked"}`, 405, "POST is not a method"},
		{"POST epoch/confirm", "", "", 400, "the body must be"},
		{"POST epoch/confirm", "", `{"operator":"Anna"}`, 400, "reason: a text"},
		{"POST epoch/confirm", "", `{"reason":"x","workspace":"default/obuk"}`, 400, `unknown field "workspace"`},
		{"POST epoch/confirm", "reason=x", change, 400, "unknown parameter"},
		{"POST epoch/confirm", "", change, 412, "changed since you read it"},
	} {
		t.Run(fmt.Sprint(tc.name, " ", tc.query, tc.body[:min(len(tc.body), 30)]), func(t *testing.T) {
			if status, says := asks(t, tc.name, tc.query, tc.body); status != tc.status || !strings.Contains(says, tc.says) {
				t.Errorf("%d %s, want %d, %q", status, says, tc.status, tc.says)
			}
		})
	}
}

// TestAnswersArePrintable: curl shows an answer as it comes.
func TestAnswersArePrintable(t *testing.T) {
	var out strings.Builder
	if err := writeJSON(&out, map[string]string{"client_name": "\u009b2J\u202eé"}); err != nil || out.String() != `{"client_name":"\u009b2J\u202eé"}`+"\n" {
		t.Errorf("got %q, %v, want control characters and those that change the direction escaped", out.String(), err)
	}
}
