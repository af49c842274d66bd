package rego

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestClaimsInOtherValuesAreNotReadBelow: a claim that a rule has put into a value of its
// own, or got back from a function, is read no further: whether the request has what is read
// there, nobody would look.
func TestClaimsInOtherValuesAreNotReadBelow(t *testing.T) {
	doNotLoad(t, map[string]string{
		`deny contains "x" if { a := [input.ssa.org]; a[0].gone == 1 }`:                                                         "a[0].gone: a[0] is a claim, and what it has cannot be followed; read it from input, or with object.get and a default",
		`deny contains "x" if { a := [input.ssa.org_id]; some b in a[0]; b == "x" }`:                                            "a[0] is a claim",
		`deny contains "x" if { a := [input.ssa.org_id]; "x" in a[0] }`:                                                         "a[0] is a claim",
		`deny contains "x" if { a := [input.ssa.org_id]; every b in a[0] { b == "x" } }`:                                        "a[0] is a claim",
		`deny contains "x" if [input.ssa.org][_].gone == 1`:                                                                     "[input.ssa.org][_] is a claim",
		`deny contains "x" if { a := [[1, input.ssa.org]]; a[0][1].gone == 1 }`:                                                 "a[0][1] is a claim",
		`deny contains "x" if { a := {"b": input.ssa.org}; a.b.gone == 1 }`:                                                     "a.b is a claim",
		`deny contains "x" if { a := {"b": input.ssa.org}; not a.b[input.operation] }`:                                          "a.b is a claim",
		`deny contains "x" if { a := {"b": input.ssa.org}; not a.b.gone != 1 }`:                                                 "a.b is a claim",
		`deny contains "x" if {"b": input.ssa.org}["b"].gone == 1`:                                                              "is a claim",
		`deny contains "x" if { a := {input.ssa.org: 1}; some b, _ in a; b.gone == 1 }`:                                         "b is a claim",
		`deny contains "x" if { a := {input.ssa.org}; some b in a; b.gone == 1 }`:                                               "b is a claim",
		`deny contains "x" if { a := {input.ssa.org}; a[b]; b.gone == 1 }`:                                                      "b is a claim",
		`deny contains "x" if { a := [b | b := input.ssa.org]; a[0].gone == 1 }`:                                                "a[0] is a claim",
		`deny contains "x" if { a := {b | b := input.ssa.org}; some c in a; c.gone == 1 }`:                                      "c is a claim",
		`deny contains "x" if { a := {"x": b | b := input.ssa.org}; a.x.gone == 1 }`:                                            "a.x is a claim",
		`deny contains "x" if { a := {b: 1 | b := input.ssa.org}; a[c]; c.gone == 1 }`:                                          "c is a claim",
		`deny contains "x" if { some a in [input.ssa.org]; a.gone == 1 }`:                                                       "a is a claim",
		`deny contains "x" if { some [_, a] in [[1, input.ssa.org]]; a.gone == 1 }`:                                             "a is a claim",
		`deny contains "x" if { every a in [input.ssa.org] { a.gone == 1 } }`:                                                   "a is a claim",
		`deny contains "x" if { every a, _ in {input.ssa.org: 1} { a.gone == 1 } }`:                                             "a is a claim",
		`deny contains "x" if { [a] := [input.ssa.org]; a.gone == 1 }`:                                                          "a is a claim",
		`deny contains "x" if { {"b": a} = {"b": input.ssa.org}; a.gone == 1 }`:                                                 "a is a claim",
		`deny contains "x" if { {"b": input.ssa.org} = {"b": a}; a.gone == 1 }`:                                                 "a is a claim",
		`deny contains "x" if { a := [input.ssa.org]; b := a[0]; b.gone == 1 }`:                                                 "b is a claim",
		`deny contains "x" if { a := [input.ssa.org]; b := a; c := [b]; c[0][0].gone == 1 }`:                                    "c[0][0] is a claim",
		`deny contains "x" if { a := [input.ssa.org]; b = a[0]; b.gone == 1 }`:                                                  "b is a claim",
		`deny contains "x" if { o := input.ssa.org; a := [o]; a[0].gone == 1 }`:                                                 "a[0] is a claim",
		`deny contains "x" if { a := object.get(input.ssa, "org", {}); a.gone == 1 }`:                                           "a is a claim",
		`deny contains "x" if { a := object.get(input.ssa, "org", {}); not a.gone != 1 }`:                                       "a is a claim",
		`deny contains "x" if { object.get(input.ssa, "org", {}, a); a.gone == 1 }`:                                             "a is a claim",
		`deny contains "x" if object.get(input.ssa, "org", {}).gone == 1`:                                                       "is a claim",
		`deny contains "x" if { some a in object.get(input.ssa, "list", []); a.gone == 1 }`:                                     "a is a claim",
		`deny contains "x" if { a := object.union(input.ssa.org, {}); a.gone == 1 }`:                                            "a is a claim",
		`deny contains "x" if { a := array.concat([1], [input.ssa.org]); a[1].gone == 1 }`:                                      "a is a claim",
		`deny contains "x" if { walk(input.ssa.org, [_, a]); a.gone == 1 }`:                                                     "a is a claim",
		`deny contains "x" if { a := json.unmarshal(input.ssa.text); a.gone == 1 }`:                                             "a is a claim",
		`deny contains "x" if { [_, a, _] := io.jwt.decode(input.ssa.jwt); a.gone == 1 }`:                                       "a is a claim",
		`deny contains "x" if { a := f(input.ssa.org); a.gone == 1 }` + "\nf(o) := o":                                           "a is a claim",
		`deny contains "x" if f(input.ssa.org).gone == 1` + "\nf(o) := o":                                                       "is a claim",
		`deny contains "x" if { f(input.ssa.org, a); a.gone == 1 }` + "\nf(o) := o":                                             "a is a claim",
		`deny contains "x" if { a := f(1); a.gone == 1 }` + "\nf(_) := input.ssa.org":                                           "a is a claim",
		`deny contains "x" if { a := f(input.ssa.org); a.b.gone == 1 }` + "\nf(o) := {\"b\": o}":                                "a.b is a claim",
		`deny contains "x" if f([input.ssa.org])` + "\nf(a) if { [b] := a; b.gone == 1 }":                                       "b is a claim",
		`deny contains "x" if { a := h.f(input.ssa.org); a.gone == 1 }` + "\nh.f(o) := o":                                       "a is a claim",
		`deny contains "x" if data.openbanking_dcr.a.gone == 1` + "\na := input.ssa.org":                                        "data.openbanking_dcr.a is a claim",
		`deny contains "x" if data.openbanking_dcr["a"].gone == 1` + "\na := input.ssa.org":                                     "data.openbanking_dcr.a is a claim",
		`deny contains "x" if { a := data.openbanking_dcr.b; a.gone == 1 }` + "\nb := input.ssa.org":                            "a is a claim",
		`import data.openbanking_dcr.b as a` + "\n" + `deny contains "x" if a.gone == 1` + "\nb := input.ssa.org":               "a is a claim",
		`import data.openbanking_dcr as p` + "\n" + `deny contains "x" if p.a.gone == 1` + "\na := input.ssa.org":               "p.a is a claim",
		`deny contains "x" if a.gone == 1` + "\na := b\nb := input.ssa.org":                                                     "a is a claim",
		`deny contains "x" if a.gone == 1` + "\na := b if { b := input.ssa.org }":                                               "a is a claim",
		`deny contains "x" if a.gone == 1` + "\na := input.ssa.org if { input.ssa.x } else := input.ssa.other":                  "a is a claim",
		`deny contains "x" if a.gone == 1` + "\na := [1] if { input.ssa.x } else := input.ssa.other":                            "a is a claim",
		`deny contains "x" if a.b.gone == 1` + "\na[\"b\"] := input.ssa.org":                                                    "a.b is a claim",
		`deny contains "x" if a.b.gone == 1` + "\na.b := input.ssa.org":                                                         "a.b is a claim",
		`deny contains "x" if a.b.c.gone == 1` + "\na.b[x] := input.ssa.org if x := \"c\"":                                      "a.b.c is a claim",
		`deny contains "x" if { some b in a; b.gone == 1 }` + "\na contains input.ssa.org":                                      "b is a claim",
		`deny contains "x" if { a[b]; b.gone == 1 }` + "\na contains input.ssa.org":                                             "b is a claim",
		`deny contains "x" if { a[b]; b.gone == 1 }` + "\na[input.ssa.org] := true":                                             "b is a claim",
		`deny contains "x" if { some b in a; b.gone == 1 }` + "\na contains b if some b in [input.ssa.org]":                     "b is a claim",
		`deny contains "x" if c.gone == 1` + "\na := [input.ssa.org]\nb := a\nc := b[0]":                                        "c is a claim",
		`deny contains "x" if json.unmarshal(json.marshal(input.ssa.org)).gone == 1`:                                            "is a claim",
		`deny contains "x" if { a := json.unmarshal(trim_space(object.get(input.ssa, "a", "{}"))); a.gone == 1 }`:               "a is a claim",
		`deny contains "x" if { a := split(json.marshal(input.ssa.org), "|"); json.unmarshal(a[0]).gone == 1 }`:                 "is a claim",
		`deny contains "x" if json.unmarshal($"{input.ssa.org}").gone == 1`:                                                     "is a claim",
		`deny contains "x" if lower(input.ssa.org).gone == 1` + "\nlower(o) := o":                                               "is a claim",
		`deny contains "x" if { split(input.ssa.org, a); a.gone == 1 }` + "\nsplit(o) := o":                                     "a is a claim",
		`deny contains "x" if strings.reverse(input.ssa.org).gone == 1` + "\nstrings.reverse(o) := o":                           "is a claim",
		`import data.openbanking_dcr.f as lower` + "\n" + `deny contains "x" if lower(input.ssa.org).gone == 1` + "\nf(o) := o": "is a claim",
		`deny contains "x" if { {"gone": a} = input.ssa.org; a == 1 }`:                                                          `{"gone": a}: which elements or members a claim has cannot be followed by a pattern`,
		`deny contains "x" if { a := {"b": input.ssa.org}; {"b": {"gone": b}} := a; b == 1 }`:                                   `{"gone": b}: which elements`,
		`deny contains "x" if { some {"gone": a} in [input.ssa.org]; a == 1 }`:                                                  `{"gone": a}: which elements`,
		`deny contains "x" if { [_, a] := input.ssa.software_roles; a == "x" }`:                                                 `which elements`,
		`deny contains "x" if { a := {input.ssa.org}; a[{"gone": b}]; b == 1 }`:                                                 `{"gone": b}: which elements`,
		`deny contains "x" if f(input.ssa.org)` + "\nf({\"gone\": a}) if a == 1":                                                `{"gone": a}: which elements`,
		`deny contains "x" if f(1, [input.ssa.org])` + "\nf(_, 1)\nf(_, [{\"gone\": a}]) if a == 1":                             `{"gone": a}: which elements`,
		`deny contains "x" if { some "gone", a in object.get(input.ssa, "org", {}); a == 1 }`:                                   "is a claim",
		`deny contains "x" if { "gone", 1 in object.get(input.ssa, "org", {}) }`:                                                "is a claim",
		`deny contains "x" if { k := "gone"; k, 1 in input.ssa.org }`:                                                           "which member of a claim k is",
		`deny contains "x" if { some input.operation, a in input.ssa.org; a == 1 }`:                                             "which member of a claim",
		`deny contains "x" if { a := {k: v | some k, v in input.ssa.org}; a.gone == 1 }`:                                        "a is a claim",
		`deny contains "x" if a.gone == 1` + "\na[k] := v if some k, v in input.ssa.org":                                        "a is a claim",
		`deny contains "x" if { some x in a.b.gone; x == 1 }` + "\na.b[k] contains v if some k, v in input.ssa.org":             "a.b is a claim",
	})
}

