package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

// stage is a running gateway whose registry has clients.
type stage struct {
	t  *testing.T
	as *numbering
	// chains are those of a certificate that is shown.
	chains [][]*x509.Certificate
}

func newStage(t *testing.T, clients int) *stage {
	t.Helper()
	start(t)
	return stageOf(t, clients)
}

// stageOf is the gateway that runs.
func stageOf(t *testing.T, clients int) *stage {
	t.Helper()
	s := &stage{t: t, as: &numbering{}}
	s.with(func(r *registry.Registry) {
		t.Cleanup(r.Attach(registry.Workspace{Name: "default/obuk", Provisioner: s.as}))
		registerMany(t, r, clients)
	})
	return s
}

// lostRegistration registers a client at an AS whose answer is lost, and returns its registration.
func (s *stage) lostRegistration() string {
	s.t.Helper()
	s.with(func(r *registry.Registry) {
		if _, err := r.Register(s.t.Context(), registry.Workspace{Name: "default/obuk", Provisioner: s.as}, registers(0)); !errors.Is(err, registry.ErrLost) {
			s.t.Fatalf("%v, want %v", err, registry.ErrLost)
		}
	})
	return s.ask("GET", "discrepancies", "").body["entries"].([]any)[0].(map[string]any)["registration"].(string)
}

// with gives the registry of the running gateway.
func (s *stage) with(do func(r *registry.Registry)) {
	s.t.Helper()
	running, err := caddy.ActiveContext().AppIfConfigured("openbanking_dcr")
	if err != nil {
		s.t.Fatal(err)
	}
	app := running.(*caddymodule.App)
	r, err := app.Enter()
	if err != nil {
		s.t.Fatal(err)
	}
	defer app.Leave()
	do(r)
}

// answer is what the API says.
type answer struct {
	status int
	tag    string
	says   string
	body   map[string]any
}

// ask calls the API. headers are names and values in turn.
func (s *stage) ask(method, path, body string, headers ...string) (a answer) {
	s.t.Helper()
	return s.askWith(nil, method, path, body, headers...)
}

// askWith shows a certificate.
func (s *stage) askWith(cert *x509.Certificate, method, path, body string, headers ...string) (a answer) {
	s.t.Helper()
	r := httptest.NewRequest(method, prefix+path, strings.NewReader(body))
	r.Host = "localhost:2019"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	if cert != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: s.chains}
	}
	w := httptest.NewRecorder()
	err := serve(w, r)
	if failure := (caddy.APIError{}); errors.As(err, &failure) {
		return answer{status: failure.HTTPStatus, says: failure.Err.Error()}
	} else if err != nil {
		s.t.Fatal(err)
	}
	a = answer{status: w.Code, tag: w.Header().Get("Etag"), says: w.Body.String()}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			s.t.Fatalf("%s: %s", err, w.Body)
		}
	}
	return a
}

// is fails unless the answer has this status and says this.
func (s *stage) is(a answer, status int, says string) answer {
	s.t.Helper()
	if a.status != status || !strings.Contains(a.says, says) {
		s.t.Errorf("%d %s, want %d %q", a.status, a.says, status, says)
	}
	return a
}

func operatorCertificate(t *testing.T, subject pkix.Name) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestSuspendAndResumeAClient as an operator does: find it, read it, change it, read the history.
func TestSuspendAndResumeAClient(t *testing.T) {
	s := newStage(t, 3)
	list := s.is(s.ask("GET", "clients?name=tpp&label=DCR", ""), 200, `"label":"DCR"`)
	if n := len(list.body["entries"].([]any)); n != 3 {
		t.Fatalf("%d clients, want 3", n)
	}
	one := s.is(s.ask("GET", "clients/2", ""), 200, `"suspended":false`)
	change := func(what, tag, body string) answer { return s.ask("POST", "clients/2/"+what, body, "If-Match", tag) }
	const reason = `{"reason":"fraud","operator":"Anna"}`
	suspended := s.is(change("suspend", one.tag, reason), 200, `"suspended":true`)
	if suspended.tag == one.tag || suspended.tag != s.ask("GET", "clients/2", "").tag {
		t.Errorf("tag %s after %s: not the one of now", suspended.tag, one.tag)
	}
	s.is(change("resume", one.tag, reason), 412, "changed since you read it")
	s.is(change("resume", suspended.tag, `{"reason":"cleared","local_user":"root"}`), 200, `"suspended":false`)
	s.is(change("resume", s.ask("GET", "clients/2", "").tag, reason), 404, `client "2" is not suspended itself`)
	history := s.ask("GET", "clients/2", "").body["history"].([]any)
	if len(history) != 3 {
		t.Fatalf("%v, want registered, suspended and resumed", history)
	}
	for i, want := range []struct{ change, name, known, reason string }{{"suspended", "Anna", "declared", "fraud"}, {"resumed", "root", "local_user", "cleared"}} {
		e := history[i+1].(map[string]any)
		by, _ := e["operator"].(map[string]any)
		if e["change"] != want.change || e["reason"] != want.reason || by["name"] != want.name || by["known"] != want.known {
			t.Errorf("%v, want %+v", e, want)
		}
	}
	if s.is(s.ask("GET", "clients/1", ""), 200, `"suspended":false`).tag == one.tag {
		t.Error("two clients have one tag")
	}
}

