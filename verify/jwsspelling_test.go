package verify

import (
	"encoding/base64"
	"strings"
	"testing"
)

// respelled signs the segments as they are spelled, so that nothing but the
// spelling can be refused. Which is 0 for the header, 1 the payload, 2 the signature.
func respelled(which int, spell func(segment string) string) func(t *testing.T, d entryPoint) string {
	return func(t *testing.T, d entryPoint) string {
		h, p := b64(d.header()), b64(d.payload)
		switch which {
		case 0:
			h = spell(h)
		case 1:
			p = spell(p)
		}
		s := b64(signInput(t, h+"."+p, "PS256", d.key))
		if which == 2 {
			s = spell(s)
		}
		return h + "." + p + "." + s
	}
}

// One JWS has one spelling (RFC 7515 2, 7.1): what a lenient decoder takes for the
// same bytes is refused, in each segment.
func TestJWSSpelling(t *testing.T) {
	insert := func(text string) func(string) string {
		return func(s string) string { return s[:8] + text + s[8:] }
	}
	var attacks []attack
	for i, segment := range []string{"header", "payload", "signature"} {
		for name, spell := range map[string]func(string) string{
			"=":                  func(s string) string { return s + "=" },
			"==":                 func(s string) string { return s + "==" },
			"padded by rule":     func(s string) string { return s + strings.Repeat("=", max(1, (4-len(s)%4)%4)) },
			"%3D":                func(s string) string { return s + "%3D" },
			"LF inside":          insert("\n"),
			"CR inside":          insert("\r"),
			"CR LF inside":       insert("\r\n"),
			"blank inside":       insert(" "),
			"tab inside":         insert("\t"),
			"form feed inside":   insert("\f"),
			"NUL inside":         insert("\x00"),
			"no-break space":     insert("\u00a0"),
			"zero width space":   insert("\u200b"),
			"soft hyphen":        insert("\u00ad"),
			"blank in front":     func(s string) string { return " " + s },
			"LF in front":        func(s string) string { return "\n" + s },
			"blank behind":       func(s string) string { return s + " " },
			"= inside":           insert("="),
			"+ for -":            func(s string) string { return plain(s, "+") },
			"/ for _":            func(s string) string { return plain(s, "/") },
			"%2B":                insert("%2B"),
			"one character more": func(s string) string { return s[:len(s)/4*4] + "A" },
			"full-width letter":  func(s string) string { return "ｅ" + s[1:] },
			"empty":              func(string) string { return "" },
			"quoted":             func(s string) string { return `"` + s + `"` },
		} {
			attacks = append(attacks, attack{name: segment + " " + name, make: respelled(i, spell), want: segment})
		}
	}
	runAttacks(t, attacks)
}

// plain puts a character of the other alphabet where the segment has its twin, or
// somewhere if it has none.
func plain(s, character string) string {
	twin := map[string]string{"+": "-", "/": "_"}[character]
	if i := strings.Index(s, twin); i >= 0 {
		return s[:i] + character + s[i+1:]
	}
	return s[:8] + character + s[9:]
}

// The unused bits of the last character are zero, in each segment that has some.
func TestUnusedBits(t *testing.T) {
	for _, d := range entryPoints(t) {
		for _, tc := range []struct {
			name, segment   string
			header, payload string
			which           int
		}{
			{"header, 4 bits", "header", longer(d.header(), 1), d.payload, 0},
			{"header, 2 bits", "header", longer(d.header(), 2), d.payload, 0},
			{"payload, 4 bits", "payload", d.header(), longer(d.payload, 1), 1},
			{"payload, 2 bits", "payload", d.header(), longer(d.payload, 2), 1},
			{"signature", "signature", d.header(), d.payload, 2}, // 256 bytes: 4 bits
		} {
			t.Run(tc.name+" "+d.name, func(t *testing.T) {
				if err := d.submit(t, d.sign(t, tc.header, tc.payload), d.jwk()); err != nil {
					t.Fatal("fixture: ", err)
				}
				segments := []string{b64(tc.header), b64(tc.payload), ""}
				if tc.which < 2 {
					segments[tc.which] = nextCharacter(segments[tc.which])
				}
				segments[2] = b64(signInput(t, segments[0]+"."+segments[1], "PS256", d.key))
				if tc.which == 2 {
					segments[2] = nextCharacter(segments[2])
				}
				lenient, err := base64.RawURLEncoding.DecodeString(segments[tc.which])
				if err != nil || len(lenient) == 0 {
					t.Fatal("fixture: a lenient decoder refuses it too: ", err)
				}
				wantRefusal(t, d.submit(t, strings.Join(segments, "."), d.jwk()), d.kind, tc.segment+" that is not canonical base64url")
			})
		}
	}
}

