package dn

import (
	"reflect"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

func parse(t testing.TB, text string) Name {
	t.Helper()
	d, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func TestEqual(t *testing.T) {
	for _, tc := range []struct {
		name, a, b string
		want       bool
	}{
		{"same", "CN=x,O=Bank,C=GB", "CN=x,O=Bank,C=GB", true},
		{"fully reversed", "CN=x,O=Bank,C=GB", "C=GB,O=Bank,CN=x", true},
		{"slash form", "CN=x,O=Bank,C=GB", "/C=GB/O=Bank/CN=x", true},
		{"partly reordered", "CN=x,O=Bank,C=GB", "O=Bank,CN=x,C=GB", false},
		{"two rotated", "CN=x,O=Bank,C=GB", "C=GB,CN=x,O=Bank", false},
		{"RDN as a set", "CN=x+serialNumber=1,C=GB", "serialNumber=1+CN=x,C=GB", true},
		{"set reversed", "CN=x+serialNumber=1,C=GB", "C=GB,serialNumber=1+CN=x", true},
		{"set is not two RDNs", "CN=x+serialNumber=1", "CN=x,serialNumber=1", false},
		{"set has one less", "CN=x+serialNumber=1", "CN=x", false},
		{"names and OIDs", "CN=x,organizationIdentifier=PSDGB-1", "2.5.4.3=x,OID.2.5.4.97=PSDGB-1", true},
		{"hex and text", "2.5.4.97=#0c0750534447422d31,CN=x", "organizationIdentifier=psdgb-1,CN=x", true},
		{"case", "CN=X,O=BANK", "cn=x,o=bank", true},
		{"case outside ASCII", "O=BÄNK ΣΑΣ", "O=bänk σας", true},
		{"sharp s", "O=STRASSE", "O=straße", true},
		{"blanks inside", "O=Big  Bank", "O=Big Bank", true},
		{"blanks outside", `O=\ Bank\ `, "O=Bank", true},
		{"no blank is none", "O=Big Bank", "O=BigBank", false},
		{"no-break space is a blank", "O=Big\u00a0Bank", "O=Big Bank", true},
		{"composed and decomposed", "O=B\u00e4nk", "O=Ba\u0308nk", true},
		{"full width", "O=Ｂａｎｋ", "O=Bank", true},
		{"soft hyphen vanishes", "O=Ba\u00adnk", "O=Bank", true},
		{"DEL vanishes", "O=Ba\x7fnk", "O=Bank", true},
		{"DEL vanishes beside a character outside ASCII", "O=B\u00e4\x7fnk", "O=B\u00e4nk", true},
		{"control vanishes", `O=Ba\00nk`, "O=Bank", true},
		{"tab is a blank", `O=Big\09Bank`, "O=Big Bank", true},
		{"accent counts", "O=Bänk", "O=Bank", false},
		{"Cyrillic look-alike", "O=Bаnk", "O=Bank", false},
		{"other value", "CN=x,C=GB", "CN=y,C=GB", false},
		{"value is a prefix", "CN=x,O=Bank", "CN=x,O=Bank Ltd", false},
		{"value is a suffix", "CN=x,O=Bank", "CN=x,O=Big Bank", false},
		{"RDNs are a prefix", "CN=x,O=Bank", "CN=x,O=Bank,C=GB", false},
		{"RDNs are a suffix", "O=Bank,C=GB", "CN=x,O=Bank,C=GB", false},
		{"pattern", "CN=.*,O=Bank", "CN=x,O=Bank", false},
		{"asterisk", "CN=*,O=Bank", "CN=x,O=Bank", false},
		{"other type", "CN=x", "OU=x", false},
		{"values exchanged", "CN=a,OU=b", "CN=b,OU=a", false},
		{"separator inside a value", `CN=a\,O=b`, "CN=a,O=b", false},
		{"plus inside a value", `CN=a\+O=b`, "CN=a+O=b", false},
		{"backslash inside a value", `CN=a\\,O=b`, `CN=a\,O=b`, false},
		{"equals sign inside a value", `CN=a=b`, `CN=a\=b`, true},
		{"string that looks binary", `CN=\#0201ff`, "CN=#0201ff", false},
		{"binary", "CN=#0201ff", "CN=#0201FF", true},
		{"binary of another type", "CN=#0201ff", "CN=#0a01ff", false},
		{"same attribute twice in an RDN", "CN=x+CN=x", "CN=x", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := parse(t, tc.a), parse(t, tc.b)
			if got := a.Equal(b); got != tc.want {
				t.Errorf("Equal is %v", got)
			}
			if got := b.Equal(a); got != tc.want {
				t.Errorf("Equal the other way is %v", got)
			}
			if got := a.Canonical() == b.Canonical(); got != tc.want {
				t.Errorf("Canonical: %q and %q", a.Canonical(), b.Canonical())
			}
			if !a.Equal(a) || !b.Equal(b) {
				t.Error("not equal to itself")
			}
		})
	}
}

func TestEqualNever(t *testing.T) {
	for name, pair := range map[string][2]Name{
		"nil":             {nil, nil},
		"empty":           {Name{}, Name{}},
		"nil and one":     {nil, parse(t, "CN=x")},
		"text of nothing": {nil, Name{{}}},
	} {
		if pair[0].Equal(pair[1]) || pair[1].Equal(pair[0]) {
			t.Errorf("%s: equal", name)
		}
	}
}

// The type of the string in the certificate does not count, and comparing works
// with what the TPP has seen of its certificate.
func TestEqualCertificate(t *testing.T) {
	leaf := dntest.Certificate(t, dntest.Subject(t,
		dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.BMPString("2.5.4.10", "Bänk Ltd")), dntest.RDN(dntest.Raw("2.5.4.11", dntest.TagTeletexString, []byte("\xdcnit"))),
		dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-123456")), dntest.RDN(dntest.UTF8String("2.5.4.3", "one")), dntest.RDN(dntest.UTF8String("2.5.4.3", "two"), dntest.PrintableString("2.5.4.5", "42"))))
	subject, err := ParseSubject(leaf.RawSubject)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"RFC 4514":           "CN=two+serialNumber=42,CN=one,organizationIdentifier=PSDGB-FCA-123456,OU=Ünit,O=Bänk Ltd,C=GB",
		"openssl RFC2253":    `CN=two+serialNumber=42,CN=one,2.5.4.97=#0C1050534447422D4643412D313233343536,OU=\C3\9Cnit,O=B\C3\A4nk Ltd,C=GB`,
		"certificate order":  "C = GB, O = BÄNK ltd, OU = ünit, organizationIdentifier = psdgb-fca-123456, CN = one, serialNumber = 42 + CN = two",
		"without one CN":     "CN=two+serialNumber=42,organizationIdentifier=PSDGB-FCA-123456,OU=Ünit,O=Bänk Ltd,C=GB",
		"CNs exchanged":      "CN=one+serialNumber=42,CN=two,organizationIdentifier=PSDGB-FCA-123456,OU=Ünit,O=Bänk Ltd,C=GB",
		"identifier is lost": "CN=two+serialNumber=42,CN=one,OU=Ünit,O=Bänk Ltd,C=GB",
	} {
		want := name == "RFC 4514" || name == "openssl RFC2253" || name == "certificate order"
		if got := parse(t, text).Equal(subject); got != want {
			t.Errorf("%s: Equal is %v", name, got)
		}
	}
	// Go's own text has lost a CN and moved the identifier: it must not be compared with.
	if lossy := parse(t, leaf.Subject.String()); lossy.Equal(subject) {
		t.Errorf("%s equals %s", lossy, subject)
	}
}

func TestString(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"reversed", "C=GB,O=Bank,CN=x", "CN=x,O=Bank,C=GB"},
		{"short names", "2.5.4.3=x,2.5.4.97=PSDGB-1,1.2.840.113549.1.9.1=a@b,2.5.4.5=1", "serialNumber=1,emailAddress=a@b,organizationIdentifier=PSDGB-1,CN=x"},
		{"unknown type", "1.2.3=x", "1.2.3=x"},
		{"set keeps its order", "CN=x+serialNumber=1", "CN=x+serialNumber=1"},
		{"identifier is no hex", "2.5.4.97=#0c0750534447422d31", "organizationIdentifier=PSDGB-1"},
		{"binary", "CN=#0201ff", "CN=#0201ff"},
		{"escapes", `O=" a, #+;<>=\"\\ "`, `O=\ a\, #\+\;\<\>=\"\\\ `},
		{"one blank", `O=\ `, `O=\ `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := parse(t, tc.text).String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	if got := (Name)(nil).String(); got != "" {
		t.Errorf("nil is %q", got)
	}
}

func TestValues(t *testing.T) {
	d := parse(t, "CN=one,C=GB,CN=two+2.5.4.97=x,CN=#0201ff")
	for oid, want := range map[string][]string{
		"2.5.4.3": {"one", "two"}, OrganizationIdentifier: {"x"}, "2.5.4.10": nil, "2.5.4": nil,
	} {
		if got := d.Values(oid); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", oid, got, want)
		}
	}
}