// TestChangesSayWhoAndOfWhat: without a reason, an operator, or what the operator has seen,
// nothing is changed; nor by what another site can have a browser send.
func TestChangesSayWhoAndOfWhat(t *testing.T) {
	s := newStage(t, 1)
	tag := s.ask("GET", "clients/1", "").tag
	const good = `{"reason":"fraud","operator":"Anna"}`
	for what, c := range map[string]struct {
		body    string
		headers []string
		status  int
		says    string
	}{
		"no tag":                {good, nil, 428, "If-Match is missing"},
		"any tag":               {good, []string{"If-Match", "*"}, 400, "the one ETag"},
		"a weak tag":            {good, []string{"If-Match", "W/" + tag}, 400, "the one ETag"},
		"two tags":              {good, []string{"If-Match", tag + ", " + tag}, 400, "the one ETag"},
		"an open tag":           {good, []string{"If-Match", `"`}, 400, "the one ETag"},
		"a tag of nothing":      {good, []string{"If-Match", `""`}, 412, "changed since"},
		"a long tag":            {good, []string{"If-Match", `"` + strings.Repeat("x", 200) + `"`}, 400, "the one ETag"},
		"a form":                {good, []string{"If-Match", tag, "Content-Type", "text/plain"}, 415, "application/json"},
		"no media type":         {good, []string{"If-Match", tag, "Content-Type", ""}, 415, "application/json"},
		"no reason":             {`{"operator":"Anna"}`, []string{"If-Match", tag}, 400, "reason: a text"},
		"an empty reason":       {`{"operator":"Anna","reason":""}`, []string{"If-Match", tag}, 400, "reason: a text"},
		"a long reason":         {`{"operator":"Anna","reason":"` + strings.Repeat("x", 501) + `"}`, []string{"If-Match", tag}, 400, "reason: a text"},
		"a reason of two lines": {`{"operator":"Anna","reason":"a\nb"}`, []string{"If-Match", tag}, 400, "control characters"},
		"no operator":           {`{"reason":"fraud"}`, []string{"If-Match", tag}, 400, "operator: a text"},
		"two operators":         {`{"reason":"fraud","operator":"Anna","local_user":"root"}`, []string{"If-Match", tag}, 400, "send one of them"},
		"another member":        {`{"reason":"fraud","operator":"Anna","known":"certificate"}`, []string{"If-Match", tag}, 400, `unknown field "known"`},
		"no body":               {"", []string{"If-Match", tag, "Content-Type", "application/json"}, 400, "the body must be"},
		"10 KB":                 {good + strings.Repeat(" ", 17<<10), []string{"If-Match", tag}, 400, "too large"},
	} {
		t.Run(what, func(t *testing.T) {
			s := &stage{t: t, as: s.as}
			for _, path := range []string{"suspend", "delete"} {
				s.is(s.ask("POST", "clients/1/"+path, c.body, c.headers...), c.status, c.says)
			}
			if now := s.ask("GET", "clients/1", ""); now.tag != tag {
				t.Errorf("it was changed: %s", now.says)
			}
		})
	}
}

