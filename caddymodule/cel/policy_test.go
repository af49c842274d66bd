package cel

import (
	"context"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

func load(t testing.TB, expression string) *Policy {
	t.Helper()
	p := &Policy{Expression: expression}
	if err := p.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func object(t testing.TB, text string) verify.Object {
	t.Helper()
	o, err := verify.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func input(t testing.TB) *verify.PolicyInput {
	return &verify.PolicyInput{
		Operation: verify.OperationCreate, Workspace: "default/obuk", Remote: "192.0.2.1", Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Request: object(t, `{"iss":"s","exp":1772370000,"grant_types":["client_credentials"],"x":null,"deep":{"a":[1,1.5,{"b":true}]}}`),
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
		`request.x == null`:                       true,
		`now < timestamp("2026-06-01T00:00:00Z")`: true,
		`"ssa.org_id" == "x"`:                     false,
		`deny("no")`:                              false,
		`ssa.org_status == "Active" ? allow() : deny("organisation not active")`: true,
		`allow().scopes(["openid"])`: true,
	} {
		t.Run(expression, func(t *testing.T) {
			d := verify.Evaluate(t.Context(), load(t, expression), input(t), time.Minute)
			if d.Fault != nil || d.Allowed != allowed {
				t.Errorf("%+v", d)
			}
		})
	}
}

// What goes wrong while it is asked denies, and says why.
func TestFaults(t *testing.T) {
	for expression, want := range map[string]string{
		`ssa.nothing == "x"`:               "",
		`certificate.psd2_roles[5] == "x"`: "",
		`client.client_id == "x"`:          "",
		`ssa.org_status < 5`:               "",
		`[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a+b+c+d+e > 0)))))`: "",
		`allow().scopes(["other"])`: "",
	} {
		t.Run(expression, func(t *testing.T) {
			d := verify.Evaluate(t.Context(), load(t, expression), input(t), time.Minute)
			t.Logf("%s", d.Reason)
			if d.Allowed || d.Fault == nil {
				t.Errorf("%+v, %s", d, want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	for _, expression := range []string{`ssa.org_status = "x"`, `sssa.org_status == "x"`, `certificate.psd2 == []`, `ssa.org_status`, `"x"`, ``, `foo(1)`, `1 ==`, "true &&\n  operation == 5"} {
		p := &Policy{Expression: expression}
		err := p.Provision(caddy.Context{})
		t.Logf("%v", err)
		if err == nil {
			t.Errorf("%q loads", expression)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	expression := `operation == "create"`
	for _, c := range []string{`ssa.org_status == "Active"`, `ssa.software_mode == "Live"`, `ssa.org_id in ["a","b","org"]`, `"AISP" in ssa.software_roles`,
		`ssa.software_roles.all(r, r in ["AISP","PISP"])`, `certificate.subject.endsWith("C=GB")`, `"PSP_AI" in certificate.psd2_roles`, `certificate.not_after > now`,
		`token.client_id == "registrar"`, `"dcr_register" in token.scopes`, `registration.token_endpoint_auth_method == "tls_client_auth"`, `workspace == "default/obuk"`,
		`remote.startsWith("192.")`, `!has(ssa.software_on_behalf_of_org)`, `request.iss == "s"`, `request.exp > 1772366400`, `ssa.org_id.matches("^[a-z]+$")`, `client == null`, `now < timestamp("2030-01-01T00:00:00Z")`} {
		expression += " && " + c
	}
	p, in := load(b, expression), input(b)
	b.ReportAllocs()
	for b.Loop() {
		if d := verify.Evaluate(context.Background(), p, in, time.Minute); !d.Allowed {
			b.Fatal(d)
		}
	}
}
