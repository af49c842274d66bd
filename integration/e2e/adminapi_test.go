package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/gateway"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

var adminListener = regexp.MustCompile(`(?m)^\tadmin (\S+)$`)

// operator asks the gateway's admin API and decodes its answer.
func operator(t *testing.T, p *story.Play, method, call, body string) (status int, answer map[string]any) {
	t.Helper()
	status, raw, err := p.Operator(t.Context(), method, call, body)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatalf("%s: %s", err, raw)
		}
	}
	return status, answer
}

// changed makes a change of a resource of the admin API, for fraud.
func changed(t *testing.T, p *story.Play, resource, change string) {
	t.Helper()
	status, answer, err := p.Change(t.Context(), resource, change, "fraud")
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v; want 200", change, resource, status, answer, err)
	}
}

// listed are the entries of a list that the admin API gives.
func listed(t *testing.T, p *story.Play, call string) (entries []map[string]any) {
	t.Helper()
	status, answer := operator(t, p, http.MethodGet, call, "")
	if status != http.StatusOK {
		t.Fatalf("%s: %d %v, want 200", call, status, answer)
	}
	for _, e := range answer["entries"].([]any) {
		entries = append(entries, e.(map[string]any))
	}
	return entries
}

// metrics are those of the gateway's own, as Caddy's admin API serves them.
func metrics(t *testing.T, p *story.Play) string {
	t.Helper()
	client := tpp.NewClient(tpp.ClientOptions{NoKeepAlive: true})
	r, err := client.Do(t.Context(), http.MethodGet, "http://"+adminListener.FindStringSubmatch(p.Caddyfile)[1]+"/metrics", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for line := range strings.Lines(string(r.Body)) {
		if strings.HasPrefix(line, "caddy_openbanking_dcr_") {
			own = append(own, line)
		}
	}
	return strings.Join(own, "")
}

func TestInvalidAdminCallsAreRefused(t *testing.T) {
	onceShared(t, func(t *testing.T, p *story.Play) {
		for _, c := range []struct {
			method, call, body string
			status             int
			says               string
		}{
			{"GET", "everything", "", 404, "there are openapi.json"},
			{"POST", "backlog", "", 405, "not a method"},
			{"GET", "backlog?all=1", "", 400, "unknown parameter"},
			{"GET", "audit?since=yesterday&workspace=default/obuk", "", 400, "since: a time like"},
			{"GET", "audit?since=0001-01-01T00:00:00Z&workspace=default/obuk", "", 400, "since: a time like"},
			{"GET", "audit?since=2026-01-31T00:00:00Z", "", 400, "of one workspace"},
			{"GET", "explanations?code=", "", 400, "is missing"},
			{"GET", "explanations?code=x&workspace=y", "", 400, "unknown parameter"},
			{"GET", "explanations?code=nobody", "", 404, "no explanation has the support code"},
			{"GET", "suspensions?workspace=default/obuk&cursor=suspended/default/obuk/x", "", 400, "percent-encoded"},
			{"GET", "outbox?limit=0", "", 400, "limit"},
			{"GET", "discrepancies?workspace=a&workspace=b", "", 400, "more than once"},
			{"DELETE", "discrepancies?workspace=default/obuk", "", 405, "not a method"},
			{"GET", "discrepancies/answer_lost/x", "", 404, "not found"},
			{"POST", "discrepancies/answer_lost/x/dismiss", `{"reason":"looked","operator":"Anna"}`, 428, "If-Match is missing"},
			{"PUT", "suspensions", `{"workspace":"default/obuk","kind":"client","value":"nobody"}`, 405, "not a method"},
			{"GET", "clients/nobody", "", 404, "not found"},
			{"GET", "clients/nobody?workspace=default", "", 404, "there are default/obuk"},
			{"POST", "clients/nobody/suspend", `{"reason":"fraud","operator":"Anna"}`, 428, "If-Match is missing"},
		} {
			status, answer := operator(t, p, c.method, c.call, c.body)
			if text, _ := answer["error"].(string); status != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%s %s %s: got %d %v, want %d %q", c.method, c.call, c.body, status, answer, c.status, c.says)
			}
		}
	})
}

