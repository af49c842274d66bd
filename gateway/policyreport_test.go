package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// TestReport: what operators are told of a decision.
func TestReport(t *testing.T) {
	for _, tc := range []struct {
		name     string
		shadow   bool
		decision verify.Decision
		mode     string
		verdict  string
		logged   bool
		event    bool
	}{
		{"allowed", false, verify.Decision{Allowed: true}, "enforced", "allowed", false, false},
		{"narrowed", false, verify.Decision{Allowed: true, Scopes: []string{"openid"}}, "enforced", "narrowed", true, false},
		{"approval", false, verify.Decision{Allowed: true, Approval: "new"}, "enforced", "approval", true, false},
		{"denied", false, verify.Decision{Reason: "no"}, "enforced", "denied", true, true},
		{"denied in shadow", true, verify.Decision{Reason: "no"}, "shadow", "denied", true, true},
		{"failed", true, verify.Decision{Reason: "no", Fault: context.Canceled}, "shadow", "failed", true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			host := &fakeHost{}
			g := &Gateway{options: Options{Workspace: registry.Workspace{Name: "w/" + tc.name}, Host: host}, log: slog.New(slog.NewJSONHandler(&log, nil))}
			d := g.newRequest(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil), nil, registrations).registrationRequest()
			ssa, err := strictjson.Parse([]byte(`{"software_id":"s\n1","org_id":7}`))
			if err != nil {
				t.Fatal(err)
			}
			before := decisionsWith(t, g.options.Workspace.Name, tc.mode, tc.verdict) // of an earlier run in this process
			d.report(&Policy{Name: "p", Shadow: tc.shadow}, &verify.PolicyInput{Operation: "create", SSA: ssa}, tc.decision)
			if n := decisionsWith(t, g.options.Workspace.Name, tc.mode, tc.verdict); n != before+1 {
				t.Errorf("counted %v, want %v", n, before+1)
			}
			if (log.Len() > 0) != tc.logged || tc.logged && !strings.Contains(log.String(), `"verdict":"`+tc.verdict+`"`) {
				t.Errorf("logged %d bytes: %.300s", log.Len(), log.String())
			}
			if (len(host.events) == 1) != tc.event {
				t.Fatalf("%d events", len(host.events))
			}
			if tc.event {
				data := host.events[0]
				if data["policy"] != "p" || data["mode"] != tc.mode || data["verdict"] != tc.verdict || data["software_id"] != "s\n1" || data["support_code"] != d.request.supportCode() {
					t.Errorf("%v, want p, %s, %s, the software ID and the support code", data, tc.mode, tc.verdict)
				}
			}
		})
	}
}

// TestReportLines: a line has what there is, and no stack trace of Caddy's.
func TestReportLines(t *testing.T) {
	const attributes = `"policy":"p","mode":"enforced",`
	const line, failed = `"msg":"policy",` + attributes, `"msg":"cannot evaluate a policy",` + attributes
	const whom = `"operation":"read","support_code":"code","software_id":"","org_id":""`
	for _, tc := range []struct {
		decision verify.Decision
		want     string
	}{
		{verify.Decision{Allowed: true, Scopes: []string{"openid"}}, `"level":"INFO",` + line + `"verdict":"narrowed",` + whom + `,"scopes":["openid"]}`},
		{verify.Decision{Allowed: true, GrantTypes: []string{"x"}}, `"level":"INFO",` + line + `"verdict":"narrowed",` + whom + `,"grant_types":["x"]}`},
		{verify.Decision{Allowed: true, Approval: "new"}, `"level":"INFO",` + line + `"verdict":"approval",` + whom + `,"reason":"new"}`},
		{verify.Decision{Reason: "no"}, `"level":"INFO",` + line + `"verdict":"denied",` + whom + `,"reason":"no"}`},
		{verify.Decision{Reason: "no", Fault: context.Canceled}, `"level":"WARN",` + failed + `"verdict":"failed",` + whom + `,"reason":"no"}`},
	} {
		var log bytes.Buffer
		g := &Gateway{options: Options{Host: new(fakeHost)}, log: slog.New(slog.NewJSONHandler(&log, nil))}
		d := g.newRequest(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), nil, registrations).registrationRequest()
		d.request.support = "code"
		d.report(&Policy{Name: "p"}, &verify.PolicyInput{Operation: "read"}, tc.decision)
		if got := strings.TrimSpace(log.String()); !strings.HasSuffix(got, tc.want) {
			t.Errorf("logged %s\nwant %s", got, tc.want)
		}
	}
}