// longer is the object with blanks, until its length leaves this remainder by 3.
func longer(object string, remainder int) string {
	for len(object)%3 != remainder {
		object += " "
	}
	return object
}

// Compact serialization is the only one (RFC 7515 7.1): in JSON there would be
// headers that nobody has signed.
func TestJWSSerialization(t *testing.T) {
	segments := func(t *testing.T, d entryPoint) (h, p, s string) {
		parts := strings.Split(d.sign(t, d.header(), d.payload), ".")
		return parts[0], parts[1], parts[2]
	}
	in := func(form string) func(t *testing.T, d entryPoint) string {
		return func(t *testing.T, d entryPoint) string {
			h, p, s := segments(t, d)
			return strings.NewReplacer("%H", h, "%P", p, "%S", s).Replace(form)
		}
	}
	const flattened = `{"protected":"%H","payload":"%P","signature":"%S"}`
	runAttacks(t, []attack{
		{name: "flattened", make: in(flattened), want: "three segments"},
		{name: "general", make: in(`{"payload":"%P","signatures":[{"protected":"%H","signature":"%S"}]}`), want: "three segments"},
		{name: "general of two signatures", make: in(`{"payload":"%P","signatures":[{"protected":"%H","signature":"%S"},{"header":{"alg":"none"},"signature":""}]}`), want: "three segments"},
		{name: "flattened with two dots", make: in(`{"x":"a.b.c","protected":"%H","payload":"%P","signature":"%S"}`), want: "header that is not base64url"},
		{name: "flattened with unprotected header", make: in(`{"header":{"kid":"a.b.c"},"protected":"%H","payload":"%P","signature":"%S"}`), want: "header that is not base64url"},
		{name: "as a JSON string", make: in(`"%H.%P.%S"`), want: "header that is not base64url"},
		{name: "encoded once more", make: func(t *testing.T, d entryPoint) string { return b64(d.sign(t, d.header(), d.payload)) }, want: "three segments"},
		{name: "detached", make: in("%H..%S"), want: "empty payload"},
		{name: "with a fourth segment", make: in("%H.%P.%S.AA"), want: "three segments"},
		{name: "two of them", make: in("%H.%P.%S %H.%P.%S"), want: "three segments"},
		{name: "with a scheme", make: in("Bearer %H.%P.%S"), want: "header that is not base64url"},
		{name: "as a form", make: in("request=%H.%P.%S"), want: "header that is not base64url"},
		{name: "unencoded payload", want: "'b64'", make: func(t *testing.T, d entryPoint) string { // RFC 7797
			input := b64(d.header("b64", "false", "crit", `["b64"]`)) + "." + strings.ReplaceAll(b64(d.payload), ".", "")
			return input + "." + b64(signInput(t, input, "PS256", d.key))
		}},
		{name: "unencoded payload as it is", want: "payload that is not base64url", make: func(t *testing.T, d entryPoint) string {
			input := b64(d.header("b64", "false", "crit", `["b64"]`)) + `.{"iss":"x"}`
			return input + "." + b64(signInput(t, input, "PS256", d.key))
		}},
	})
}