// TestOperatorWithACertificate: it counts, and nothing that the body says.
func TestOperatorWithACertificate(t *testing.T) {
	s := newStage(t, 1)
	anna := operatorCertificate(t, pkix.Name{CommonName: "Anna", Organization: []string{"A Bank"}})
	tag := s.ask("GET", "clients/1", "").tag
	// A chain of two: she may have issued it herself. None: nobody has verified it.
	for _, chains := range [][][]*x509.Certificate{nil, {{anna, anna}}} {
		s.chains = chains
		s.is(s.askWith(anna, "POST", "clients/1/suspend", change, "If-Match", tag), 403, "is not itself among the public_keys")
	}
	s.chains = [][]*x509.Certificate{{anna, anna}, {anna}}
	a := s.is(s.askWith(anna, "POST", "clients/1/suspend", `{"reason":"fraud","operator":"Eve"}`, "If-Match", tag), 200, `"known":"certificate"`)
	if !strings.Contains(a.says, `"name":"CN=Anna,O=A Bank"`) || strings.Contains(a.says, "Eve") {
		t.Errorf("%s, want the subject of the certificate", a.says)
	}
	s.is(s.askWith(operatorCertificate(t, pkix.Name{}), "POST", "clients/1/resume", `{"reason":"fraud","operator":"Eve"}`, "If-Match", a.tag), 403, "certificate cannot be recorded")
}

// TestSuspendAHolder: a software, an organisation or a directory, also before it has clients.
func TestSuspendAHolder(t *testing.T) {
	s := newStage(t, 2)
	client := s.ask("GET", "clients/1", "").body
	for path, value := range map[string]string{"software": client["software_id"].(string), "organisations": client["org_id"].(string), "directories": client["directory"].(string), "organisations/": "nobody/yet"} {
		path = strings.TrimSuffix(path, "/") + "/" + url.PathEscape(value)
		clients := `"clients":2,"all_counted":true`
		switch path, _, _ := strings.Cut(path, "/"); {
		case value == "nobody/yet":
			clients = `"clients":0,"all_counted":true`
		case path == "software":
			clients = `"clients":1,"all_counted":true`
		}
		before := s.is(s.ask("GET", path, ""), 200, `"suspension":null,`+clients)
		s.is(s.ask("POST", path+"/resume", change, "If-Match", before.tag), 404, " is not suspended itself")
		a := s.is(s.ask("POST", path+"/suspend", change, "If-Match", before.tag), 200, `"suspended":true`)
		s.is(s.ask("POST", path+"/suspend", change, "If-Match", before.tag), 412, "changed since")
		if now := s.ask("GET", "clients/1", "").body["suspended"]; now != (value != "nobody/yet") {
			t.Errorf("%s: the client is suspended: %v", path, now)
		}
		s.is(s.ask("POST", path+"/resume", change, "If-Match", a.tag), 200, `"suspended":false`)
	}
}

func TestDeleteAClient(t *testing.T) {
	s := newStage(t, 2)
	a := s.ask("GET", "clients/2", "")
	s.is(s.ask("POST", "clients/2/delete", change, "If-Match", a.tag), 204, "")
	s.is(s.ask("GET", "clients/2", ""), 404, "deleted")
	s.is(s.ask("POST", "clients/2/delete", change, "If-Match", a.tag), 404, "deleted")
	s.is(s.ask("GET", "audit?workspace=default/obuk", ""), 200, `"reason":"a test"`)
	s.is(s.ask("GET", "clients?client_id=2", ""), 200, `"entries":[]`)
	if s.as.deleted != 1 {
		t.Errorf("the AS was asked to delete %d clients, want 1", s.as.deleted)
	}
}

// TestConfirmTheEpoch as an operator does who has read it.
func TestConfirmTheEpoch(t *testing.T) {
	s := newStage(t, 0)
	seen := s.is(s.ask("GET", "epoch", ""), 200, `"unconfirmed":true`)
	s.is(s.ask("POST", "epoch/confirm", change), 428, "If-Match is missing")
	a := s.is(s.ask("POST", "epoch/confirm", change, "If-Match", seen.tag), 200, `"operator":{"name":"Anna","known":"declared"},"reason":"a test","unconfirmed":false`)
	if now := s.ask("GET", "epoch", ""); now.tag != a.tag || now.tag == seen.tag || now.says != a.says {
		t.Errorf("%s %s, want %s %s", now.tag, now.says, a.tag, a.says)
	}
	s.is(s.ask("GET", "audit", ""), 200, `"change":"confirmed","operator":{"name":"Anna","known":"declared"},"reason":"a test"`)
	s.is(s.ask("POST", "epoch/confirm", change, "If-Match", a.tag), 409, "nothing waits to be confirmed")
}

