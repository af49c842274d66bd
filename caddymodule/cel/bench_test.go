package cel

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// BenchmarkTwenty is the policy of the bench with a small statement.
func BenchmarkTwenty(b *testing.B) {
	text, err := os.ReadFile("../../integration/cmd/bench/policies/twenty.cel")
	if err != nil {
		b.Fatal(err)
	}
	p := load(b, string(text))
	in := &verify.PolicyInput{
		Operation: "create", Workspace: "default/obuk", Remote: "192.0.2.1", Now: time.Now(),
		Request: object(b, `{"iss":"s","exp":1772370000,"iat":1772369000}`),
		SSA: object(b, `{"org_status":"Active","software_id":"s","software_mode":"Live","software_environment":"sandbox","software_roles":["AISP","PISP"],"software_client_name":"x","iss":"OpenBanking Ltd",
		"software_on_behalf_of_org":null,"organisation_competent_authority_claims":{"authority_id":"FCAGBR","registration_id":"1","status":"Active","authorisations":[{"member_state":"GB","roles":["AISP"]}]}}`),
		Registration: &verify.Metadata{TokenEndpointAuthMethod: "tls_client_auth", GrantTypes: []string{"authorization_code", "client_credentials"}, RequestObjectSigningAlg: "PS256"},
		Certificate:  &verify.PolicyCertificate{Subject: "CN=x,C=GB", OrganizationIdentifier: "PSDGB-FCA-123456", NotAfter: time.Now().Add(99 * time.Hour)},
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := verify.Evaluate(b.Context(), p, in, time.Minute); !d.Allowed {
			b.Fatal(d)
		}
	}
}

// What can be shown to cost little is not counted, whatever is in it.
func TestCheapExpressionsAreNotMetered(t *testing.T) {
	twenty, err := os.ReadFile("../../integration/cmd/bench/policies/twenty.cel")
	if err != nil {
		t.Fatal(err)
	}
	for expression, uncounted := range map[string]bool{
		string(twenty):                       true,
		`true`:                               true,
		`ssa.org_status == "Active"`:         true,
		`ssa.roles.all(r, r in ["A"])`:       true,
		`certificate.subject.matches("^x$")`: true,
		`ssa.?a.orValue("") == "x"`:          true,
		`ssa.x.all(a, ssa.y.all(b, a != b))`: false,
		`ssa.x.split(",").size() > 1`:        false,
		`sets.contains(["a"], ssa.roles)`:    false,
	} {
		if p := load(t, expression); (p.program.uncounted != nil) != uncounted {
			t.Errorf("%s: got uncounted %t, want %t", expression, !uncounted, uncounted)
		}
	}
}

// A claim that is longer than usual makes the rest count again.
func TestLongInputIsMetered(t *testing.T) {
	in := input(t)
	if !isTypical(in) {
		t.Error("an input of the usual size")
	}
	in.Request = in.Request.With(bulky, []byte(`"`+strings.Repeat("x", 3*typicalTextLength)+`"`))
	if !isTypical(in) {
		t.Error("the software statement is long in every request")
	}
	long := []byte(`"` + strings.Repeat("x", typicalTextLength) + `"`)
	for name, change := range map[string]func(*verify.PolicyInput){
		"request": func(in *verify.PolicyInput) { in.Request = in.Request.With("x", long) },
		"ssa":     func(in *verify.PolicyInput) { in.SSA = in.SSA.With("x", long) },
		"token":   func(in *verify.PolicyInput) { in.Token.Claims = in.Token.Claims.With("x", long) },
	} {
		in := input(t)
		if change(in); isTypical(in) {
			t.Errorf("a long claim of %s: got a typical input, want none", name)
		}
		p := &Policy{Expression: `ssa.org_status == "Active"`, CostLimit: 10}
		if err := p.Provision(caddy.Context{}); err != nil || p.program.uncounted == nil {
			t.Fatal(err)
		}
		if d := verify.Evaluate(t.Context(), p, in, time.Minute); !d.Allowed {
			t.Errorf("%s: got %+v, want it allowed", name, d)
		}
	}
}