// TestValuesMadeOfClaimsAreUsed: what rules make of claims is theirs: they look it up, go
// through it, and read what is not a claim's.
func TestValuesMadeOfClaimsAreUsed(t *testing.T) {
	for _, text := range []string{
		`allow if { roles := {r | some r in input.ssa.software_roles}; roles["AISP"] }`,
		`allow if { roles := {r | some r in input.ssa.software_roles}; count(roles - {"AISP", "PISP"}) == 0 }`,
		`allow if { a := [input.ssa.org_id, input.operation]; a[0] == "org"; a[_] == "create" }`,
		`allow if { a := {"id": input.ssa.org_id}; a.id == "org" }`,
		`allow if { a := {"id": {"x": input.ssa.org_id}}; a.id.x == "org" }`,
		`allow if { a := {"o": input.ssa.org}; object.get(a.o, "status", "") == "Active" }`,
		`allow if { a := object.get(input.ssa, "org", {}); object.get(a, "status", "") == "Active" }`,
		`allow if { some r in object.get(input.ssa, "software_roles", []); r == "AISP" }`,
		`allow if { scopes := split(input.registration.scope, " "); scopes[0] == "openid" }`,
		`allow if { table := {"org": {"name": "n"}}; table[input.ssa.org_id].name == "n" }`,
		`allow if { table[input.ssa.org_id].name == "n" }` + "\ntable := {\"org\": {\"name\": \"n\"}}",
		`allow if { t := f(input.ssa.org_id); t.name == "n" }` + "\nf(id) := {\"name\": \"n\"} if id == \"org\"",
		`allow if { some i in numbers.range(0, 1); input.ssa.org_id == ["x", "org"][i] }`,
		`allow if "org" in ids` + "\nids contains input.ssa.org_id",
		`allow if ids["org"]` + "\nids contains input.ssa.org_id",
		`allow if data.openbanking_dcr.ids.org` + "\nids[input.ssa.org_id] := true",
		`allow if data.openbanking_dcr.id == "org"` + "\nid := input.ssa.org_id",
		`allow if { a := [input.ssa.org]; not a[0].gone }`,
		`allow if o.status == "Active"` + "\no := input.ssa.org",
		`allow if { a = b; b = a; a = input.ssa.org; b.status == "Active" }`,
		`allow if { t := object.get({"org": {"name": "n"}}, input.ssa.org_id, {}); t.name == "n" }`,
		`allow if { [_, a] := split(input.certificate.subject, ","); a == "C=GB" }`,
		`allow if { walk(input.ssa.org, [_, a]); a == "Active" }`,
		`allow if { roles := {r | some r in input.ssa.software_roles} - {"x"}; roles["AISP"] }`,
		`allow if f([input.ssa.org_id, input.operation], "x")` + "\nf([a, b], _) if a != b",
		`allow if { some "status", a in input.ssa.org; a == "Active" }`,
		`allow if { some "org", a in {"org": {"name": "n"}}; a.name == "n" }`,
		`allow if { some k, a in input.ssa.org; a == "Active"; k == "status" }`,
		`allow if input.ssa.org_id, 1 in {"org": 1}`,
		`allow if (roles | {"x"})["AISP"]` + "\nroles := {r | some r in input.ssa.software_roles}",
		`allow if { some s in split(input.registration.scope, " "); {"openid": {"name": "n"}}[s].name == "n" }`,
	} {
		t.Run(text, func(t *testing.T) {
			p, err := provisioned(t, text)
			if err != nil {
				t.Fatal(err)
			}
			if d := ask(t, p, input(t)); !d.Allowed {
				t.Errorf("got %+v, want it allowed", d)
			}
		})
	}
}