// TestDismissADiscrepancy: what an answer of the AS that was lost has left.
func TestDismissADiscrepancy(t *testing.T) {
	s := newStage(t, 0)
	s.as.lost = true
	registration := s.lostRegistration()
	path := "discrepancies/answer_lost/" + registration
	one := s.is(s.ask("GET", path, ""), 200, `"kind":"answer_lost"`)
	s.is(s.ask("POST", path+"/dismiss", change), 428, "If-Match is missing")
	s.is(s.ask("POST", path+"/dismiss", change, "If-Match", `"of nothing"`), 412, "changed since you read it")
	s.is(s.ask("POST", path+"/dismiss", change, "If-Match", one.tag), 204, "")
	s.is(s.ask("GET", path, ""), 404, "not found")
	s.is(s.ask("POST", path+"/dismiss", change, "If-Match", one.tag), 404, "not found")
	s.is(s.ask("GET", "audit", ""), 200, `"change":"dismissed","registration":"`+registration+`","software_id":"software-0","org_id":"org","discrepancy":"answer_lost"`)
}

// TestGiveUpAnEntry of the outbox: a deletion that the AS does not carry out.
func TestGiveUpAnEntry(t *testing.T) {
	s := newStage(t, 2)
	s.as.down = true
	one := s.ask("GET", "clients/2", "")
	s.is(s.ask("POST", "clients/2/delete", change, "If-Match", one.tag), 200, `"status":"deleting"`)
	entries := s.is(s.ask("GET", "outbox?workspace=default/obuk", ""), 200, `"kind":"delete"`).body["entries"].([]any)
	path := "outbox/" + entries[0].(map[string]any)["id"].(string)
	a := s.is(s.ask("GET", path, ""), 200, `"attempts":`)
	s.is(s.ask("POST", path+"/give_up", change), 428, "If-Match is missing")
	s.is(s.ask("POST", path+"/retry", change, "If-Match", `"of nothing"`), 412, "changed since you read it")
	for range 50 { // the outbox may try it meanwhile
		a = s.ask("POST", path+"/give_up", change, "If-Match", s.ask("GET", path, "").tag)
		if a.status != 409 && a.status != 412 {
			break
		}
	}
	s.is(a, 204, "")
	s.is(s.ask("GET", path, ""), 404, "not found")
	s.is(s.ask("GET", "clients/2", ""), 404, "deleted")
	s.is(s.ask("GET", "discrepancies", ""), 200, `"kind":"not_deleted"`)
	s.is(s.ask("GET", "audit", ""), 200, `"change":"given_up"`)
}

// TestRefreshKeys: one attempt in 30 seconds, of the address that is configured, with the checks
// of every fetch.
func TestRefreshKeys(t *testing.T) {
	s := newStage(t, 0)
	list := s.is(s.ask("GET", "keys?limit=1", ""), 200, `"kind":"directory","directory":"OpenBanking Ltd","url":"https://localhost:1/keys.jwks","keys":0,"key_ids":[]`)
	path := "keys/" + list.body["entries"].([]any)[0].(map[string]any)["id"].(string)
	s.is(s.ask("POST", path+"/refresh", `{"reason":"x"}`), 400, "operator: a text")
	s.is(s.ask("POST", path+"/refresh", change, "Content-Type", "text/plain"), 415, "application/json")
	s.is(s.ask("GET", path, ""), 200, `"kept":false`)
	a := s.is(s.ask("POST", path+"/refresh", change), 200, "address is not public")
	b := s.is(s.ask("POST", path+"/refresh", change), 200, "address is not public")
	if !strings.Contains(a.says, `"fetched":`) || b.body["fetched"] != false || b.body["tried_at"] == nil {
		t.Errorf("%s, then %s; want one attempt", a.says, b.says)
	}
	s.is(s.ask("GET", path, ""), 200, `"next_attempt":"`)
}

func TestStatus(t *testing.T) {
	s := newStage(t, 2)
	a := s.is(s.ask("GET", "status", ""), 200, `"workspace":"default/obuk","clients":{`)
	if !strings.Contains(a.says, `"unconfirmed":true`) || !strings.Contains(a.says, `"free_bytes":`) {
		t.Errorf("%s, want the room of the disk, and that the restore waits to be confirmed", a.says)
	}
	for _, says := range []string{
		`"authorization_server":{"url":"https://localhost:1/default/obuk","reachable":`, `"circuit_breakers":{"registration":"closed",`, `"directories":[{"directory":"OpenBanking Ltd","url":"https://localhost:1/keys.jwks"`,
		`"four_eyes":[]`, `"schema":1`, `"size_bytes":`, `"sequence":`, `"configuration_hash":"`, `"go":"go1.`,
	} {
		s.is(a, 200, says)
	}
	began := time.Now()
	for range 100 {
		if s.ask("GET", "status", "").body["configuration_hash"] != a.body["configuration_hash"] {
			t.Error("one configuration has two hashes")
		}
	}
	if took := time.Since(began) / 100; took > 10*time.Millisecond {
		t.Errorf("it takes %v, want 10 ms at most", took)
	}
}