// TestSuspendedClientGetsNoToken: what is suspended gets no tokens and manages nothing, and its
// tokens are no longer active to anybody who asks at this site. It may give them
// back. Afterwards everything is as before.
func TestSuspendedClientGetsNoToken(t *testing.T) {
	once(t, story.Options{}, func(t *testing.T, p *story.Play) {
		id, token := registered(t, p)
		client := p.Client(p.Acme)
		for kind, at := range map[string]struct{ path, value string }{
			"client": {"clients", id}, "software": {"software", p.Acme.SoftwareID}, "organisation": {"organisations", p.Acme.OrgID}, "directory": {"directories", p.Directory.Issuer},
		} {
			resource, value := at.path+"/"+url.PathEscape(at.value), at.value
			changed(t, p, resource, "suspend")
			if list := listed(t, p, "suspensions?workspace=default/obuk"); len(list) != 1 || list[0]["value"] != value || list[0]["reason"] != "fraud" {
				t.Errorf("got %v, want %s alone, for fraud", list, value)
			}
			r, err := client.Token(t.Context(), p.Endpoint("token_endpoint"), tpp.ClientCredentials(""), tpp.TLSClientAuth(id))
			answered(t, r, err, 401, "invalid_client")
			r, err = client.Read(t.Context(), p.Register, id, token)
			answered(t, r, err, 403, "access_denied")
			if active := introspects(t, p, token); active {
				t.Errorf("%s: the token is active", kind)
			}
			if kind != "client" {
				if r := registers(t, p, client, nil); r.Status != 403 || r.Text("error") != "access_denied" {
					t.Errorf("%s registers again: %v, want 403 access_denied", kind, r)
				}
			}
			own, err := client.Token(t.Context(), p.Endpoint("revocation_endpoint"), url.Values{"token": {"nobody-knows-it"}}, tpp.TLSClientAuth(id))
			if err != nil || own.Text("error") == "invalid_client" {
				t.Errorf("%s: revocation: %v, %v", kind, own, err)
			}
			changed(t, p, resource, "resume")
			if err := reads(t.Context(), p, id); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
			if active := introspects(t, p, token); !active {
				t.Errorf("%s: the token is not active afterwards", kind)
			}
		}
	})
}

// introspects asks the proxied endpoint as a resource server does.
func introspects(t *testing.T, p *story.Play, token string) bool {
	t.Helper()
	r, err := p.Make(t.Context(), story.Call{
		Method: "POST", URL: p.Endpoint("introspection_endpoint"), ID: "gateway", Secret: p.AS.Config.GatewaySecret, Form: url.Values{"token": {token}},
	})
	if err != nil || r.Status != 200 {
		t.Fatalf("got %v, %v, want 200", r, err)
	}
	return r.JSON["active"] == true
}

// TestDeletedTokens: these servers keep the tokens of a client that was deleted.
func TestDeletedTokens(t *testing.T) {
	eachShared(t, func(t *testing.T, p *story.Play) {
		id, first := registered(t, p)
		second, err := p.ClientToken(t.Context(), p.Acme, id)
		if err != nil {
			t.Fatal(err)
		}
		if !introspects(t, p, first) || !introspects(t, p, second) {
			t.Fatal("not active before")
		}
		r, err := p.Client(p.Acme).Delete(t.Context(), p.Register, id, first)
		if err != nil || r.Status != 204 {
			t.Fatalf("got %v, %v, want 204", r, err)
		}
		for _, token := range []string{first, second} {
			if introspects(t, p, token) {
				t.Error("active afterwards")
			}
			r, err := p.Client(p.Acme).Read(t.Context(), p.Register, id, token)
			answered(t, r, err, 401, "invalid_token")
		}
		// The one that asked is revoked at the AS itself, as far as it allows.
		asked, err := p.AS.RequestsTo(t.Context(), http.MethodPost, strings.TrimPrefix(p.Endpoint("revocation_endpoint"), siteOf(p)))
		if err != nil {
			t.Fatal(err)
		}
		revoked := false
		for _, r := range asked {
			revoked = revoked || strings.Contains(r.Body, url.QueryEscape(first)) && r.Status == 200
		}
		if !revoked {
			t.Errorf("asked %+v", asked)
		}
	})
}

