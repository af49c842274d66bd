package cel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

func load(t testing.TB, expression string) *Policy {
	t.Helper()
	p := &Policy{Expression: expression}
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func object(t testing.TB, text string) strictjson.Object {
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
		Request: object(t, `{"iss":"s","exp":1772370000,"grant_types":["client_credentials"],"x":null,"y":[null],"deep":{"a":[1,1.5,{"b":true,"n":null}]}}`),
		SSA:     object(t, `{"org_status":"Active","org_id":"org","software_roles":["AISP","PISP"],"software_mode":"Live"}`),
		Registration: &verify.Metadata{Scope: "openid accounts payments", GrantTypes: []string{"authorization_code", "client_credentials"},
			TokenEndpointAuthMethod: "tls_client_auth"},
		Certificate: &verify.PolicyCertificate{Subject: "CN=x,C=GB", PSD2Roles: []string{"PSP_AI"}, NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		Token:       &verify.PolicyToken{ClientID: "registrar", Scopes: []string{"dcr_register"}, Claims: object(t, `{"env":"prod"}`)},
	}
}

func TestVerdicts(t *testing.T) {
	for expression, allowed := range map[string]bool{
		`true`:                            true,
		`false`:                           false,
		`ssa.org_status == "Active"`:      true,
		`ssa["org_status"] == "Active"`:   true,
		`"AISP" in ssa.software_roles`:    true,
		`has(ssa.org_jwks)`:               false,
		`!has(ssa.org_jwks)`:              true,
		`ssa.?org_jwks.orValue("") == ""`: true,
		`ssa.software_roles.all(r, r in ["AISP", "PISP"])`:                               true,
		`certificate.psd2_roles.exists(r, r == "PSP_AI") && certificate.not_after > now`: true,
		`token.claims.env == "prod" && "dcr_register" in token.scopes`:                   true,
		`client == null && operation == "create"`:                                        true,
		`registration.token_endpoint_auth_method == "tls_client_auth"`:                   true,
		`request.exp > 1772366400 && request.deep.a[2].b`:                                true,
		`size(request) == 5 && request == request`:                                       true,
		`!has(request.x)`:                         true,
		`!has(request.deep.a[2].n)`:               true,
		`request.y[0] == null`:                    true,
		`now < timestamp("2026-06-01T00:00:00Z")`: true,
		`"ssa.org_id" == "x"`:                     false,
		`deny("no")`:                              false,
		`ssa.org_status == "Active" ? allow() : deny("organisation not active")`: true,
		`allow().scopes(["openid"])`: true,
		`ssa.org_id == "known" ? allow() : require_approval("new: " + ssa.org_id)`: true,
	} {
		t.Run(expression, func(t *testing.T) {
			d := verify.Evaluate(t.Context(), load(t, expression), input(t), time.Minute)
			if d.Fault != nil || d.Allowed != allowed {
				t.Errorf("got %+v, want allowed %t and no fault", d, allowed)
			}
		})
	}
}

// What goes wrong while it is asked denies, and says why.
func TestRuntimeErrorsDeny(t *testing.T) {
	deep := "a + b + c + d + e + f + g > 0"
	for _, v := range "gfedcba" {
		deep = "[1,2,3,4,5,6,7,8,9].all(" + string(v) + ", " + deep + ")"
	}
	for expression, want := range map[string]string{
		`ssa.nothing == "x"`:                                  `ssa.nothing == "x" fails (line 1): no such key: nothing; is it misspelt? If it is not, and may be absent, ask with has() first, or read it as .?name.orValue(...)`,
		"true &&\n  ssa.nothing == \"x\"":                     `ssa.nothing == "x" fails (line 2): no such key: nothing`,
		`ssa["nothing"] == "x"`:                               `no such key: nothing`,
		`ssa.software_roles.nothing == "x"`:                   `fails (line 1)`,
		`certificate.psd2_roles[5] == "x"`:                    `index out of bounds: 5`,
		`client.client_id == "x"`:                             `it is null here`,
		`client.client_id != "x"`:                             `it is null here`,
		`client.metadata.scope != "x"`:                        `it is null here`,
		`!(client.client_id == "x")`:                          `it is null here`,
		`software.clients == 0`:                               `it is null here`,
		`ssa.org_status < 5`:                                  `ssa.org_status < 5 fails (line 1): no such overload; it has a claim of another type than it takes`,
		`ssa.org_status + 1 == 2`:                             `ssa.org_status + 1 == 2 fails (line 1): no such overload`,
		`ssa.software_roles < 5`:                              `ssa.software_roles < 5 fails (line 1): no such overload`,
		`ssa.software_roles.contains("AISP")`:                 `ssa.software_roles.contains("AISP") fails (line 1): no such overload`,
		`"AISP" in ssa.org_status`:                            `"AISP" in ssa.org_status fails (line 1): no such overload`,
		`ssa.org_id.exists(r, r == "x")`:                      `ssa.org_id.exists(r, r == "x") fails (line 1): got 'types.String', expected iterable type`,
		`ssa.software_numbers && true`:                        `ssa.software_numbers fails (line 1): gives list, not true or false`,
		`ssa.org_id ? allow() : deny("x")`:                    `ssa.org_id ? allow() : deny("x") fails (line 1): no such overload`,
		`size(request.y[0]) > 1`:                              `size(request.y[0]) > 1 fails (line 1): no such overload`,
		`has(ssa.org_id) ? ssa.nothing == 1 : ssa.org_id < 5`: `no such key: nothing`,
		`deny(ssa.software_numbers)`:                          `deny(ssa.software_numbers) fails (line 1): no such overload`,
		`ssa.org_id.substring(ssa.org_id) == ""`:              `no such overload`,
		`timestamp(ssa.org_status) < now`:                     `fails (line 1)`,
		`1 / (size(ssa) - size(ssa)) == 1`:                    `division by zero`,
		`allow().scopes(["other"])`:                           `leaves nothing`,
		`allow().grants([])`:                                  `leaves nothing`,
		`allow().scopes(ssa.software_numbers)`:                `allow().scopes(ssa.software_numbers) fails (line 1): `,
		deep:                                                  `costs more than its cost_limit, 1000000; make it cheaper, or raise cost_limit in its block (at most 100000000)`,
	} {
		t.Run(want, func(t *testing.T) {
			in := input(t)
			in.SSA = in.SSA.With("software_numbers", []byte("[1]"))
			d := verify.Evaluate(t.Context(), load(t, expression), in, time.Minute)
			if d.Allowed || d.Fault == nil || !strings.Contains(d.Reason, want) {
				t.Errorf("%s: got %+v, want a fault with %q", expression, d, want)
			}
		})
	}
}

// A loop ends with the time it was given.
func TestLoopsEndInTime(t *testing.T) {
	deep := "a + b + c + d + e + f + g > 0"
	for _, v := range "gfedcba" {
		deep = "[1,2,3,4,5,6,7,8,9].all(" + string(v) + ", " + deep + ")"
	}
	p := &Policy{Expression: deep, CostLimit: MaxCostLimit}
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	d := verify.Evaluate(t.Context(), p, input(t), time.Millisecond)
	if d.Allowed || d.Fault == nil || !strings.Contains(d.Reason, "took longer than its timeout, 1ms") {
		t.Errorf("got %+v, want a fault that says it took longer than its timeout", d)
	}
}

// TestDenialNamesFalseCondition: a denial says which condition is false, and where it stands.
func TestDenialNamesFalseCondition(t *testing.T) {
	for expression, want := range map[string]string{
		`false`: "false is false (line 1)",
		"ssa.org_status == \"Active\" &&\n ssa.org_id == \"x\" &&\n \"CBPII\" in ssa.software_roles": `ssa.org_id == "x" is false (line 2); "CBPII" in ssa.software_roles is false (line 3)`,
		`ssa.org_id == "x" || ssa.org_id == "y"`:                                                     `ssa.org_id == "x" || ssa.org_id == "y" is false (line 1)`,
		`deny("no")`:                                                                                 "deny (line 1); it tells the TPP: no",
		`deny(request.empty)`:                                                                        "deny (line 1)",
		"certificate.nca_id == \"GB-FCA\"\n ? allow()\n : deny(\"not ours\")":                        `deny (line 3): certificate.nca_id == "GB-FCA" is false (line 1); it tells the TPP: not ours`,
		"ssa.org_id == \"org\" && ssa.software_mode == \"Test\" &&\n operation == \"read\"\n ? allow() : reject(\"no\")":                               `reject (line 3): ssa.software_mode == "Test" is false (line 1); operation == "read" is false (line 2); it tells the TPP: no`,
		"ssa.org_id == \"org\" ?\n(\"CBPII\" in ssa.software_roles ? allow()\n : ssa.org_id != \"\" ? deny(\"no \" + ssa.org_id) : allow()) : allow()": `deny (line 3): ssa.org_id == "org" is true (line 1); "CBPII" in ssa.software_roles is false (line 2); ssa.org_id != "" is true (line 3); it tells the TPP: no org`,
		`[allow(), deny("no")][1]`: "the expression denies; it tells the TPP: no",
	} {
		in := input(t)
		in.Request = in.Request.With("empty", []byte(`""`))
		d := verify.Evaluate(t.Context(), load(t, expression), in, time.Minute)
		if d.Allowed || d.Fault != nil || d.Reason != want {
			t.Errorf("%s: got %+v, want denied with %q", expression, d, want)
		}
	}
}

// TestExpressionSize: an expression has 64 KiB at most, and is nested 99 deep.
func TestExpressionSize(t *testing.T) {
	blanks := func(n int) string { return "true" + strings.Repeat(" ", n-4) }
	nested := func(n int) string { return strings.Repeat("(", n) + "true" + strings.Repeat(")", n) }
	for _, c := range []struct{ name, expression, want string }{
		{"64 KiB", blanks(64 << 10), ""},
		{"a byte more", blanks(64<<10 + 1), "expression code point size exceeds limit: size: 65537, limit 65536"},
		{"nested 99 deep", nested(99), ""},
		{"one deeper", nested(100), "expression recursion limit exceeded: 100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&Policy{Expression: c.expression}).Provision(caddy.Context{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestSourceErrors(t *testing.T) {
	for _, p := range []*Policy{{}, {Expression: "true", File: "x"}, {File: "none.cel"}, {File: "{env.NOT_SET}"}} {
		if err := p.Provision(caddy.Context{}); err == nil {
			t.Errorf("%+v: got it loaded, want an error", p)
		}
	}
}

// TestRequireApproval: a policy may let a registration in on the condition that an operator
// approves it, and leave out of it what the operator need not look at.
func TestRequireApproval(t *testing.T) {
	for expression, want := range map[string]verify.Decision{
		`require_approval("new: " + ssa.org_id)`:                     {Allowed: true, Approval: "new: org"},
		`require_approval("")`:                                       {Allowed: true, Approval: "the policy gives no reason"},
		`require_approval("Zürich").scopes(["openid"])`:              {Allowed: true, Approval: "Zürich", Scopes: []string{"openid"}},
		`ssa.org_id == "org" ? allow() : require_approval("new")`:    {Allowed: true},
		`ssa.org_id == "org" ? deny("no") : require_approval("new")`: {Text: "no", Reason: `deny (line 1): ssa.org_id == "org" is true (line 1); it tells the TPP: no`},
	} {
		d := verify.Evaluate(t.Context(), load(t, expression), input(t), time.Minute)
		if d.Allowed != want.Allowed || d.Approval != want.Approval || d.Reason != want.Reason && !d.Allowed || !slices.Equal(d.Scopes, want.Scopes) || d.Fault != nil {
			t.Errorf("%s: %+v, want %+v", expression, d, want)
		}
	}
}