// TestClaimsOfOtherPackages: the same holds for rules of another package, and no package is a
// value.
func TestClaimsOfOtherPackages(t *testing.T) {
	for rule, c := range map[string]struct{ lib, want string }{
		`deny contains "x" if lib.a.gone == 1`:                                          {"a := input.ssa.org", "lib.a is a claim"},
		`deny contains "x" if data.lib.a.gone == 1`:                                     {"a := input.ssa.org", "data.lib.a is a claim"},
		`deny contains "x" if data.lib.a[input.operation]`:                              {"a := input.ssa.org", "data.lib.a is a claim"},
		`deny contains "x" if { x := data.lib; x.a.gone == 1 }`:                         {"a := input.ssa.org", "data.lib: which rule it is cannot be followed; name one"},
		`deny contains "x" if { x := lib; x.a.gone == 1 }`:                              {"a := input.ssa.org", "lib: which rule it is"},
		`deny contains "x" if { x := data.lib[_]; x.gone == 1 }`:                        {"a := input.ssa.org", "data.lib[_]: which rule it is"},
		`deny contains "x" if { some y in ["lib"]; x := data[y]; x.a.gone == 1 }`:       {"a := input.ssa.org", "data[y]: which rule it is"},
		`deny contains "x" if { some x in data.lib; x.gone == 1 }`:                      {"a := input.ssa.org", "data.lib: which rule it is"},
		`deny contains "x" if { walk(data.lib, [_, x]); x.gone == 1 }`:                  {"a := input.ssa.org", "data.lib: which rule it is"},
		`deny contains "x" if { x := object.get(data.lib, "a", {}); x.gone == 1 }`:      {"a := input.ssa.org", "data.lib: which rule it is"},
		`deny contains "x" if { x := object.get(data, ["lib", "a"], {}); x.gone == 1 }`: {"a := input.ssa.org", "recursive"},
		`deny contains "x" if { x := lib.f(input.ssa.org); x.gone == 1 }`:               {"f(x) := x", "x is a claim"},
		`deny contains "x" if { lib.f(input.ssa.org, x); x.gone == 1 }`:                 {"f(x) := x", "x is a claim"},
		`deny contains "x" if data.lib.sub.a.gone == 1`:                                 {"sub.a := input.ssa.org", "data.lib.sub.a is a claim"},
		`deny contains "x" if { lib := {"used": input.ssa.org}; lib.used.gone == 1 }`:   {"a := 1", "lib.used is a claim"},
		`deny contains "x" if data.openbanking_dcr.sub.a.gone == 1`:                     {"a := 1", "data.openbanking_dcr.sub.a is a claim"},
		`deny contains "x" if lib.ok`:                                                   {`ok if input.ssa.org_id == "org"`, ""},
		`deny contains "x" if lib.roles["AISP"]`:                                        {`roles := {r | some r in input.ssa.software_roles}`, ""},
		`deny contains "x" if "AISP" in data.lib.roles`:                                 {`roles contains r if some r in input.ssa.software_roles`, ""},
		`deny contains "x" if { a := data.lib; a.b == 1; lib.ok(input.ssa.org_id) }`:    {"b := 1\nok(x) if x == \"org\"", ""},
		`deny contains "x" if object.get(lib.org, "status", "") == "Active"`:            {"org := input.ssa.org", ""},
	} {
		t.Run(rule, func(t *testing.T) {
			p := &Policy{Bundle: bundled(t, map[string]string{
				"a.rego": "package openbanking_dcr\n\nimport data.lib\n\nused := lib.used\n\n" + rule, "b.rego": "package lib\n\nused := 1\n\n" + c.lib,
				"c.rego": "package openbanking_dcr.sub\n\na := input.ssa.org", "d.rego": "package lib.sub\n\nb := 1",
			})}
			err := p.Provision(caddy.Context{})
			switch {
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			case c.want == "" && err != nil:
				t.Errorf("got %v, want it loaded", err)
			case c.want == "" && ask(t, p, input(t)).Reason != "x":
				t.Errorf("got %+v, want it denied by the rule", ask(t, p, input(t)))
			}
		})
	}
}
