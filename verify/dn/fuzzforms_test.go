package dn

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// writeName writes a name with dotted OIDs and each string value as value does.
func writeName(d Name, between, within string, value func(string) string) string {
	var rdns []string
	for _, rdn := range d {
		var attributes []string
		for _, a := range rdn {
			v := a.Value
			if !a.Binary {
				v = value(v)
			}
			attributes = append(attributes, a.OID+"="+v)
		}
		rdns = append(rdns, strings.Join(attributes, within))
	}
	return strings.Join(rdns, between)
}

// eachByte writes every byte of a value as an escape.
func eachByte(escape string) func(string) string {
	return func(v string) string {
		var b strings.Builder
		for i := range len(v) {
			fmt.Fprintf(&b, escape, v[i])
		}
		return b.String()
	}
}

// A name is read the same from every form that it can be written in, as text and
// as DER, and keeps its canonical text in all of them.
func FuzzForms(f *testing.F) {
	for _, seed := range []string{
		"CN=x,O=Bank,C=GB", `CN=a\,b\+c\"d\\e\=\#,O=\ x\ `, "CN=#0201ff+serialNumber=42,O=B\u00e4nk \u20ac", `O="Bank, ""Ltd""",CN=x`,
		`/C=GB/O=A\/B+C\x2F\xC3\xA4/CN=x+serialNumber=1`, "CN=#1e0400610062,O=#1404ffe4f6fc", `CN=\00\7f\0a`, "O=\u017f\u0345\u0301\ufb01", "1.2.3=x;2.25.340282366920938463463374607431768211455=y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		same := func(form string, got Name, err error) {
			if err != nil || !reflect.DeepEqual(got, d) || got.Canonical() != d.Canonical() {
				t.Fatalf("%q as %s is %+v, %v", text, form, got, err)
			}
		}
		backslash := strings.NewReplacer(`\`, `\\`)
		doubled := strings.NewReplacer(`"`, `""`)
		for form, written := range map[string]string{
			"hex escapes": writeName(d, ",", "+", eachByte(`\%02x`)),
			"DER": writeName(d, " ; ", " + ", func(v string) string {
				return "#" + hex.EncodeToString(dntest.Marshal(t, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(v)}))
			}),
			"quoted, as .NET does": writeName(d, ", ", " + ", func(v string) string { return `"` + doubled.Replace(backslash.Replace(v)) + `"` }),
			"slashes":              "/" + writeName(d, "/", "+", eachByte(`\x%02X`)),
		} {
			binary := slices.ContainsFunc(d, func(r RDN) bool { return slices.ContainsFunc(r, func(a Attribute) bool { return a.Binary }) })
			if len(written) > MaxLength || form == "slashes" && binary { // that form has text only
				continue
			}
			got, err := Parse(written)
			same(form+", "+written, got, err)
		}
		var rdns [][]dntest.Attribute
		for _, rdn := range d {
			var attributes []dntest.Attribute
			for _, a := range rdn {
				if a.Binary || slices.ContainsFunc(strings.Split(a.OID, "."), func(arc string) bool { return len(arc) > 9 }) {
					return // arcs of more than 31 bits are not read in a subject, by Go neither
				}
				attributes = append(attributes, dntest.UTF8String(a.OID, a.Value))
			}
			rdns = append(rdns, attributes)
		}
		if len(rdns) <= maxRDNs && !slices.ContainsFunc(rdns, func(r []dntest.Attribute) bool { return len(r) > maxRDNs }) {
			got, err := ParseSubject(dntest.Subject(t, rdns...))
			same("a subject", got, err)
		}
	})
}

// Two names match exactly one way round as the other, no attribute makes a
// difference that the whole names do not have, and nothing matches what is not there.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][3]string{
		{"CN=x,O=Bank,C=GB", "C=GB,O=bank,CN=X", "O"}, {"CN=x,2.5.4.97=PSDGB-FCA-1", "CN=y,organizationIdentifier=PSDGB-FCA-1", "2.5.4.97"},
		{"DC=a,DC=b,CN=x", "CN=y,DC=b,DC=a", "DC"}, {"CN=x+OU=y", "CN=x,OU=y", "CN"}, {"CN=\u200b", "CN=\u00ad", "CN"}, {"CN=#0201ff", `CN=\#0201ff`, "CN"},
		{"/C=GB/O=A\\/B/CN=x+serialNumber=1", "serialNumber=1+CN=x,O=A/B,C=GB", "CN,serialNumber"}, {"O=\u017fs", "O=SS", "o"}, {"O=\u0345\u0301", "O=\u03b9\u0301", "O"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, first, second, types string) {
		a, err := Parse(first)
		if err != nil {
			return
		}
		b, err := Parse(second)
		if err != nil {
			return
		}
		m := Match{}
		for name := range strings.SplitSeq(types, ",") {
			oid, err := ParseAttributeType(name)
			if err != nil {
				return
			}
			if again, err := ParseAttributeType(oid); err != nil || again != oid {
				t.Fatalf("%q is %q, which is %q, %v", name, oid, again, err)
			}
			m.Attributes = append(m.Attributes, oid)
		}
		exact := (Match{}).Match(a, b)
		if exact != a.Equal(b) || exact != (a.Canonical() == b.Canonical()) || exact != (Match{}).Match(b, a) {
			t.Fatalf("%q and %q: exact is %v", first, second, exact)
		}
		got, present := m.Match(a, b), true
		if got != m.Match(b, a) {
			t.Fatalf("%q and %q in %q: %v, not the other way", first, second, m.Attributes, got)
		}
		for _, oid := range m.Attributes {
			present = present && len(a.Only(oid)) > 0 && !a.Only(oid).hasEmpty()
			if one := (Match{[]string{oid}}).Match(a, b); got && !one {
				t.Fatalf("%q and %q match in %q, not in %q", first, second, m.Attributes, oid)
			}
			values, others := a.Values(oid), b.Values(oid)
			if got && (len(a.Only(oid)) == 0 || len(values) != len(others)) {
				t.Fatalf("%q and %q match in %q with %q and %q", first, second, oid, values, others)
			}
		}
		if exact && got != present || got && !present {
			t.Fatalf("%q and %q in %q: exact %v, match %v, present %v", first, second, m.Attributes, exact, got, present)
		}
	})
}