// TestClientFilters: what cannot be searched for is refused, and never left out.
func TestClientFilters(t *testing.T) {
	s := newStage(t, 2)
	for query, says := range map[string]string{
		"label=CIBA": "label: the only one is DCR", "status=pending": "status is active, awaiting_approval or deleting", "suspended=1": "suspended: true or false", "suspended=TRUE": "suspended: true or false",
		"dn=nobody": "dn: ", "name=%ff": "name is not UTF-8", "org_id=" + strings.Repeat("x", 1025): "longer than 1024 bytes",
		"registered_after=yesterday": "registered_after: a time like", "registered_before=0001-01-01T00:00:00Z": "registered_before: a time like",
		"certificate_expires_before=2026-01-31": "certificate_expires_before: a time like", "cursor=x": "the cursor is of another list", "sort=name": "unknown parameter", "limit=0": "limit: a number",
	} {
		s.is(s.ask("GET", "clients?"+query, ""), 400, says)
	}
	s.is(s.ask("GET", "clients?workspace=other", ""), 404, "there are default/obuk")
	for path, says := range map[string]string{"clients/": "there are openapi.json, status, backup, clients", "clients/1/": "there are", "clients//suspend": "there are", "clients/1/2/3": "there are"} {
		r := httptest.NewRequest("GET", prefix+path, nil)
		if err := serve(httptest.NewRecorder(), r); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
	s.is(s.ask("GET", "clients/1/suspend", ""), 405, "GET is not a method of")
	s.is(s.ask("DELETE", "clients/1", ""), 405, "DELETE is not a method of")
	w := httptest.NewRecorder()
	if err := serve(w, httptest.NewRequest("PUT", prefix+"clients", nil)); err == nil || w.Header().Get("Allow") != "GET" {
		t.Errorf("Allow: %s, %v; want GET", w.Header().Get("Allow"), err)
	}
	first := s.ask("GET", "clients?limit=1", "").body
	id := func(page map[string]any) any { return page["entries"].([]any)[0].(map[string]any)["client_id"] }
	second := s.is(s.ask("GET", "clients?limit=1&cursor="+first["next"].(string), ""), 200, `"client_id"`)
	if id(first) == id(second.body) || len(second.body["entries"].([]any)) != 1 {
		t.Errorf("%s after %v, want the other client", second.says, first)
	}
}

// TestHolderThatCannotBe: its suspension could be made, and then not be shown.
func TestHolderThatCannotBe(t *testing.T) {
	s := newStage(t, 1)
	for _, id := range []string{strings.Repeat("x", 1025), "%ff"} {
		s.is(s.ask("GET", "organisations/"+id, ""), 400, "value must be UTF-8")
		s.is(s.ask("POST", "organisations/"+id+"/suspend", change, "If-Match", `"x"`), 400, "value must be UTF-8")
	}
	s.is(s.ask("GET", "suspensions", ""), 200, `"entries":[]`)
}

// TestBackupIsSent: one file, to operators who say who they are and why.
func TestBackupIsSent(t *testing.T) {
	s := newStage(t, 3)
	s.is(s.ask("POST", "backup", "{}"), 400, "reason: a text")
	s.is(s.ask("POST", "backup", change, "Content-Type", "text/plain"), 415, "application/json")
	r := httptest.NewRequest("POST", "http://localhost:2019"+prefix+"backup", strings.NewReader(change))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if err := serve(w, r); err != nil {
		t.Fatal(err)
	}
	h, err := backup.ReadHeader(w.Body)
	if err != nil || h.Counts["client"] != 3 || w.Header().Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%+v, %v, want a backup of three clients", h, err)
	}
	// The connection breaks when it has begun: no answer is written after that.
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a backup that broke is not cut off")
		}
	}()
	r = httptest.NewRequest("POST", "http://localhost:2019"+prefix+"backup", strings.NewReader(change))
	r.Header.Set("Content-Type", "application/json")
	_ = serve(&broken{ResponseRecorder: httptest.NewRecorder()}, r)
}

// broken takes one part of an answer.
type broken struct {
	*httptest.ResponseRecorder
	parts int
}

func (b *broken) Write(part []byte) (int, error) {
	if b.parts++; b.parts > 1 {
		return 0, errors.New("the connection is gone")
	}
	return b.ResponseRecorder.Write(part)
}
