package rego

import (
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Whatever a rule reads and a request lacks must not let it in: each of these policies
// would, if a rule that does not hold were all that came of it.
func TestMissingInputDenies(t *testing.T) {
	for text, want := range map[string]string{
		`deny contains "x" if input.ssa.gone != "Active"`:                                        `reads input.ssa.gone, which the request does not have; read it as object.get(input.ssa, "gone", "")`,
		`deny contains "x" if input["ssa"]["gone"] != "Active"`:                                  "input.ssa.gone",
		`deny contains "x" if input.request.gone != "Active"`:                                    "input.request.gone",
		`deny contains "x" if input.token.claims.gone != "Active"`:                               `object.get(input.token.claims, "gone", "")`,
		`deny contains "x" if input.ssa.org.gone != "Active"`:                                    `object.get(input.ssa, ["org", "gone"], "")`,
		`deny contains "x" if input.ssa.org_id.gone != "Active"`:                                 "input.ssa.org_id.gone",
		`deny contains "x" if input.ssa.software_roles[7] == "x"`:                                "input.ssa.software_roles[7]",
		`deny contains "x" if not f(input.ssa.gone)` + "\nf(s) if s == 1":                        "input.ssa.gone",
		`deny contains "x" if f(input.ssa.gone)` + "\nf(s) if s == 1":                            "input.ssa.gone",
		`deny contains "x" if { some r in input.ssa.gone; r == "x" }`:                            "input.ssa.gone",
		`deny contains "x" if { some r in input.ssa.org_id; r == "x" }`:                          "elements of input.ssa.org_id",
		`deny contains "x" if { some i, r in input.ssa.org_id; r == i }`:                         "elements of input.ssa.org_id",
		`deny contains "x" if { some "gone", r in input.ssa.org; r == "x" }`:                     "input.ssa.org.gone",
		`deny contains "x" if "gone", "x" in input.ssa.org`:                                      "input.ssa.org.gone",
		`deny contains "x" if { some 7, r in input.ssa.software_roles; r == "x" }`:               "input.ssa.software_roles[7]",
		`deny contains "x" if { input.ssa.org_id[_] == "x" }`:                                    "elements of input.ssa.org_id",
		`deny contains "x" if "x" in input.ssa.org_id`:                                           "elements of input.ssa.org_id",
		`deny contains "x" if { every r in input.ssa.org_id { r == "x" } }`:                      "elements of input.ssa.org_id",
		`deny contains "x" if { every r in input.ssa.gone { r == "x" } }`:                        "input.ssa.gone",
		`deny contains "x" if { every r in [1] { input.ssa.gone == r } }`:                        "input.ssa.gone",
		`deny contains "x" if { x := input.ssa.gone; x != "y" }`:                                 "input.ssa.gone",
		`deny contains "x" if { [x, _] = [input.ssa.gone, 1]; x != "y" }`:                        "input.ssa.gone",
		`deny contains "x" if { x := {"a": input.ssa.gone}; x.a != "y" }`:                        "input.ssa.gone",
		`deny contains "x" if { x := {"a"} & {input.ssa.gone}; count(x) > 0 }`:                   "input.ssa.gone",
		`deny contains "x" if { x := [y | y := input.ssa.gone]; x[0] == 1 }`:                     "input.ssa.gone",
		`deny contains "x" if { x := {y: 1 | y := input.ssa.gone}; x[1] }`:                       "input.ssa.gone",
		`deny contains "x" if { {"a": 1}[input.ssa.gone] == 1 }`:                                 "input.ssa.gone",
		`deny contains "x" if object.get({"a": 1}, input.ssa.gone, 0) == 1`:                      "input.ssa.gone",
		`deny contains "x" if object.get(input.ssa, [input.ssa.gone], 1) == 1`:                   "input.ssa.gone",
		`deny contains "x" if object.get(input.ssa, "a", input.ssa.gone) == 1`:                   "input.ssa.gone",
		`deny contains "x" if object.get(input.ssa.gone, "a", 1) == 1`:                           "input.ssa.gone",
		`deny contains "x" if object.get(input.ssa.gone[_], "a", 1) == 1`:                        "input.ssa.gone",
		`deny contains "x" if count(input.ssa.gone) == 0`:                                        "input.ssa.gone",
		"deny contains \"x\" if input[`ssa`][`gone`] == 1":                                       "input.ssa.gone",
		`deny contains "x" if (input.ssa.gone) == 1`:                                             "input.ssa.gone",
		`deny contains "x" if input.ssa.gone + 1 > 2`:                                            "input.ssa.gone",
		`deny contains "x" if input.ssa.gone in {"a"}`:                                           "input.ssa.gone",
		`deny contains "x" if [1, 2][input.ssa.gone] == 1`:                                       "input.ssa.gone",
		`deny contains "x" if [input.ssa.gone][_] == 1`:                                          "input.ssa.gone",
		`deny contains "x" if input.ssa.gone`:                                                    "input.ssa.gone",
		`deny contains "x" if { not input.ssa.gone.x.y == 1; input.operation == "read" }`:        "input.ssa.gone.x.y",
		`deny contains "x" if { b := input.ssa.gone; a := b; a != 1 }`:                           "input.ssa.gone",
		`deny contains "x" if { [1 | input.ssa.gone == 1] == [1] }`:                              "input.ssa.gone",
		`deny contains {"text": "x", "reason": input.ssa.gone}`:                                  "input.ssa.gone",
		`deny contains "x" if input.request.deep.a[_].b == false`:                                "reads input.request.deep.a[_].b, which the request does not have; read it as object.get(input.request.deep.a[_], \"b\", \"\")",
		`deny contains "x" if { some x in input.ssa.software_roles[_]; x == 1 }`:                 "elements of input.ssa.software_roles[_]",
		`deny contains "x" if input.ssa.software_roles[_][_] == "x"`:                             "elements of input.ssa.software_roles[_][_]",
		`deny contains "x" if { a := input.ssa.org; a.gone == 1 }`:                               "input.ssa.org.gone",
		`deny contains "x" if { a = input.ssa.org; b := a; b.gone == 1 }`:                        "input.ssa.org.gone",
		`deny contains "x" if { a := input.ssa.org; object.get(a.gone, "x", 1) == 1 }`:           "input.ssa.org.gone",
		`deny contains "x" if { a := input.ssa.org_id; "x" in a }`:                               "elements of input.ssa.org_id",
		`deny contains "x" if { a := input.ssa.org_id; some x in a; x == 1 }`:                    "elements of input.ssa.org_id",
		`deny contains "x" if { some a in input.request.deep.a; a.b == false }`:                  "input.request.deep.a[_].b",
		`deny contains "x" if { some _, a in input.request.deep.a; a.b == false }`:               "input.request.deep.a[_].b",
		`allow if { every a in input.request.deep.a { not a.b == false } }`:                      "input.request.deep.a[_].b",
		`deny contains "x" if { count([a | some a in input.request.deep.a; a.b == false]) > 0 }`: "input.request.deep.a[_].b",
		`deny contains "x" if o.gone == 1` + "\no := input.ssa.org":                              "input.ssa.org.gone",
		`deny contains "x" if { a := o; a.gone == 1 }` + "\no := input.ssa.org if true":          "input.ssa.org.gone",
		`deny contains input.ssa.gone`:                                                           "input.ssa.gone",
		`deny contains $"{input.ssa.gone}" if input.operation == "read"`:                         "input.ssa.gone",
		`deny contains "x" if $"{input.ssa.gone}" == "y"`:                                        "input.ssa.gone",
		`deny contains "x" if a.b` + "\na[x] := true if x := input.ssa.gone":                     "input.ssa.gone",
		`deny contains "x" if a.b` + "\na[input.ssa.gone] := true":                               "input.ssa.gone",
		`deny contains "x" if a` + "\na := false if { false } else := input.ssa.gone":            "input.ssa.gone",
		`deny contains "x" if a` + "\na := true if input.ssa.gone":                               "input.ssa.gone",
		`deny contains "x" if a == 1` + "\ndefault a := 0\na := 1 if input.ssa.gone == 1":        "input.ssa.gone",
		`deny contains "x" if f(1)` + "\nf(x) := input.ssa.gone if x == 1":                       "input.ssa.gone",
		`deny contains "x" if not a` + "\na if not input.ssa.gone == 1":                          "input.ssa.gone",
		`allow if { not input.ssa.gone != "Active" }`:                                            "input.ssa.gone",
		`allow if input.ssa.gone == "Active"`:                                                    "input.ssa.gone",
		"allow := true\nnarrow := {\"scopes\": [\"openid\"]} if input.ssa.gone == 1":             "input.ssa.gone",
	} {
		t.Run(text, func(t *testing.T) {
			d := ask(t, load(t, text), input(t))
			if d.Allowed || d.Fault == nil || !strings.Contains(d.Reason, want) || !strings.Contains(d.Reason, "dcr.rego:") {
				t.Errorf("%+v, want %s", d, want)
			}
		})
	}
}

// Null is what there is none of.
func TestReadingBelowNullDenies(t *testing.T) {
	without := input(t)
	without.Certificate, without.Token, without.Registration = nil, nil, nil
	registered := input(t)
	registered.Client = &verify.PolicyClient{ClientID: "c"}
	for _, test := range []struct {
		text  string
		in    *verify.PolicyInput
		fault string
	}{
		{`deny contains "x" if input.certificate.subject == "x"`, without, `reads below input.certificate, which is null`},
		{`allow if not input.certificate.qwac`, without, "below input.certificate"},
		{`deny contains "x" if { some r in input.certificate.psd2_roles; r == "x" }`, without, "below input.certificate"},
		{`deny contains "x" if object.get(input.certificate, "qwac", true)`, without, "below input.certificate"},
		{`deny contains "x" if input.token.client_id == "x"`, without, "below input.token"},
		{`deny contains "x" if input.token.claims.env == "x"`, without, "below input.token"},
		{`allow if not input.token.claims.env`, without, "below input.token"},
		{`deny contains "x" if object.get(input.token.claims, "x", "") == "x"`, without, "below input.token"},
		{`deny contains "x" if object.get(input, ["token", "claims", "x"], "") == "x"`, without, ""},
		{`deny contains "x" if object.get(input, ["certificate", "qwac"], false)`, without, ""},
		{`deny contains "x" if input.registration.scope == "x"`, without, ""},
		{`deny contains "x" if input.client.client_id == "x"`, without, ""},
		{`deny contains "x" if input.client.metadata.scope == "x"`, without, ""},
		{`deny contains "x" if input.client.metadata.scope == "x"`, registered, "below input.client.metadata"},
		{`deny contains "x" if input.certificate.psd2_roles[5] == "x"`, registered, "input.certificate.psd2_roles[5]"},
	} {
		t.Run(test.text, func(t *testing.T) {
			d := ask(t, load(t, test.text), test.in)
			if d.Allowed != (test.fault == "") || !strings.Contains(d.Reason, test.fault) {
				t.Errorf("%+v, want %s", d, test.fault)
			}
		})
	}
}

// What cannot be followed, or means something else than it says, does not load.
func TestMisleadingRulesDoNotLoad(t *testing.T) {
	doNotLoad(t, map[string]string{
		`deny contains "x" if input.sssa.org_id == "x"`:                                                                 "dcr.rego:3: rego_type_error: undefined ref: input.sssa.org_id",
		`deny contains "x" if input.certificate.thumprint == "x"`:                                                       "dcr.rego:3: rego_type_error: undefined ref: input.certificate.thumprint",
		`deny contains "x" if input.client.metadata.scop == "x"`:                                                        "undefined ref",
		`deny contains "x" if input.certificate.psd2_roles == "x"`:                                                      "match error",
		`deny contains "x" if input.operation == 5`:                                                                     "match error",
		`deny contains "x" if input.operation.x == 5`:                                                                   "undefined ref",
		`deny contains "x" if object.get(input, "sssa", 1) == 1`:                                                        "input has no sssa; it has operation, workspace",
		`deny contains "x" if object.get(input, ["certificate", "thumprint"], 1) == 1`:                                  "input.certificate has no thumprint",
		`deny contains "x" if object.get(input.certificate, "thumprint", 1) == 1`:                                       "input.certificate has no thumprint",
		`deny contains "x" if object.get(input, "ssa", {}) == {}`:                                                       "input.ssa as a value",
		`deny contains "x" if object.get(input, ["ssa"], {}).x == 1`:                                                    "input.ssa as a value",
		`deny contains "x" if object.get(input, [], {}).x == 1`:                                                         "the key must be",
		`deny contains "x" if object.get(input.ssa, [], {}).x == 1`:                                                     "the key must be",
		`deny contains "x" if { k := []; object.get(input.ssa, k, {}).x == 1 }`:                                         "the key must be",
		`deny contains "x" if { k := "ssa"; object.get(input, [k], {}).x == 1 }`:                                        "cannot be followed",
		`deny contains "x" if object.get(input.ssa[input.operation], "x", 1) == 1`:                                      "cannot be followed",
		`deny contains "x" if { s := input.ssa; s.x == 1 }`:                                                             "dcr.rego:3: rego_compile_error: input.ssa as a value cannot be followed; read its members by their names, or as object.get",
		`deny contains "x" if { s = input.ssa; s.x == 1 }`:                                                              "input.ssa as a value",
		`deny contains "x" if { [s] := [input.ssa]; s.x == 1 }`:                                                         "input.ssa as a value",
		`deny contains "x" if { {"x": s} = input.ssa; s == 1 }`:                                                         "input.ssa as a value",
		`deny contains "x" if { {"ssa": {"x": s}} = input; s == 1 }`:                                                    "match error",
		`deny contains "x" if { i := input; i.ssa.x == 1 }`:                                                             "input as a value",
		`deny contains "x" if { s := {1: input.ssa}; s[1].x == 1 }`:                                                     "input.ssa as a value",
		`deny contains "x" if { c := input.certificate; c.subject == "x" }`:                                             "input.certificate as a value",
		`deny contains "x" if { t := input.token; t.claims.x == 1 }`:                                                    "input.token as a value",
		`deny contains "x" if { t := input.token.claims; t.x == 1 }`:                                                    "input.token.claims as a value",
		`deny contains "x" if f(input.ssa)` + "\nf(s) if s.x == 1":                                                      "input.ssa as a value",
		`deny contains "x" if f(input)` + "\nf(s) if s.ssa.x == 1":                                                      "input as a value",
		`deny contains "x" if input.ssa`:                                                                                "input.ssa as a value",
		`deny contains "x" if not input.ssa`:                                                                            "input.ssa as a value",
		`deny contains "x" if s.x == 1` + "\ns := input.ssa":                                                            "input.ssa as a value",
		`deny contains "x" if s.ssa.x == 1` + "\ns := input":                                                            "input as a value",
		`deny contains "x" if s.x == 1` + "\ns := 1 if { false } else := input.ssa":                                     "input.ssa as a value",
		`deny contains "x" if { some k, v in input.ssa; k == v }`:                                                       "input.ssa as a value",
		`deny contains "x" if { some k, v in input; k == v }`:                                                           "input as a value",
		`deny contains "x" if { every k, v in input.ssa { k == v } }`:                                                   "input.ssa as a value",
		`deny contains "x" if { every k, v in input { k == v } }`:                                                       "input as a value",
		`deny contains "x" if { "x" in input.ssa }`:                                                                     "input.ssa as a value",
		`deny contains "x" if { walk(input, [["ssa", "x"], 1]) }`:                                                       "input as a value",
		`deny contains "x" if { walk(input.ssa, [["x"], 1]) }`:                                                          "input.ssa as a value",
		`deny contains "x" if { json.filter(input.ssa, ["x"]) == {} }`:                                                  "input.ssa as a value",
		`deny contains "x" if { json.unmarshal(json.marshal(input)).ssa.x == 1 }`:                                       "input as a value",
		`deny contains "x" if { x := "ssa"; input[x].y == 1 }`:                                                          "input[x].y: which member of input it is cannot be followed",
		`deny contains "x" if { input[_].y == 1 }`:                                                                      "cannot be followed",
		`deny contains "x" if { x := "y"; input.ssa[x] == 1 }`:                                                          "which claim it is cannot be followed",
		`deny contains "x" if { some x; input.ssa[x] == 1 }`:                                                            "which claim it is cannot be followed",
		`deny contains "x" if { input.ssa[input.operation] == 1 }`:                                                      "which claim it is cannot be followed",
		`deny contains "x" if { not input.ssa[input.operation] }`:                                                       "which claim it is cannot be followed",
		`deny contains "x" if { x := "y"; input.certificate[x] == "1" }`:                                                "cannot be followed",
		`deny contains "x" if a with input as {"ssa": {}}` + "\na if input.ssa.x == 1":                                  "with belongs in tests",
		`deny contains "x" if a with input.ssa as {}` + "\na if input.ssa.x == 1":                                       "with belongs in tests",
		`deny contains "x" if a with data.b as input.ssa` + "\na if data.b.x == 1":                                      "with belongs in tests",
		`deny contains "x" if object.get(input.ssa, "x", 1) == 1 with object.get as f` + "\nf(_, _, _) := 2":            "with belongs in tests",
		`deny contains "x" if [1 | a with input as {}][0] == 1` + "\na if true":                                         "with belongs in tests",
		`deny contains "x" if [input.ssa][_].x == 1`:                                                                    "input.ssa as a value",
		`deny contains "x" if {"a": input.ssa}.a.x == 1`:                                                                "input.ssa as a value",
		`deny contains "x" if { some s in [input.ssa]; s.x == 1 }`:                                                      "input.ssa as a value",
		`deny contains "x" if { s := {t | t := input.ssa}; s[_].x == 1 }`:                                               "input.ssa as a value",
		`deny contains "x" if { s := {"a": input.ssa | true}; s.a.x == 1 }`:                                             "input.ssa as a value",
		`deny contains "x" if data.openbanking_dcr.a[input.ssa]` + "\na[x] := true if some x in [1, {}]":                "input.ssa as a value",
		"deny contains \"x\" if { x := `y`; input[`ssa`][x] == 1 }":                                                     "which claim it is",
		`deny contains "x" if { x := null; c := input.certificate == x; c }`:                                            "as a value",
		`deny contains "x" if object.union(input.ssa, {}).x == 1`:                                                       "input.ssa as a value",
		`deny contains "x" if { s := object.get({"a": input.ssa}, "a", {}); s.x == 1 }`:                                 "input.ssa as a value",
		`deny contains "x" if $"{input.ssa}" == "x"`:                                                                    "input.ssa as a value",
		`deny contains "x" if count(a) > 0` + "\na[input.ssa] := true":                                                  "input.ssa as a value",
		`deny contains "x" if f(1)` + "\nf(_) := input.ssa":                                                             "input.ssa as a value",
		`deny contains "x" if f(1)` + "\nf(input.ssa) := true":                                                          "unsafe",
		`deny contains "x" if input.ssa.org[input.operation] == 1`:                                                      "which member of a claim input.operation is",
		`deny contains "x" if not input.ssa.org[input.operation]`:                                                       "which member of a claim input.operation is",
		`deny contains "x" if input.ssa.org[lower("X")] == 1`:                                                           "cannot be followed",
		`deny contains "x" if { x := "y"; input.ssa.org[x] == 1 }`:                                                      "which member of a claim x is",
		`deny contains "x" if { x = "y"; input.ssa.org[x] == 1 }`:                                                       "which member of a claim x is",
		`deny contains "x" if { [x] = ["y"]; input.ssa.org[x] == 1 }`:                                                   "which member of a claim x is",
		`deny contains "x" if { some x in ["y"]; input.ssa.org[x] == 1 }`:                                               "which member of a claim x is",
		`deny contains "x" if { some x, _ in {"y": 1}; input.ssa.org[x] == 1 }`:                                         "which member of a claim x is",
		`deny contains "x" if { every x in ["y"] { input.ssa.org[x] == 1 } }`:                                           "which member of a claim x is",
		`deny contains "x" if f("y")` + "\nf(x) if input.ssa.org[x] == 1":                                               "which member of a claim x is",
		`deny contains "x" if input.ssa.org[x] == 1` + "\nx := \"y\"":                                                   "which member of a claim x is",
		`deny contains "x" if { x := 5; input.certificate.psd2_roles[x] == "y" }`:                                       "which element of input.certificate.psd2_roles it is",
		`deny contains "x" if { {"y": 1}[x] == 1; input.ssa.org[x] == 1 }`:                                              "which member of a claim x is",
		`deny contains "x" if { some i; input.ssa.software_roles[i] == input.request.grant_types[i] }`:                  "which member of a claim i is",
		`deny contains "x" if { some x; ["y"][_] = x; input.ssa.org[x] == 1 }`:                                          "which member of a claim x is",
		`deny contains "x" if { walk(["y"], [_, x]); input.ssa.org[x] == 1 }`:                                           "which member of a claim x is",
		`deny contains "x" if { a := input.ssa.org; x := "y"; a[x] == 1 }`:                                              "which member of a claim x is",
		`allow if { q := input.certificate.subject; q }`:                                                                "input.certificate.subject is always there",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) if f(o.x)":                                                    "recursive",
		`deny contains "x" if { some i; input.request.deep.a[i].b == false }`:                                           "which member of a claim i is",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) if o.gone == 1":                                               ": what an argument of a function has cannot be followed",
		`deny contains "x" if f(1, input.ssa.org) == 1` + "\nf(_, o) := g(o)\ng(o) := o.gone":                           ": what an argument of a function has cannot be followed",
		`deny contains "x" if { some a in input.request.deep.a; data.openbanking_dcr.f(a) }` + "\nf(o) if o.b == false": ": what an argument of a function has cannot be followed",
		`import data.openbanking_dcr.f as h` + "\n" + `deny contains "x" if h(input.ssa.org)` + "\nf(o) if o.gone == 1": ": what an argument of a function has cannot be followed",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) := true if { o == 1 } else := true if o.gone == 1":            ": what an argument of a function has cannot be followed",
		`deny contains "x" if h.f(input.ssa.org)` + "\nh.f(o) if o.gone == 1":                                           ": what an argument of a function has cannot be followed",
		`deny contains "x" if { some i; input.ssa.software_roles[i] == "x" }`:                                           "input.ssa.software_roles[i]: which member of a claim i is cannot be followed; go through all with [_] or in, or read it with object.get and a default",
		`deny contains "x" if { some i; input.certificate.psd2_roles[i] == "x" }`:                                       "which element of input.certificate.psd2_roles it is cannot be followed; go through all with [_] or in",
		`deny contains "x" if f(input.ssa.software_roles)` + "\nf(roles) if { some r in roles; r == \"x\" }":            "roles: which elements an argument of a function has cannot be followed; go through them where it is called",
		`deny contains "x" if f(input.ssa.software_roles)` + "\nf(roles) if \"x\" in roles":                             "roles: which elements",
		`deny contains "x" if f(input.ssa.software_roles)` + "\nf(roles) if { every r in roles { r == \"x\" } }":        "roles: which elements",
		`deny contains "x" if f(input.ssa.software_roles)` + "\nf(roles) if roles[_] == \"x\"":                          "roles[_]: what an argument",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) if { a := o; a.gone == 1 }":                                   "dcr.rego:4: rego_compile_error: o.gone: what an argument of a function has cannot be followed; read it where it is called, or as object.get(o, ..., default)",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) if object.get(o.gone, \"x\", 1) == 1":                         "o.gone: what an argument",
		`deny contains "x" if f([input.ssa.org])` + "\nf([o]) if o.gone == 1":                                           "o.gone: what an argument",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) if not o[input.operation]":                                    "what an argument",
		`deny contains "x" if f(input.ssa.org)` + "\nf(o) if { x := \"y\"; not o[x] }":                                  "what an argument",
		`import input.ssa` + "\n" + `deny contains "x" if ssa.x == 1`:                                                   "import input.ssa: what is read",
		`import input.ssa as s` + "\n" + `deny contains "x" if s.x == 1`:                                                "import input.ssa: what is read",
		`import input as i` + "\n" + `deny contains "x" if i.ssa.x == 1`:                                                "import input: what is read",
		`import input` + "\n" + `deny contains "x" if input.ssa.x == 1`:                                                 "import input",
		`import data.object` + "\n" + `deny contains "x" if object.x == 1`:                                              "the name object is taken",
		`deny contains "x" if object.get(input.ssa, "x", 1) == 1` + "\nobject.get(s, x, _) := s[x]":                     "the name object is taken",
		`deny contains "x" if is_null(input.certificate)` + "\nis_null(c) if c.x == 1":                                  "the name is_null is taken",
		`deny contains "x" if { input := {"ssa": 1}; input.ssa == 1 }`:                                                  "shadow input",
		`deny contains "x" if f(1)` + "\nf(input) if input.ssa.x == 1":                                                  "shadow input",
		`deny contains "x" if not input.certificate`:                                                                    "as a value",
		`deny contains "x" if input.certificate`:                                                                        "as a value",
		`deny contains "x" if not input.registration.tls_client_auth_san_dns`:                                           "is always there, and is no condition",
		`allow if input.registration.scope`:                                                                             "is always there, and is no condition",
		`deny contains "x" if not input.registration.backchannel_user_code_parameter_supported`:                         "is always there",
		`deny contains "x" if not input.certificate.psd2_roles`:                                                         "is always there",
		`deny contains "x" if input.ssa == null`:                                                                        "input.ssa is never null",
		`deny contains "x" if print(input.ssa)`:                                                                         "input.ssa as a value",
		`deny contains "x" if data.lists.blocked[input.ssa.org_id]`:                                                     "data.lists.blocked: there is no such rule",
		`deny contains "x" if { some b in data.blocked; b == input.ssa.org_id }`:                                        "there is no such rule",
		`import data.lists` + "\n" + `deny contains "x" if lists.blocked[input.ssa.org_id]`:                             "there is no such rule",
	})
}

// doNotLoad holds the errors of policies.
func doNotLoad(t *testing.T, policies map[string]string) {
	t.Helper()
	for text, want := range policies {
		t.Run(text, func(t *testing.T) {
			p, err := provisioned(t, text)
			if err == nil {
				t.Errorf("loads, and says %+v; want %s", ask(t, p, input(t)), want)
			} else if !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want %s", err, want)
			}
		})
	}
}
