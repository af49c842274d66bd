package verify

import (
	"context"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// No member twice, at any depth, in header and payload: decoders disagree on
// which one counts.
func TestDoubledMembers(t *testing.T) {
	header := func(text string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			return d.sign(t, strings.TrimSuffix(d.header(), "}")+text+"}", d.payload)
		}
	}
	payload := func(text string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			return d.sign(t, d.header(), strings.TrimSuffix(d.payload, "}")+text+"}")
		}
	}
	deep := func(depth int) string {
		return `,"x":` + strings.Repeat(`[{"y":`, depth) + `{"a":1,"a":1}` + strings.Repeat("}]", depth)
	}
	var attacks []attack
	for name, text := range map[string]string{
		"alg": `,"alg":"PS256"`, "alg none": `,"alg":"none"`, "alg escaped": `,"\u0061lg":"PS256"`, "alg escaped whole": `,"\u0061\u006c\u0067":"PS256"`,
		"kid": `,"kid":"x"`, "typ": `,"typ":"JWT"`, "typ of a token": `,"typ":"at+jwt"`, "unknown": `,"x":1,"x":1`, "empty name": `,"":1,"":1`,
		"in an object": `,"x":{"a":1,"a":1}`, "in a list": `,"x":[{"a":1,"a":1}]`, "deep down": deep(5),
	} {
		attacks = append(attacks, attack{name: "header " + name, make: header(text), want: "twice"})
	}
	for name, text := range map[string]string{
		"iss": `,"iss":"x"`, "iss, the same": `,"iss":"OpenBanking Ltd","iss":"OpenBanking Ltd"`, "iss escaped": `,"\u0069ss":"x"`, "iat": `,"iat":1`,
		"exp": `,"exp":1,"exp":2`, "jti": `,"jti":"x"`, "null": `,"iss":null`, "unknown": `,"x":1,"x":2`, "in an object": `,"x":{"a":1,"a":1}`,
		"in a list": `,"x":[0,{"a":1,"a":1}]`, "by surrogate pair": `,"🏦":1,"\ud83c\udfe6":2`, "deep down": deep(6),
	} {
		attacks = append(attacks, attack{name: "payload " + name, make: payload(text), want: "twice"})
	}
	runAttacks(t, attacks)
}

// Names are what they are: in another case they are other names, which neither
// override nor stand for the real ones, as they do for encoding/json.
func TestCaseOfMembers(t *testing.T) {
	member := func(text string) func(t *testing.T, d entryPoint) string { // at the end, where it would override
		return func(t *testing.T, d entryPoint) string {
			return d.sign(t, strings.TrimSuffix(d.header(), "}")+text+"}", d.payload)
		}
	}
	renamed := func(name, other string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			return d.sign(t, d.header(), strings.Replace(d.payload, `"`+name+`":`, `"`+other+`":`, 1))
		}
	}
	added := func(text string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			return d.sign(t, d.header(), strings.TrimSuffix(d.payload, "}")+text+"}")
		}
	}
	runAttacks(t, []attack{
		{name: "ALG beside alg", make: member(`,"ALG":"none","Alg":"HS256","aLG":"RS256"`)},
		{name: "KID beside kid", make: member(`,"KID":"x","Kid":"y","\u212aid":"z"`)}, // the Kelvin sign folds to k
		{name: "TYP beside typ", make: member(`,"TYP":"at+jwt"`)},
		{name: "CRIT and B64", make: member(`,"CRIT":["x"],"B64":false`)},
		{name: "ALG alone", want: "no alg", make: func(t *testing.T, d entryPoint) string {
			return d.sign(t, strings.Replace(d.header(), `"alg"`, `"ALG"`, 1), d.payload)
		}},
		{name: "Kid alone names nobody", make: func(t *testing.T, d entryPoint) string { // and the one key that fits is tried
			return d.sign(t, strings.Replace(d.header(), `"kid":"`+d.kid+`"`, `"Kid":"x"`, 1), d.payload)
		}},
		{name: "value of alg in lower case", want: "alg 'ps256'", make: func(t *testing.T, d entryPoint) string {
			return d.sign(t, strings.Replace(d.header(), "PS256", "ps256", 1), d.payload)
		}},
		{name: "ISS, IAT, EXP and JTI beside the real ones", make: added(`,"ISS":"evil","IAT":1e999,"EXP":1,"JTI":[],"ıss":1,"ſub":1`)},
		{name: "SOFTWARE_ID and the like beside the real ones", make: added(`,"SOFTWARE_ID":"evil","Org_Id":"evil","software_STATEMENT":"x","Software_Jwks_Endpoint":"https://evil.example/"`)},
		{name: "IAT alone", want: "iat", make: renamed("iat", "IAT")},
	})
	for _, d := range entryPoints(t) { // a statement without iss has no issuer, which is another answer
		err := d.submit(t, renamed("iss", "ISS")(t, d), d.jwk())
		kind := refusal.InvalidClientMetadata
		if d.name == "statement" {
			kind = refusal.UnapprovedSoftwareStatement
		}
		wantRefusal(t, err, kind, map[refusal.Kind]string{refusal.InvalidClientMetadata: "iss: missing", refusal.UnapprovedSoftwareStatement: "names no issuer"}[kind])
	}
}