// TestReportedTextsAreBounded: what a TPP writes into its claims, or a policy into its
// reason, makes no line of a log, and no record of a registration, longer than it may be.
func TestReportedTextsAreBounded(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	var scopes []string
	for i := range 33 {
		scopes = append(scopes, fmt.Sprintf("s%02d", i))
	}
	var log bytes.Buffer
	g := &Gateway{options: Options{Host: new(fakeHost)}, log: slog.New(slog.NewJSONHandler(&log, nil))}
	d := g.newRequest(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil), nil, registrations).registrationRequest()
	ssa, err := strictjson.Parse([]byte(`{"software_id":"` + x(80) + `","org_id":"` + x(81) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	d.report(&Policy{Name: "p"}, &verify.PolicyInput{Operation: "create", SSA: ssa}, verify.Decision{Allowed: true, Scopes: scopes, GrantTypes: scopes[:32]})
	for _, want := range []string{`"software_id":"` + x(80) + `"`, `"org_id":"` + x(80) + `..."`, `"scopes":["s00",`, `"s31"],"grant_types":["s00",`, `"s31"]}`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("logged %s, want it to have %s", log.String(), want)
		}
	}
	d.object(&Policy{}, verify.Decision{Reason: x(500)})
	d.object(&Policy{}, verify.Decision{Reason: x(501)})
	for i, want := range []string{x(500), x(500) + "..."} {
		if got := d.objections[i].Reason; got != want {
			t.Errorf("got %d bytes of a reason, want %d", len(got), len(want))
		}
	}
	claims, err := strictjson.Parse([]byte(`{"longest":"` + x(98) + `","longer":"` + x(101) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	shown := brief(claims)
	if got, want := fmt.Sprintf("%s", shown), `map[longer:`+x(100)+`... longest:"`+x(98)+`"]`; got != want {
		t.Errorf("an explanation shows %s, want %s", got, want)
	}
}

// TestCutClaimsAreQuotedOnce: an explanation has JSON of a text or a list that it cuts, and not
// a text with half of it.
func TestCutClaimsAreQuotedOnce(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	claims, err := strictjson.Parse([]byte(`{"text":"a\"` + x(200) + `","list":["https://tpp.example/a","` + x(60) + `","` + x(60) + `","c"],"first":["` + x(200) + `"],` +
		`"object":{"a":"` + x(50) + `","b":"` + x(50) + `"},"number":1` + strings.Repeat("0", 200) + `,"é":"` + strings.Repeat("é", 100) + `","software_statement":"` + x(200) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(brief(claims))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"first":["` + x(100) + `..."],"list":["https://tpp.example/a","` + x(60) + `","..."],"number":"1` + strings.Repeat("0", 99) + `...",` +
		`"object":"{\"a\":\"` + x(50) + `\",\"b\":\"` + x(37) + `...","text":"a\"` + x(98) + `...","é":"` + strings.Repeat("é", 50) + `..."}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// decisionsWith is how many decisions with these labels there were.
func decisionsWith(t *testing.T, labels ...string) (n float64) {
	t.Helper()
	r := prometheus.NewRegistry()
	if err := r.Register(policyDecisions); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families { // none before the first decision
		for _, m := range family.GetMetric() {
			found := 0
			for _, l := range m.GetLabel() {
				if slices.Contains(labels, l.GetValue()) {
					found++
				}
			}
			if found == len(labels) {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
