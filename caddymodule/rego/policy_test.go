package rego

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// provisioned is a policy of one file, and what its load says.
func provisioned(t testing.TB, text string) (*Policy, error) {
	t.Helper()
	if !strings.HasPrefix(text, "package") {
		text = "package openbanking_dcr\n\n" + text
	}
	directory, err := os.MkdirTemp("", "rego") // t.TempDir has the test's name, which may look like a placeholder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	name := filepath.Join(directory, "dcr.rego")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Policy{File: name}
	return p, p.Provision(caddy.Context{})
}

func load(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := provisioned(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parsed(t testing.TB, text string) strictjson.Object {
	t.Helper()
	o, err := strictjson.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func input(t testing.TB) *verify.PolicyInput {
	return &verify.PolicyInput{
		Operation: verify.OperationCreate, Workspace: "default/obuk", Remote: "192.0.2.1", Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Request: parsed(t, `{"iss":"s","exp":1772370000,"grant_types":["client_credentials"],"x":null,"y":[null],"deep":{"a":[1,1.5,{"b":true,"n":null}]}, "esc":"a\"\u00e9\\", "empty":[ ], "huge":1e5000}`),
		SSA:     parsed(t, `{"org_status":"Active","org_id":"org","software_roles":["AISP","PISP"],"software_mode":"Live","org":{"status":"Active"}}`),
		Registration: &verify.Metadata{Scope: "openid accounts payments", GrantTypes: []string{"authorization_code", "client_credentials"},
			TokenEndpointAuthMethod: "tls_client_auth"},
		Certificate: &verify.PolicyCertificate{Subject: "CN=x,C=GB", PSD2Roles: []string{"PSP_AI"}, NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		Token:       &verify.PolicyToken{ClientID: "registrar", Scopes: []string{"dcr_register"}, Claims: parsed(t, `{"env":"prod"}`)},
	}
}

func ask(t testing.TB, p verify.Policy, in *verify.PolicyInput) verify.Decision {
	return verify.Evaluate(t.Context(), p, in, time.Minute)
}

func TestVerdicts(t *testing.T) {
	for body, allowed := range map[string]bool{
		`true`:                                            true,
		`false`:                                           false,
		`input.ssa.org_status == "Active"`:                true,
		`input["ssa"]["org_status"] == "Active"`:          true,
		`input.ssa.org.status == "Active"`:                true,
		`"AISP" in input.ssa.software_roles`:              true,
		`some r in input.ssa.software_roles; r == "PISP"`: true,
		`every r in input.ssa.software_roles { r in ["AISP", "PISP"] }`:                                  true,
		`input.ssa.software_roles[_] == "PISP"`:                                                          true,
		`input.ssa.software_roles[1] == "PISP"`:                                                          true,
		`not input.ssa.org_jwks`:                                                                         true,
		`not input.ssa.org_status`:                                                                       false,
		`object.get(input.ssa, "org_jwks", "") == ""`:                                                    true,
		`object.get(input.ssa, ["org", "status"], "") == "Active"`:                                       true,
		`object.get(input, ["ssa", "org_id"], "") == "org"`:                                              true,
		`object.get(input, ["client", "client_id"], "none") == "none"`:                                   true,
		`object.get(input.ssa.org, "city", "none") == "none"`:                                            true,
		`k := "org_id"; object.get(input.ssa, [k], "none") == "org"`:                                     true,
		`"org_jwks" in object.keys(input.ssa)`:                                                           false,
		`"org_id" in object.keys(input.ssa)`:                                                             true,
		`some r in input.certificate.psd2_roles; r == "PSP_AI"; input.certificate.not_after > input.now`: true,
		`input.token.claims.env == "prod"; "dcr_register" in input.token.scopes`:                         true,
		`input.client == null; input.operation == "create"`:                                              true,
		`is_null(input.client)`:                                                                          true,
		`input.certificate != null`:                                                                      true,
		`input.client.client_id == "x"`:                                                                  false,
		`input.registration.token_endpoint_auth_method == "tls_client_auth"`:                             true,
		`input.registration.token_endpoint_auth_signing_alg == ""`:                                       true,
		`count(input.registration.redirect_uris) == 0`:                                                   true,
		`input.registration.backchannel_user_code_parameter_supported == null`:                           true,
		`not input.certificate.qwac`:                                                                     true,
		`input.certificate.qwac`:                                                                         false,
		`input.request.exp > 1772366400`:                                                                 true,
		`input.request.deep.a[2].b`:                                                                      true,
		`not input.request.deep.a[2].n`:                                                                  true,
		`input.request.y[0] == null`:                                                                     true,
		`input.request.esc == "a\"é\\"`:                                                                  true,
		`count(input.request.empty) == 0`:                                                                true,
		`time.parse_rfc3339_ns(input.now) < time.parse_rfc3339_ns("2026-06-01T00:00:00Z")`:               true,
		`input.ssa.org[_] == "Active"`:                                                                   true,
		`count([r | r := input.ssa.software_roles[_]]) == 2`:                                             true,
		`k := "status"; object.get(input.ssa.org, [k], "none") == "Active"`:                              true,
		`print(input.ssa.org_id)`:                                                                        true,
		`o.status == "Active"` + "\n}\no := input.ssa.org if {\n true":                                   true,
		`f(input.ssa.org)` + "\n}\nf(o) if {\n not o.gone":                                               true,
		`f(input.ssa.org, "status")` + "\n}\nf(o, k) if {\n object.get(o, k, \"\") == \"Active\"":        true,
		`a := input.ssa.org; not a.gone`:                                                                 true,
		`a := input.ssa.org; a.status == "Active"`:                                                       true,
		`a := input.ssa.org; object.get(a, "gone", 1) == 1`:                                              true,
		`some a in input.request.deep.a; not a.gone`:                                                     true,
		`some a in input.request.deep.a; is_object(a); object.get(a, "b", false)`:                        true,
		`r := input.certificate.psd2_roles; "PSP_AI" in r`:                                               true,
		`some r in input.certificate.psd2_roles; startswith(r, "PSP_")`:                                  true,
		`q := input.certificate.qwac; not q`:                                                             true,
		`input.now == "2026-03-01T12:00:00Z"`:                                                            true,
		`$"{input.ssa.org_id}!" == "org!"`:                                                               true,
		`"input.ssa.org_idd" == "x"`:                                                                     false,
		`org == "Active"` + "\n}\norg := o.status if {\n o := input.ssa.org":                             true,
		`is_active(input.ssa.org_status)` + "\n}\nis_active(s) if {\n s == \"Active\"":                   true,
	} {
		t.Run(body, func(t *testing.T) {
			d := ask(t, load(t, "allow if {\n"+body+"\n}\n"), input(t))
			if d.Fault != nil || d.Allowed != allowed {
				t.Errorf("got %+v, want allowed %t and no fault", d, allowed)
			}
		})
	}
}

func TestDecisions(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       verify.Decision
	}{
		{"nothing to deny", `deny contains "x" if false`, verify.Decision{Allowed: true}},
		{"text", `deny contains "no"`, verify.Decision{Text: "no", Reason: "no"}},
		{"object", `deny contains {"text": "no", "reason": "because", "code": "invalid_client_metadata"}`,
			verify.Decision{Kind: refusal.InvalidClientMetadata, Text: "no", Reason: "because"}},
		{"sorted", `deny contains "b"` + "\n" + `deny contains {"text": "a", "reason": "z"}` + "\n" + `deny contains "c"`,
			verify.Decision{Text: "a", Reason: "z; b; c"}},
		{"allow undefined", `allow if input.operation == "read"`, verify.Decision{Reason: "allow is undefined"}},
		{"allow false", "default allow := false", verify.Decision{Reason: "allow is false, not true"}},
		{"allow a string", `allow := "yes"`, verify.Decision{Reason: "allow is a string, not true"}},
		{"allow null", `allow := null`, verify.Decision{Reason: "allow is null, not true"}},
		{"allow and deny", "allow if true\ndeny contains \"no\"", verify.Decision{Text: "no", Reason: "no"}},
		{"neither holds", "allow if false\ndeny contains \"no\" if false", verify.Decision{Reason: "allow is undefined"}},
		{"narrow", `allow := true` + "\n" + `narrow := {"scopes": {"openid"}, "grant_types": ["client_credentials"]}`,
			verify.Decision{Allowed: true, Scopes: []string{"openid"}, GrantTypes: []string{"client_credentials"}}},
		{"narrow in parts", `allow := true` + "\n" + `narrow.scopes := ["openid"] if input.operation == "create"`,
			verify.Decision{Allowed: true, Scopes: []string{"openid"}}},
		{"narrow that does not hold", `allow := true` + "\n" + `narrow := {"scopes": ["openid"]} if false`, verify.Decision{Allowed: true}},
		{"a denial stands beside what is missing", `deny contains "no status" if not input.ssa.status` + "\n" + `deny contains "inactive" if input.ssa.status != "Active"`,
			verify.Decision{Text: "no status", Reason: "no status"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := ask(t, load(t, test.text), input(t))
			if d.Fault != nil || d.Allowed != test.want.Allowed || d.Kind != test.want.Kind || d.Text != test.want.Text || d.Reason != test.want.Reason ||
				strings.Join(d.Scopes, " ") != strings.Join(test.want.Scopes, " ") || strings.Join(d.GrantTypes, " ") != strings.Join(test.want.GrantTypes, " ") {
				t.Errorf("%+v, want %+v", d, test.want)
			}
		})
	}
}

// What goes wrong while it is asked denies, and says why.
func TestRuntimeErrorsDeny(t *testing.T) {
	for text, want := range map[string]string{
		`deny contains 5`:                                                          "deny: holds a number",
		`deny contains {"reason": "x"}`:                                            "there is no text",
		`deny contains {"text": 5}`:                                                "text is a number",
		`deny contains {"text": "x", "y": 1}`:                                      `"y" is none of text`,
		`deny contains {"text": "x", "code": "invalid"}`:                           `code "invalid" is none`,
		`allow := true` + "\n" + `narrow := 5`:                                     "narrow is a number",
		`allow := true` + "\n" + `narrow := {"scope": []}`:                         `"scope" is none of`,
		`allow := true` + "\n" + `narrow := {"scopes": "x"}`:                       "scopes is a string",
		`allow := true` + "\n" + `narrow := {"scopes": [1]}`:                       "scopes holds a number",
		`allow := true` + "\n" + `narrow := {"scopes": ["other"]}`:                 "leaves nothing",
		`allow if x == 1` + "\nx := 1\n" + `x := 2 if input.operation == "create"`: "eval_conflict_error",
		`allow if to_number(input.ssa.org_id) == 5`:                                "to_number",
		`deny contains "x" if upper(input.request.exp) == "X"`:                     "upper",
		`deny contains "x" if input.request.huge > 5`:                              "too large",
	} {
		t.Run(text, func(t *testing.T) {
			d := ask(t, load(t, text), input(t))
			if d.Allowed || d.Fault == nil || !strings.Contains(d.Reason, want) {
				t.Errorf("%+v, want %s", d, want)
			}
		})
	}
}

// A decision that does not end in time denies, and stops.
func TestDeadline(t *testing.T) {
	for name, text := range map[string]string{
		"comprehension": `allow if { n := numbers.range(1, 4000); x := [a | a := n[_]; b := n[_]; a * b < 0]; count(x) == 0 }`,
		"iteration":     `deny contains "x" if { n := numbers.range(1, 4000); n[a] * n[b] * n[c] < 0 }`,
		"every":         `allow if { n := numbers.range(1, 4000); every a in n { every b in n { a * b > 0 } } }`,
		"range":         `allow if count(numbers.range(1, 1000000000)) > 0`,
		"range_step":    `allow if count(numbers.range_step(1, 1000000000, 2)) > 0`,
		"functions":     "allow if { n := numbers.range(1, 4000); every a in n { every b in n { f(a, b) } } }\nf(a, b) if a + b > 0",
		"walk":          `allow if { x := [[a, b] | a := numbers.range(1, 1000)[_]; b := numbers.range(1, 1000)[_]]; walk(x, [_, 1000000]) }`,
		"sprintf":       `allow if { every a in numbers.range(1, 1000000) { sprintf("%1000d", [a]) != "" } }`,
	} {
		t.Run(name, func(t *testing.T) {
			p, start := load(t, text), time.Now()
			d := verify.Evaluate(t.Context(), p, input(t), 50*time.Millisecond)
			if took := time.Since(start); d.Allowed || d.Fault == nil || took > 2*time.Second {
				t.Errorf("got %+v after %v, want a fault within 2 s", d, took)
			} else {
				t.Log(took)
			}
		})
	}
}

// Nobody waits for a function that is slow by itself, and there are never many of them.
func TestSlowFunctionsAreAbandoned(t *testing.T) {
	p, in := load(t, `deny contains "x" if regex.match(input.request.long, input.request.long)`), input(t)
	in.Request = parsed(t, `{"long":"`+strings.Repeat("a", 4000)+`"}`)
	for i := range 5 {
		start := time.Now()
		d := verify.Evaluate(t.Context(), p, in, 10*time.Millisecond)
		if took := time.Since(start); d.Allowed || d.Fault == nil || took > 2*time.Second {
			t.Errorf("%d: got %+v after %v, want a fault within 2 s", i, d, took)
		}
	}
	for p.program.late.Load() > 0 {
		runtime.Gosched()
	}
	in.Request = parsed(t, `{"long":"x"}`)
	p.program.late.Store(3)
	if d := ask(t, p, in); d.Fault != nil {
		t.Errorf("three are still running: got the fault %v, want none", d.Fault)
	}
	p.program.late.Store(4)
	if d := ask(t, p, in); d.Allowed || d.Fault != errLate {
		t.Errorf("got %+v, want the fault %v", d, errLate)
	}
}

func TestPanic(t *testing.T) {
	if d, err := new(program).recovered(nil, topdown.NewCancel()); err == nil || !strings.Contains(err.Error(), "panic") || d.Allowed {
		t.Errorf("got %+v, %v, want it denied because of a panic", d, err)
	}
}

func TestReads(t *testing.T) {
	p := load(t, `deny contains "x" if { input.ssa.org_id == "x"; input.client == null; object.get(input, ["certificate", "qwac"], false) }`)
	for name, want := range map[string]bool{"ssa": true, "client": true, "certificate": true, "request": false, "token": false} {
		if p.Reads(name) != want {
			t.Errorf("%s: got %t, want %t", name, !want, want)
		}
	}
}

// Many ask at once.
func TestConcurrent(t *testing.T) {
	p := load(t, twenty)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 50 {
				if d := ask(t, p, input(t)); !d.Allowed {
					t.Errorf("got %+v, want it allowed", d)
				}
			}
		})
	}
}

