package cel

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// A number that is out of range equals nothing, wherever it stands. CEL takes an item
// that is an error for equal to every other.
func TestNumberOutOfRange(t *testing.T) {
	for _, e := range []string{
		`request.l == ["accepted"]`, `request.l in [["a"], ["b"]]`, `request.m == {"k": "v"}`, `request.o == {"q": {"k": ["x"]}}`,
		`request.?l.orValue([]) == ["a"]`, `[request.l] == [["a"]]`,
	} {
		in := input(t)
		in.Request = object(t, `{"l":[1e400],"m":{"k":1e400},"o":{"q":{"k":[1e400]}}}`)
		if d := verify.Evaluate(t.Context(), load(t, e), in, time.Minute); d.Allowed {
			t.Errorf("%s: got it allowed, want it denied", e)
		}
	}
}

// What can take any time with a stranger's texts does not load.
func TestRefusedCalls(t *testing.T) {
	for expression, want := range map[string]string{
		`"aaaa".matches(ssa.re)`:                       "expression:1:15: matches: the pattern must be written out",
		`matches(ssa.a, ssa.re)`:                       "the pattern must be written out",
		`"a".matches("^" + ssa.re)`:                    "the pattern must be written out",
		"true &&\n ssa.a.replace(\"\", ssa.b) == \"\"": "expression:2:15: replace is not offered",
		`ssa.a.join(ssa.b) == ""`:                      "join is not offered",
	} {
		if err := (&Policy{Expression: expression}).Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", expression, err, want)
		}
	}
}

// Of no certificate nothing is true, not even that it lacks something.
func TestConditionOnNullDenies(t *testing.T) {
	for _, e := range []string{`!has(client.metadata)`, `!has(client.client_id)`, `!(has(client.metadata) && true)`} {
		if d := verify.Evaluate(t.Context(), load(t, e), input(t), time.Minute); d.Allowed || d.Fault == nil || !strings.Contains(d.Reason, "it is null here") {
			t.Errorf("%s: got %+v, want a fault that says it is null here", e, d)
		}
	}
}

// A placeholder is not replaced in an expression, so what forbids its value forbids nothing.
func TestPlaceholder(t *testing.T) {
	p := new(Policy)
	if err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("cel `ssa.org_id != \"{env.BLOCKED_ORG}\"`")); err == nil {
		t.Error("loads")
	}
}

func TestCostLimit(t *testing.T) {
	for _, n := range []string{"10abc", "1e9", "1,000,000", `"5 6"`, "0", "100000001", "18446744073709551616"} {
		p := new(Policy)
		if err := p.UnmarshalCaddyfile(caddyfile.NewTestDispenser("cel `true` {\n cost_limit " + n + "\n}")); err == nil {
			t.Errorf("%s: got %d, want an error", n, p.CostLimit)
		}
	}
	const want = "cost_limit: must be at most 100000000, because more takes longer than any timeout"
	if err := (&Policy{Expression: "true", CostLimit: 100_000_001}).Provision(caddy.Context{}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := (&Policy{Expression: "true", CostLimit: 100_000_000}).Provision(caddy.Context{}); err != nil {
		t.Errorf("100000000: got %v, want none", err)
	}
}

// What the access log and a terminal are told is bounded, and has no control characters.
func TestReasonIsBoundedAndPrintable(t *testing.T) {
	in := input(t)
	in.Request = object(t, `{"long":"`+strings.Repeat("a", 50000)+`","esc":"\u001b[2J"}`)
	for _, e := range []string{`timestamp(request.long) < now`, `deny(request.esc)`} {
		d := verify.Evaluate(t.Context(), load(t, e), in, time.Minute)
		if cause := d.Error("p", "").Cause.Error(); len(cause) > 3000 || strings.Contains(cause, "\x1b") {
			t.Errorf("%s: got %d bytes, %.40q, want 3000 at most and no control characters", e, len(cause), cause)
		}
	}
}

// One program, many at once, each with another input: none sees another's.
func TestConcurrent(t *testing.T) {
	for _, e := range []string{`request.l + ["b"] == ["a","b"]`, `request.l.map(x, x + "!") == ["a!"] && request == request && token.claims.env == "prod"`, `request.l.exists(x, x == "a") && request.o.k == "a"`} {
		p := load(t, e)
		var group sync.WaitGroup
		for g := range 8 {
			group.Go(func() {
				v := fmt.Sprint("v", g)
				if g%2 == 0 {
					v = "a"
				}
				for range 400 {
					in := input(t)
					in.Request = object(t, `{"l":["`+v+`"],"o":{"k":"`+v+`"}}`)
					if d := verify.Evaluate(t.Context(), p, in, 10*time.Second); d.Allowed != (v == "a") || d.Fault != nil {
						t.Errorf("%s %s: got %+v, want allowed %t and no fault", e, v, d, v == "a")
						return
					}
				}
			})
		}
		group.Wait()
	}
}
