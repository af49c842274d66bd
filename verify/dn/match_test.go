package dn

import "testing"

func TestMatch(t *testing.T) {
	const cn, o, serial, dc = "2.5.4.3", "2.5.4.10", "2.5.4.5", "0.9.2342.19200300.100.1.25"
	const org = OrganizationIdentifier
	const bank = "CN=x,organizationIdentifier=PSDGB-FCA-1,O=Bank,C=GB"
	for _, tc := range []struct {
		name       string
		attributes []string
		a, b       string
		want       bool
	}{
		{"exact", nil, bank, "C=GB,O=bank,organizationIdentifier=PSDGB-FCA-1,CN=x", true},
		{"exact, another CN", nil, bank, "CN=y,organizationIdentifier=PSDGB-FCA-1,O=Bank,C=GB", false},
		{"exact, of an empty list", []string{}, bank, "CN=y,organizationIdentifier=PSDGB-FCA-1,O=Bank,C=GB", false},
		{"the listed one alone counts", []string{org}, bank, "CN=y,OU=new,OID.2.5.4.97=PSDGB-FCA-1,O=Bank plc", true},
		{"case and blanks as in DN.Equal", []string{org}, bank, "2.5.4.97=\\ psdgb-fca-1\\ ", true},
		{"another value", []string{org}, bank, "CN=x,organizationIdentifier=PSDGB-FCA-2,O=Bank,C=GB", false},
		{"value is a prefix", []string{org}, bank, "organizationIdentifier=PSDGB-FCA-12", false},
		{"value of another type", []string{org}, bank, "CN=PSDGB-FCA-1", false},
		{"missing in one", []string{org}, bank, "CN=x,O=Bank,C=GB", false},
		{"missing in both", []string{org}, "CN=x,O=Bank", "CN=x,O=Bank", false},
		{"all listed count", []string{org, cn}, bank, "O=Bank plc,organizationIdentifier=PSDGB-FCA-1,CN=X", true},
		{"one of the listed differs", []string{org, cn}, bank, "CN=y,organizationIdentifier=PSDGB-FCA-1,O=Bank,C=GB", false},
		{"one of the listed is missing in both", []string{org, serial}, bank, bank, false},
		{"listed twice", []string{org, org}, bank, "organizationIdentifier=PSDGB-FCA-1", true},
		{"their order among each other does not count", []string{org, o}, bank, "O=Bank,C=GB,organizationIdentifier=PSDGB-FCA-1", true},
		{"a second value in one", []string{cn}, bank, "CN=x,CN=y", false},
		{"the same value twice in one", []string{cn}, bank, "CN=x,CN=x", false},
		{"values in order", []string{dc}, "DC=a,DC=b,DC=c", "CN=x,DC=a,DC=b,DC=c", true},
		{"values reversed", []string{dc}, "DC=a,DC=b,DC=c", "DC=c,DC=b,DC=a", true},
		{"values permuted", []string{dc}, "DC=a,DC=b,DC=c", "DC=b,DC=a,DC=c", false},
		{"value beside another one in its RDN", []string{cn}, bank, "CN=x+serialNumber=1", true},
		{"two in one RDN are not two RDNs", []string{cn}, "CN=x+CN=y", "CN=x,CN=y", false},
		{"values that show nothing", []string{cn}, "CN=\u200b", "CN=\u200b", false},
		{"one of the values shows nothing", []string{cn}, "CN=x,CN=\u00ad", "CN=x,CN=\u00ad", false},
		{"look-alike", []string{o}, bank, "O=B\u0430nk", false},
		{"binary", []string{cn}, "CN=#0201ff", "O=Bank,CN=#0201FF", true},
		{"binary and text", []string{cn}, "CN=#0201ff", `CN=\#0201ff`, false},
		{"not an OID matches nothing", []string{"CN"}, bank, bank, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, a, b := Match{tc.attributes}, parse(t, tc.a), parse(t, tc.b)
			if got := m.Match(a, b); got != tc.want {
				t.Errorf("Match is %v", got)
			}
			if got := m.Match(b, a); got != tc.want {
				t.Errorf("Match the other way is %v", got)
			}
		})
	}
}

// A certificate may have what no text can say: empty names and empty values.
func TestMatchNothing(t *testing.T) {
	empty := Name{{{OID: "2.5.4.3", Value: ""}}}
	for _, m := range []Match{{}, {[]string{"2.5.4.3"}}} {
		if m.Match(nil, nil) || m.Match(Name{}, Name{}) || m.Match(nil, parse(t, "CN=x")) || m.Match(parse(t, "CN=x"), nil) {
			t.Errorf("%+v matches an empty name", m)
		}
	}
	if (Match{[]string{"2.5.4.3"}}).Match(empty, empty) {
		t.Error("an empty value matches")
	}
}

func TestParseAttributeType(t *testing.T) {
	for name, want := range map[string]string{
		"organizationIdentifier": OrganizationIdentifier, "ORGANIZATIONIDENTIFIER": OrganizationIdentifier, "2.5.4.97": OrganizationIdentifier, "OID.2.5.4.97": OrganizationIdentifier,
		"CN": "2.5.4.3", "e": "1.2.840.113549.1.9.1", "1.3.6.1.4.1.99999.1": "1.3.6.1.4.1.99999.1",
		"": "", "foo": "", "2": "", "2.5.04.97": "", "2.5.4.97 2.5.4.3": "", "CN,O": "", "3.5.4.97": "", "1.40.1": "", "2.5.4.-1": "",
	} {
		if got, err := ParseAttributeType(name); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}
