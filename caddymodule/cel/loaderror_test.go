package cel

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestNamesInWords: what is unknown is told with what there is.
func TestNamesInWords(t *testing.T) {
	inWords(t, map[string]string{
		`ssa.org_status.icontains("x")`:  `expression:1:25: 'icontains' is no function of these policies; write text.lowerAscii().contains("...") with the text in lower case` + "\nsome functions are size, contains, ",
		`ssa.x.toLower() == "a"`:         "'toLower' is no function of these policies; write text.lowerAscii()\n",
		`len(ssa.software_roles) > 1`:    "'len' is no function of these policies; write size(list)\n",
		`ssa.x.startswith("x")`:          "'startswith' is no function of these policies; write startsWith\n",
		`foo(1)`:                         "expression:1:4: 'foo' is no function of these policies\nsome functions are ",
		`sssa == "a" && foo(1)`:          "expression:1:1: undeclared reference to 'sssa'\nexpression:1:19: 'foo' is no function of these policies\nthe names are operation, request, ",
		`ssa.roles.exists("AISP")`:       "exists wants a variable and what holds for it\nwrite list.exists(x, x == \"...\")",
		`allow`:                          "'allow' is a function; write allow(...)",
		`certificate.subjct == "x"`:      "expression:1:12: undefined field 'subjct'\nthe names of certificate are ca_spki, common_name, issuer, ",
		`client.metadata.scopes == "x"`:  "undefined field 'scopes'\nthe names of client.metadata are application_type, ",
		`token.clams.x == 1`:             "undefined field 'clams'\nthe names of token are claims, client_id, scopes",
		`certificate.?subjct.hasValue()`: "undefined field 'subjct'\nthe names of certificate are ca_spki, ",
		`certificate.subject.x == "x"`:   "a text has no members",
	})
}

// TestTypesInWords: what does not fit is told in words, and how to write it.
func TestTypesInWords(t *testing.T) {
	inWords(t, map[string]string{
		`certificate.psd2_roles == "PSP_AI"`:        "expression:1:24: == compares values of one type, not a list with a text; to look for one value in a list write: value in list",
		`certificate.psd2_roles.contains("PSP_AI")`: "contains looks into a text, not into a list; to look for one value in a list write: value in list",
		`"CN" in certificate.subject`:               `in looks into a list or a map, not into a text; to look into a text write: text.contains("...")`,
		`certificate.psd2_roles in ["a"]`:           "in looks for one value in a list, not for a list; write sets.contains(list, values) for all of them, or sets.intersects(list, values) for one",
		`5 in certificate.psd2_roles`:               "in looks for a number in a list that has other values",
		`certificate.qwac == "true"`:                "== compares values of one type, not true or false with a text; write true and false without quotation marks",
		`certificate.serial < 5`:                    "< compares values of one type, not a text with a number; write a number without",
		`now < "2026-07-01"`:                        `< compares values of one type, not a time with a text; write a time as timestamp("2026-07-01T00:00:00Z")`,
		`certificate.not_after - now > 30`:          `> compares values of one type, not a duration with a number; write a length of time as duration("720h"), in h, m and s`,
		`certificate.not_after > now + 30`:          `+ does not go with a time and a number; write a length of time as duration("720h"), in h, m and s`,
		`certificate.psd2_roles + "a" == []`:        "+ does not go with a list and a text; write list + [value]",
		`certificate == "x"`:                        "== compares values of one type, not an object with a text; read one of the object's members, like certificate.subject",
		`[1] == ["a"]`:                              "found no matching overload for '_==_' applied to '(list(int), list(string))'",
		`certificate.qwac ? true : deny("x")`:       "both sides of the : must be of one type, not true or false and a decision; write allow() in place of true, and deny(text) in place of false",
		`operation == "a" ? 1 : "b"`:                "both sides of the : must be of one type, not a number and a text",
		`certificate.subject ? allow() : deny("x")`: "before the ? stands true or false, not a text; a comparison is missing",
		`deny()`:                                     `deny wants one text, which the TPP is told: deny("...; ask the bank")`,
		`reject("a", "b")`:                           "reject wants one text, which the TPP is told",
		`allow("x")`:                                 "allow takes nothing: allow()",
		`allow().scopes("openid")`:                   `scopes wants one list of texts, and stands behind a decision: allow().scopes(["...", "..."])`,
		`grants(["x"])`:                              "grants wants one list of texts, and stands behind a decision",
		`allow() && true`:                            "a decision stands alone or in condition ? allow() : deny(text), not with &&, || and !",
		`!certificate.subject`:                       "true or false must stand here, not a text; a comparison is missing",
		`certificate.subject && true`:                "true or false must stand here, not a text; a comparison is missing",
		`certificate.subject.exists(x, true)`:        "exists, all, filter and map go through a list or a map, not through a text",
		`certificate.subject.startsWith(5)`:          "startsWith wants a text in its brackets, not a number",
		`certificate.psd2_roles.startsWith("x")`:     "startsWith reads a text, not a list",
		`size(5) > 1`:                                "size counts a text, a list or a map, not a number",
		`ssa.x.substring("x") == ""`:                 "found no matching overload for 'substring' applied to 'dyn.(string)'",
		`ssa.org_status`:                             `expression:1: the expression gives the value of a claim; it must give true or false, or what allow(), deny(text) or reject(text) give: a comparison is missing, like == true or == "Active"`,
		`"x"`:                                        "the expression gives a text; it must",
		`ssa.?org_status`:                            "the expression gives an optional value; it must",
		`now < timestamp("2026-07-01")`:              `expression:1:17: timestamp: "2026-07-01" is no time; write date, time and zone: timestamp("2026-07-01T00:00:00Z")`,
		`certificate.not_after > now+duration("9d")`: `duration: "9d" is no length of time; write it in h, m and s: duration("720h")`,
	})
}

