package command

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// refusedByPolicy is what the documentation shows the end of.
func refusedByPolicy() registry.Explanation {
	told := "the bank's registration policy does not let this software in; ask the bank"
	return registry.Explanation{
		Workspace: "default/obuk", Operation: "register", SupportCode: "4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11", At: time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC),
		Outcome: registry.Refused, Status: 400, Error: "unapproved_software_statement", Rule: "policy", ErrorDescription: told,
		Steps: []trace.Step{
			{Step: "client_certificate", Rule: "client_certificate", Clause: "RFC 8705 2.1", Verdict: trace.Passed},
			{Step: "metadata", Rule: "tls_client_auth_subject_dn", Clause: "RFC 8705 2.1.2", Verdict: trace.Passed,
				Input: json.RawMessage(`{"tls_client_auth_subject_dn":"CN=V4T2FEJDI7GPFFCWWL3WJF,organizationIdentifier=PSDGB-FCA-123456,O=Acme Ltd,C=GB"}`)},
			{Step: "metadata", Rule: "software_statement", Clause: "RFC 7591 2.3", Verdict: trace.Passed},
			{Step: "policy", Rule: "status", Clause: "policy cel", Input: json.RawMessage(`{"ssa":{"org_id":"0015800001041REAAY","org_status":"Active"}}`), Verdict: trace.Refused,
				ErrorDescription: told, Reason: `policy status: ssa.org_status == "Closed" is false (line 1)`},
		},
	}
}

// TestExplainText: the text is as the documentation shows it, and the exit status is
// that of the outcome.
func TestExplainText(t *testing.T) {
	want, err := os.ReadFile("../testdata/explain/policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		outcome string
		fails   bool
		end     string
	}{
		{registry.Refused, true, string(want)},
		{registry.Incomplete, true, "incomplete: nothing refuses the request, but not everything could be checked\n"},
		{registry.Passed, false, "passed: every check that comes before the registry and the authorization server\n"},
	} {
		t.Run(tc.outcome, func(t *testing.T) {
			var out strings.Builder
			one := refusedByPolicy()
			one.Outcome = tc.outcome
			err := new(explanation).print(&out, []registry.Explanation{one})
			if (err != nil) != tc.fails || !strings.HasSuffix(out.String(), tc.end) {
				t.Errorf("got %v\n%s\nwant an error %t, and the end\n%s", err, out.String(), tc.fails, tc.end)
			}
			if !strings.HasPrefix(out.String(), "register of default/obuk at 2026-11-27T09:30:00Z, support code 4f5a1c3e-7b0d-4c8e-9a51-2d6f0b8c7e11\n\npassed       client_certificate (RFC 8705 2.1)\n") {
				t.Errorf("got %s, want it to begin with the operation, the time and the first step", out.String())
			}
		})
	}
}

// Whoever sends a request does not command the operator's terminal.
func TestExplainTextIsPrintable(t *testing.T) {
	one := refusedByPolicy()
	one.Operation, one.Workspace, one.SupportCode = "\x1b]52;c;x\a", "\u009b2J", "\u202e"
	one.Error, one.Rule = "\x1b[2J\npassed: every check", "\u2066"
	one.ErrorDescription = "\u009b2J\u202e\npassed: every check"
	one.Steps = []trace.Step{{Step: "\x1b[2J", Rule: "\u009b2J", Clause: "\u202e\npassed: every check", Input: json.RawMessage("\"\u009b2J\u202e\""), ErrorDescription: "\x1b[2J", Reason: "\u2066\U000e0001\npassed: every check", Verdict: trace.Refused}}
	var out strings.Builder
	if err := (&explanation{code: one.SupportCode}).print(&out, []registry.Explanation{one, one}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\u009b\u202e\u2066\x1b") || strings.Count(out.String(), "support code") != 2 || strings.Contains(out.String(), "\npassed: every") {
		t.Errorf("got %q, want 2 support codes, no control characters and no forged line", out.String())
	}
	out.Reset()
	if err := (&explanation{code: one.SupportCode, json: true}).print(&out, []registry.Explanation{one}); err != nil {
		t.Fatal(err)
	}
	var again []registry.Explanation
	if err := json.Unmarshal([]byte(out.String()), &again); err != nil || again[0].ErrorDescription != one.ErrorDescription || again[0].Steps[0].Reason != one.Steps[0].Reason || strings.ContainsAny(out.String(), "\u009b\u202e\u2066\x1b") {
		t.Errorf("got %q, %v, want the description and reason as they were, and no control characters", out.String(), err)
	}
}

// TestExplainTextQuotesOnce: an input that was cut is printed as far as it goes.
func TestExplainTextQuotesOnce(t *testing.T) {
	one := refusedByPolicy()
	one.Steps = []trace.Step{
		{Step: "a", Rule: "a", Input: json.RawMessage(`"{\"a\":\"b..."`)}, {Step: "b", Rule: "b", Input: json.RawMessage(`"Acme"`)}, {Step: "c", Rule: "c", Input: json.RawMessage(`""`)},
	}
	var out strings.Builder
	describe(&out, &one)
	for _, want := range []string{" input: {\"a\":\"b...\n", " input: \"Acme\"\n", " input: \"\"\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %q", out.String(), want)
		}
	}
}