// TestBacklog: operators see what the AS was not told, and when it was.
func TestBacklog(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	revocation := strings.TrimPrefix(p.Endpoint("revocation_endpoint"), siteOf(p))
	if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: revocation, Times: -1, Status: 503}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.RegisterAnother(t.Context()); err != nil {
		t.Fatal(err)
	}
	backlog := func() map[string]any {
		list := listed(t, p, "backlog")
		if len(list) != 1 || list[0]["workspace"] != "default/obuk" || list[0]["configured"] != true {
			t.Fatalf("got %v, want default/obuk alone, configured", list)
		}
		return list[0]
	}
	err := story.Eventually(t.Context(), 10*time.Second, func() error {
		if b := backlog(); b["waiting"] != 1.0 || b["oldest"] == nil || !strings.Contains(fmt.Sprint(b["last_error"]), "503") {
			return fmt.Errorf("got %v, want one that waits, with the time and the error 503", b)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, line := range []string{
		`caddy_openbanking_dcr_outbox_entries{workspace="default/obuk"} 1`, `caddy_openbanking_dcr_outbox_oldest_timestamp_seconds{workspace="default/obuk"} 1.`,
	} {
		if m := metrics(t, p); !strings.Contains(m, line) {
			t.Errorf("no %s in\n%s", line, m)
		}
	}
	if list := listed(t, p, "outbox"); len(list) != 1 || list[0]["kind"] != "revoke" || list[0]["attempts"] == 0.0 {
		t.Errorf("got %v, want one revocation that was attempted", list)
	}
	if err := p.AS.ResetFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = story.Eventually(t.Context(), 30*time.Second, func() error {
		if b := backlog(); b["waiting"] != 0.0 {
			return fmt.Errorf("got %v, want none that waits", b)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAnswerLostIsListed: without client_id_header a lost answer leaves a client at
// the AS that nobody can find. It is listed, until somebody has looked for it.
func TestAnswerLostIsListed(t *testing.T) {
	once(t, story.Options{Edits: []gateway.Edit{chosenByTheAS}}, func(t *testing.T, p *story.Play) {
		path, err := p.InternalRegistration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AS.Fault(t.Context(), authserverprocess.Fault{PathContains: path, Method: http.MethodPost, After: true, Drop: true}); err != nil {
			t.Fatal(err)
		}
		token, body, err := p.Prepare(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		unavailable(t, "register", r, err)
		list := listed(t, p, "discrepancies")
		if len(list) != 1 || list[0]["kind"] != "answer_lost" || list[0]["software_id"] != p.Acme.SoftwareID || list[0]["org_id"] != p.Acme.OrgID {
			t.Fatalf("got %v, want one answer_lost of the software and organisation", list)
		}
		if m := metrics(t, p); !strings.Contains(m, `caddy_openbanking_dcr_discrepancies{kind="answer_lost",workspace="default/obuk"} 1`) {
			t.Errorf("got %v, want one discrepancy of kind answer_lost", m)
		}
		if b := listed(t, p, "backlog"); fmt.Sprint(b[0]["discrepancies"]) != "map[answer_lost:1]" {
			t.Errorf("got %v, want one divergence of kind answer_lost", b)
		}
		// The TPP is none the worse.
		r, err = p.Client(p.Acme).Register(t.Context(), p.Register, token, body)
		answered(t, r, err, 201, "")
		if status, answer, err := p.Change(t.Context(), "discrepancies/answer_lost/"+list[0]["registration"].(string), "dismiss", "deleted at the AS"); err != nil || status != 204 {
			t.Errorf("%d %s, %v, want 204", status, answer, err)
		}
		if list := listed(t, p, "discrepancies"); len(list) != 0 {
			t.Errorf("got %v, want none", list)
		}
	})
}
