package dn

import (
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	one := func(pairs ...string) (d Name) {
		for i := 0; i < len(pairs); i += 2 {
			d = append(d, RDN{{OID: pairs[i], Value: pairs[i+1]}})
		}
		return d
	}
	const c, o, ou, cn, serial = "2.5.4.6", "2.5.4.10", "2.5.4.11", "2.5.4.3", "2.5.4.5"
	for _, tc := range []struct {
		name, text string
		want       Name
	}{
		{"short names", "CN=x,OU=u,O=Bank,C=GB", one(cn, "x", ou, "u", o, "Bank", c, "GB")},
		{"any case of names", "cn=x,oU=u", one(cn, "x", ou, "u")},
		{"long names", "commonName=x,organizationName=Bank,countryName=GB", one(cn, "x", o, "Bank", c, "GB")},
		{"dotted OIDs", "2.5.4.3=x,2.5.4.97=PSDGB-1", one(cn, "x", OrganizationIdentifier, "PSDGB-1")},
		{"OID prefix", "OID.2.5.4.97=PSDGB-1,oid.2.5.4.3=x", one(OrganizationIdentifier, "PSDGB-1", cn, "x")},
		{"unknown OID", "1.3.6.1.4.1.99999.1=x", one("1.3.6.1.4.1.99999.1", "x")},
		{"organizationIdentifier", "organizationIdentifier=PSDGB-FCA-123456", one(OrganizationIdentifier, "PSDGB-FCA-123456")},
		{"serialNumber", "serialNumber=42", one(serial, "42")},
		{"SN is the surname", "SN=42", one("2.5.4.4", "42")},
		{"emailAddress and E", "emailAddress=a@b.c,E=d@e.f", one("1.2.840.113549.1.9.1", "a@b.c", "1.2.840.113549.1.9.1", "d@e.f")},
		{"ST and S", "ST=x,S=y", one("2.5.4.8", "x", "2.5.4.8", "y")},
		{"UID and DC", "UID=x,DC=example,DC=com", one("0.9.2342.19200300.100.1.1", "x", "0.9.2342.19200300.100.1.25", "example", "0.9.2342.19200300.100.1.25", "com")},
		{"jurisdiction by name", "jurisdictionC=GB,jurisdictionST=x,jurisdictionL=y", one("1.3.6.1.4.1.311.60.2.1.3", "GB", "1.3.6.1.4.1.311.60.2.1.2", "x", "1.3.6.1.4.1.311.60.2.1.1", "y")},
		{"jurisdiction by long name", "jurisdictionCountryName=GB", one("1.3.6.1.4.1.311.60.2.1.3", "GB")},
		{"jurisdiction by OID", "1.3.6.1.4.1.311.60.2.1.3=GB", one("1.3.6.1.4.1.311.60.2.1.3", "GB")},
		{"blanks around separators", "  CN = x ,  O =  Big Bank  ; C= GB ", one(cn, "x", o, "Big Bank", c, "GB")},
		{"semicolons", "CN=x;C=GB", one(cn, "x", c, "GB")},
		{"escaped comma", `O=Bank\, Ltd,C=GB`, one(o, "Bank, Ltd", c, "GB")},
		{"hex comma", `O=Bank\2C Ltd,C=GB`, one(o, "Bank, Ltd", c, "GB")},
		{"hex comma in lower case", `O=Bank\2c Ltd`, one(o, "Bank, Ltd")},
		{"hex UTF-8", `O=B\C3\A4nk`, one(o, "Bänk")},
		{"every escape", `O=\ \"\#\+\,\;\<\=\>\\\/`, one(o, ` "#+,;<=>\/`)},
		{"escaped blanks stay", `O=\ a\ ,C=GB`, one(o, " a ", c, "GB")},
		{"hex blank stays, plain blank goes", `O=a\20 ,C=GB`, one(o, "a ", c, "GB")},
		{"equals sign in value", "O=a=b", one(o, "a=b")},
		{"number sign inside", "O=a#b", one(o, "a#b")},
		{"quoted", `O="Bank, Ltd",C=GB`, one(o, "Bank, Ltd", c, "GB")},
		{"quoted with separators", `O=" a+b;c=d#<e> " , C=GB`, one(o, " a+b;c=d#<e> ", c, "GB")},
		{"quoted with escapes", `O="a\"b\\c\2Cd"`, one(o, `a"b\c,d`)},
		{"quoted with doubled quote", `O="The ""Bank""",C=GB`, one(o, `The "Bank"`, c, "GB")},
		{"multi-valued", "CN=x+serialNumber=42,C=GB", Name{{{OID: cn, Value: "x"}, {OID: serial, Value: "42"}}, {{OID: c, Value: "GB"}}}},
		{"multi-valued with blanks", "CN=x + serialNumber = 42", Name{{{OID: cn, Value: "x"}, {OID: serial, Value: "42"}}}},
		{"escaped plus", `O=a\+CN=b`, one(o, "a+CN=b")},
		{"hex value of a string", "2.5.4.97=#0c08505344474231323a,C=GB", one(OrganizationIdentifier, "PSDGB12:", c, "GB")},
		{"hex PrintableString", "C=#13024742", one(c, "GB")},
		{"hex in capitals with blanks", "O= #0C0142 + CN=x", Name{{{OID: o, Value: "B"}, {OID: cn, Value: "x"}}}},
		{"hex value that is no string", "CN=#0201FF", Name{{{OID: cn, Value: "#0201ff", Binary: true}}}},
		{"slashes", "/C=GB/O=Bank/CN=x", one(c, "GB", o, "Bank", cn, "x")},
		{"slash in value of the slash form", "/C=GB/O=A/B Ltd/CN=x", one(c, "GB", o, "A/B Ltd", cn, "x")},
		{"slash and equals sign in value of the slash form", "/O=https://a.example/?q=1/CN=x", one(o, "https://a.example/?q=1", cn, "x")},
		{"escaped slash of the slash form", `/O=A\/CN=B/CN=x`, one(o, "A/CN=B", cn, "x")},
		{"escaped plus of the slash form", `/O=A\+CN=B/CN=x`, one(o, "A+CN=B", cn, "x")},
		{"plus in value of the slash form", "/O=A+B/CN=x", one(o, "A+B", cn, "x")},
		{"multi-valued in the slash form", "/O=A/CN=x+serialNumber=42", Name{{{OID: o, Value: "A"}}, {{OID: cn, Value: "x"}, {OID: serial, Value: "42"}}}},
		{"bytes in the slash form", `/O=B\xC3\xA4nk\x2F/CN=x`, one(o, "Bänk/", cn, "x")},
		{"backslashes of the slash form", `/O=\D\x4\xzz\\/CN=x\`, one(o, `\D\x4\xzz\/CN=x\`)},
		{"comma in slash form", "/O=Bank, Ltd/CN=x", one(o, "Bank, Ltd", cn, "x")},
		{"slash in comma form", "O=A/B,CN=x", one(o, "A/B", cn, "x")},
		{"empty values", `CN=,O=x+OU=   ,C=""`, Name{{{OID: cn}}, {{OID: o, Value: "x"}, {OID: ou}}, {{OID: c}}}},
		{"empty hex", "O=#0c00,CN=x", one(o, "", cn, "x")},
		{"empty in the slash form", "/C=/CN=x+OU=", Name{{{OID: c}}, {{OID: cn, Value: "x"}, {OID: ou}}}},
		{"a number sign that OpenSSL does not escape", "CN=# ,O=#+OU=x", Name{{{OID: cn, Value: "#"}}, {{OID: o, Value: "#"}, {OID: ou, Value: "x"}}}},
		{"names of OpenSSL", "postalAddress=a,houseIdentifier=b,unstructuredName=c", one("2.5.4.16", "a", "2.5.4.51", "b", "1.2.840.113549.1.9.2", "c")},
		{"not ASCII", "O=Bänk 🏦", one(o, "Bänk 🏦")},
		{"1024 bytes", "O=" + strings.Repeat("x", 1022), one(o, strings.Repeat("x", 1022))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text string }{
		{"nothing", ""},
		{"blank", " "},
		{"slash", "/"},
		{"no equals sign", "CN"},
		{"no type", "=x"},
		{"trailing comma", "CN=x,"},
		{"leading comma", ",CN=x"},
		{"two commas", "CN=x,,O=y"},
		{"trailing plus", "CN=x+"},
		{"unknown name", "foo=x"},
		{"Cyrillic letter in a type", "\u0421=GB"},
		{"bytes of the slash form that are not UTF-8", `/OU=\xDCnit`},
		{"unknown name in slash form", "/foo=x/CN=y"},
		{"text before slash form's first type", "/abc/CN=y"},
		{"OID of one arc", "2=x"},
		{"OID prefix and a name", "OID.CN=x"},
		{"OID with leading zero", "2.5.04.3=x"},
		{"OID with empty arc", "2.5..3=x"},
		{"OID that begins with 3", "3.5.4.3=x"},
		{"OID whose second arc is 40", "1.40.4.3=x"},
		{"OID with sign", "2.5.-4.3=x"},
		{"backslash at the end", `CN=x\`},
		{"backslash before a letter", `CN=\x`},
		{"backslash before a letter in quotes", `CN="a\x"`},
		{"half a hex escape", `CN=a\C`},
		{"hex escape that is not UTF-8", `CN=a\C3`},
		{"hex escape that is not UTF-8 in quotes", `CN="a\FF"`},
		{"not UTF-8", "CN=\xff"},
		{"quote inside", `CN=a"b`},
		{"no closing quote", `CN="a`},
		{"text after quote", `CN="a"b`},
		{"hex odd", "CN=#0c0"},
		{"hex not hexadecimal", "CN=#zz"},
		{"hex not DER", "CN=#0c05ab"},
		{"hex with more than one value", "CN=#0c0161" + "0c0162"},
		{"hex string that is not UTF-8", "CN=#0c01ff"},
		{"text after hex", "CN=#0c0161 b"},
		{"1025 bytes", "O=" + strings.Repeat("x", 1023)},
		{"1025 bytes of slash form", "/O=" + strings.Repeat("x", 1022)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := Parse(tc.text); err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
}

// TestPatternLength: DCR 3.4 counts characters, of which 512 are allowed.
func TestPatternLength(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"512 bytes": {"CN=" + strings.Repeat("x", 509), true}, "513 bytes": {"CN=" + strings.Repeat("x", 510), false},
		"512 characters": {"CN=" + strings.Repeat("\u00e9", 509), true}, "513 characters": {"CN=" + strings.Repeat("\u00e9", 510), false},
	} {
		if got := FollowsPattern(c.text); got != c.want {
			t.Errorf("%s: follows the pattern: %v, want %v", name, got, c.want)
		}
	}
}