// Nesting is bounded before it is followed: 16 levels, the document's own included.
func TestDepth(t *testing.T) {
	nest := func(where, open, end string, levels int) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			levels := levels
			if d.name == "statement" {
				levels = min(levels, 20_000) // what the cap on its size allows
			}
			text := `,"x":` + strings.Repeat(open, levels) + "1" + strings.Repeat(end, levels) + "}"
			if where == "header" {
				return d.sign(t, strings.TrimSuffix(d.header(), "}")+text, d.payload)
			}
			return d.sign(t, d.header(), strings.TrimSuffix(d.payload, "}")+text)
		}
	}
	var attacks []attack
	for _, where := range []string{"header", "payload"} {
		attacks = append(attacks,
			attack{name: where + " depth 16 of lists", make: nest(where, "[", "]", 15)},
			attack{name: where + " depth 16 of objects", make: nest(where, `{"a":`, "}", 15)},
			attack{name: where + " depth 17 of lists", make: nest(where, "[", "]", 16), want: "nested too deep"},
			attack{name: where + " depth 17 of objects", make: nest(where, `{"a":`, "}", 16), want: "nested too deep"},
			attack{name: where + " depth 17 of both", make: nest(where, `[{"a":`, "}]", 8), want: "nested too deep"},
			attack{name: where + " depth 100000", make: nest(where, "[", "", 100_000), want: "nested too deep"},
		)
	}
	runAttacks(t, attacks)
}

// A date is a number of seconds, of a request a whole one: not what some decoders make one of.
func TestDates(t *testing.T) {
	var attacks []attack
	for _, name := range []string{"iat", "exp"} {
		for _, value := range []string{"1.7723663E9", "1772366300.0", "1772366300.5", "null"} { // of the past
			good := ""
			if (name == "exp") != (value == "null") { // it is over; null is none, and a statement need have no exp
				good = name
			}
			for at, want := range map[string]string{"request": name, "statement": good} {
				attacks = append(attacks, attack{entryPoint: at, name: name + " " + value, want: want, make: func(t *testing.T, d entryPoint) string {
					return d.sign(t, d.header(), d.claim(t, name, value))
				}})
			}
		}
		for _, value := range []string{
			"1e999", "-1e999", `"1772370000"`, `"2026-03-01T13:00:00Z"`, `""`, "true", "[1772370000]", "{}",
			"99999999999999999999", "9223372036854775807", "-9223372036854775808", "1" + strings.Repeat("0", 400),
		} {
			attacks = append(attacks, attack{name: name + " " + value[:min(len(value), 24)], want: name, make: func(t *testing.T, d entryPoint) string {
				return d.sign(t, d.header(), d.claim(t, name, value))
			}})
		}
		for _, value := range []string{"01772370000", "+1772370000", "0x69a43950", "NaN", "Infinity", "1_772_370_000", "1772370000n", "\"1772370000", ".5", "1.", "1e"} { // no JSON
			attacks = append(attacks, attack{name: name + " " + value, want: "no acceptable JSON object", make: func(t *testing.T, d entryPoint) string {
				return d.sign(t, d.header(), d.claim(t, name, value))
			}})
		}
	}
	runAttacks(t, attacks)
}

// A statement is no request, and a request no statement, whoever has signed it.
func TestStatementAndRequestAreNotInterchangeable(t *testing.T) {
	good := statement(t, ssaClaims)
	request := string(registration(t, requestClaims, ssaClaims))
	inside := func(statement string) string {
		return string(registration(t, with(requestClaims, "software_statement", statement), nil))
	}
	for _, tc := range []struct {
		name, raw string
		kind      refusal.Kind
		word      string
	}{
		{"a statement for a request", good, refusal.InvalidSoftwareStatement, "software_statement: missing"},
		{"a statement of the software for a request", signJWS(t, requestHeader, jsonOf(ssaClaims), "PS256", softwareKey()), refusal.InvalidSoftwareStatement, "software_statement: missing"},
		{"a statement in a statement for a request", signJWS(t, ssaHeader, jsonOf(with(ssaClaims, "software_statement", good)), "PS256", directoryKey()), refusal.InvalidClientMetadata, "not in the JWKS (kid 'dir')"},
		{"a request for a statement", inside(request), refusal.UnapprovedSoftwareStatement, "issuer '65d1f27c4aeA4549'"},
		{"a request of the directory for a statement", inside(signJWS(t, ssaHeader, jsonOf(with(requestClaims, "software_statement", good)), "PS256", directoryKey())), refusal.UnapprovedSoftwareStatement, "issuer"},
		{"a request that says it is the directory's", inside(signJWS(t, ssaHeader, jsonOf(with(requestClaims, "iss", "OpenBanking Ltd", "software_statement", good)), "PS256", softwareKey())), refusal.InvalidSoftwareStatement, "does not verify"},
		{"a list of statements", signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", []string{good})), "PS256", softwareKey()), refusal.InvalidSoftwareStatement, "missing"},
		{"a decoded statement", signJWS(t, requestHeader, jsonOf(with(requestClaims, "software_statement", ssaClaims)), "PS256", softwareKey()), refusal.InvalidSoftwareStatement, "missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := VerifyRequest(context.Background(), []byte(tc.raw), rules(t), noon)
			wantRefusal(t, err, tc.kind, tc.word)
		})
	}
}