// twenty conditions, the same as those of the benchmark of CEL.
const twenty = `
allow if {
	input.operation == "create"
	input.ssa.org_status == "Active"
	input.ssa.software_mode == "Live"
	input.ssa.org_id in ["a", "b", "org"]
	"AISP" in input.ssa.software_roles
	every r in input.ssa.software_roles { r in ["AISP", "PISP"] }
	endswith(input.certificate.subject, "C=GB")
	"PSP_AI" in input.certificate.psd2_roles
	input.certificate.not_after > input.now
	input.token.client_id == "registrar"
	"dcr_register" in input.token.scopes
	input.registration.token_endpoint_auth_method == "tls_client_auth"
	input.workspace == "default/obuk"
	startswith(input.remote, "192.")
	not input.ssa.software_on_behalf_of_org
	input.request.iss == "s"
	input.request.exp > 1772366400
	regex.match("^[a-z]+$", input.ssa.org_id)
	input.client == null
	time.parse_rfc3339_ns(input.now) < time.parse_rfc3339_ns("2030-01-01T00:00:00Z")
}
`

func BenchmarkDecide(b *testing.B) {
	p, in := load(b, twenty), input(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := verify.Evaluate(b.Context(), p, in, time.Minute); !d.Allowed {
			b.Fatal(d)
		}
	}
}

