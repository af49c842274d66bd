package cel

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestFaultsInExpressions: what is wrong is told as cel-go tells it, with its place.
func TestFaultsInExpressions(t *testing.T) {
	const (
		variables   = "\nthe names are operation, request, ssa, registration, certificate, token, client, software, workspace, remote, now"
		certificate = "\nthe names of certificate are ca_spki, common_name, issuer, nca_id, nca_name, not_after, not_before, organization_identifier, psd2_roles, qwac, serial, subject, thumbprint"
		token       = "\nthe names of token are claims, client_id, scopes"
		must        = `; it must give true or false, or what allow(), require_approval(reason), deny(text) or reject(text) give: a comparison is missing, like == true or == "Active"`
	)
	for expression, want := range map[string]string{
		// Names.
		`sssa.org_status == "x"`:               "expression:1:1: undeclared reference to 'sssa'" + variables,
		`sssa == "a" && sssb == "b" && foo(1)`: "expression:1:1: undeclared reference to 'sssa'\nexpression:1:16: undeclared reference to 'sssb'\nexpression:1:34: undeclared reference to 'foo'" + variables,
		`len(ssa.software_roles) > 1`:          "expression:1:4: undeclared reference to 'len'",
		`ssa.x.toLower() == "a"`:               "expression:1:14: undeclared reference to 'toLower'",
		`certificate.subjct == "x"`:            "expression:1:12: undefined field 'subjct'" + certificate,
		`certificate.?subjct.hasValue()`:       "expression:1:12: undefined field 'subjct'" + certificate,
		`token.clams.x == 1 || token.clam.x`:   "expression:1:6: undefined field 'clams'\nexpression:1:28: undefined field 'clam'" + token,
		`[token].exists(t, t.clams == 1)`:      "expression:1:20: undefined field 'clams'",
		`[certificate][0].subjct == "x"`:       "expression:1:17: undefined field 'subjct'\nthe names of [certificate][0] are" + certificate[len("\nthe names of certificate are"):],
		`certificate.subject.x == "x"`:         "expression:1:20: type 'string' does not support field selection",
		"true &&\n  operation == 5":            "expression:2:13: found no matching overload for '_==_' applied to '(string, int)'",
		// Types.
		`certificate.psd2_roles == "PSP_AI"`: "expression:1:24: found no matching overload for '_==_' applied to '(list(string), string)'",
		`certificate.subject && true`:        "expression:1:12: expected type 'bool' but found 'string'",
		`allow() && true`:                    "expression:1:6: expected type 'bool' but found 'decision'",
		`deny()`:                             "expression:1:5: found no matching overload for 'deny' applied to '()'",
		`allow().scopes("openid")`:           "expression:1:15: found no matching overload for 'scopes' applied to 'decision.(string)'",
		`[1].exists(x, x)`:                   "expression:1:15: expected type 'bool' but found 'int'",
		`ssa.org_status`:                     "expression:1: the expression gives the value of a claim" + must,
		`"x"`:                                "expression:1: the expression gives string" + must,
		// Values.
		`now < timestamp("2026-07-01")`:              `expression:1:17: timestamp: "2026-07-01" is no time; write date, time and zone: timestamp("2026-07-01T00:00:00Z")`,
		`certificate.not_after > now+duration("9d")`: `expression:1:38: duration: "9d" is no length of time; write it in h, m and s: duration("720h")`,
		`ssa.org_status.matches("(")`:                "expression:1:24: matches: regexp: missing closing ): `(`",
		// Syntax.
		`ssa.x = "a"`:      "expression:1:7: Syntax error: token recognition error at: '= '\nexpression:1:9: Syntax error: extraneous input '\"a\"' expecting <EOF>",
		`(true && (false)`: "expression:1:17: Syntax error: missing ')' at '<EOF>'",
		`true and sssa`:    "expression:1:6: Syntax error: mismatched input 'and' expecting <EOF>",
		`has(ssa)`:         "expression:1:5: invalid argument to has() macro",
		` `:                "expression: there is no expression",
		"// no\n // yet\n": "expression: there is no expression",
	} {
		err := (&Policy{Expression: expression}).Provision(caddy.Context{})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\n%v\nwant\n%s", expression, err, want)
		}
	}
}