// TestSyntaxHints: what comes from another language is told in this one.
func TestSyntaxHints(t *testing.T) {
	inWords(t, map[string]string{
		`ssa.x = "a"`:               "\nwrite == to compare",
		`ssa.x === "a"`:             "\nwrite == to compare",
		`true and false`:            "\nwrite && for and",
		`true OR false`:             "\nwrite || for or",
		`not true`:                  "\nwrite ! for not: ",
		`true & false`:              "\nwrite && for and",
		`true | false`:              "\nwrite || for or",
		`ssa.x <> "a"`:              "\nwrite != for unequal",
		"true # always":             "\nwrite // for a comment",
		`ssa.x.exists(r => r == "a`: "\nwrite a loop as list.exists(x, x == \"...\")",
		`(true && (false)`:          "\na bracket is not closed",
		"`ssa.x == 'a'`":            "\nbackticks belong to the Caddyfile; leave them out in a file",
		`true;`:                     "\nleave the ; out: a policy is one expression",
		`ssa.x == “a”`:              "\nwrite plain quotation marks: \" or '",
		`if true then allow()`:      "\na policy is one expression; write condition ? allow() : deny(text)",
		`ssa.x == "a`:               "\na text is not closed: it ends with the quotation mark with which it begins",
		`ssa.x == "a" &&`:           "expression:1:16: Syntax error: mismatched input '<EOF>'\nthe expression ends before it is complete",
		`has(ssa)`:                  "\nhas() wants a member of something: has(ssa.org_id)",
		`ssa.x == "a" ssa.y == "b"`: "expression:1:14: Syntax error: mismatched input 'ssa' expecting <EOF>",
	})
}

func inWords(t *testing.T, wanted map[string]string) {
	t.Helper()
	for expression, want := range wanted {
		err := (&Policy{Expression: expression}).Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", expression, err, want)
		}
	}
}