// TestRequireApproval: a policy may let a registration in on the condition that an operator
// approves it. A denial wins over that, and a claim that is missing denies.
func TestRequireApproval(t *testing.T) {
	for text, want := range map[string]verify.Decision{
		`require_approval contains "new" if input.ssa.org_id == "org"`:                                                               {Allowed: true, Approval: "new"},
		`require_approval contains "new" if input.ssa.org_id == "other"`:                                                             {Allowed: true},
		"require_approval contains \"b\" if true\n\nrequire_approval contains \"a\" if true\n\nnarrow := {\"scopes\": [\"openid\"]}": {Allowed: true, Approval: "a; b", Scopes: []string{"openid"}},
		"require_approval contains \"new\" if true\n\ndeny contains \"no\" if true":                                                  {Text: "no", Reason: "no"},
		"require_approval contains \"new\" if true\n\nallow if input.ssa.org_id == \"other\"":                                        {Reason: "allow is undefined"},
	} {
		d := verify.Evaluate(t.Context(), load(t, text), input(t), time.Minute)
		if d.Allowed != want.Allowed || d.Approval != want.Approval || d.Reason != want.Reason || !slices.Equal(d.Scopes, want.Scopes) || d.Fault != nil {
			t.Errorf("%s: %+v, want %+v", text, d, want)
		}
	}
	for _, text := range []string{
		`require_approval contains "new" if input.ssa.absent == "x"`, `require_approval contains 7 if true`, `require_approval contains "" if true`,
	} {
		if d := verify.Evaluate(t.Context(), load(t, text), input(t), time.Minute); d.Allowed || d.Fault == nil {
			t.Errorf("%s: %+v, want a fault", text, d)
		}
	}
	for _, text := range []string{`require_approval := true`, `require_approval if true`, `require_approval.x contains "a" if true`} {
		if _, err := provisioned(t, text); err == nil || !strings.Contains(err.Error(), "require_approval must be a set") {
			t.Errorf("%s: %v, want that it must be a set", text, err)
		}
	}
}
