package dn

import (
	"encoding/asn1"
	"fmt"
	"reflect"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// Names that Go's pkix.Name loses something of, read from real certificates.
func TestParseSubjectOfCertificate(t *testing.T) {
	for _, tc := range []struct {
		name    string
		subject [][]dntest.Attribute
		want    Name
		text    string
	}{
		{"order of the certificate",
			[][]dntest.Attribute{dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.10", "Bank")), dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-123456")), dntest.RDN(dntest.UTF8String("2.5.4.3", "00158000"))},
			Name{{{OID: "2.5.4.6", Value: "GB"}}, {{OID: "2.5.4.10", Value: "Bank"}}, {{OID: "2.5.4.97", Value: "PSDGB-FCA-123456"}}, {{OID: "2.5.4.3", Value: "00158000"}}},
			"CN=00158000,organizationIdentifier=PSDGB-FCA-123456,O=Bank,C=GB"},
		{"unusual order is kept",
			[][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.3", "x")), dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.11", "u"))},
			Name{{{OID: "2.5.4.3", Value: "x"}}, {{OID: "2.5.4.6", Value: "GB"}}, {{OID: "2.5.4.11", Value: "u"}}},
			"OU=u,C=GB,CN=x"},
		{"two CN",
			[][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.3", "first")), dntest.RDN(dntest.UTF8String("2.5.4.3", "second"))},
			Name{{{OID: "2.5.4.3", Value: "first"}}, {{OID: "2.5.4.3", Value: "second"}}},
			"CN=second,CN=first"},
		{"multi-valued RDN",
			[][]dntest.Attribute{dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x"), dntest.PrintableString("2.5.4.5", "42"))},
			Name{{{OID: "2.5.4.6", Value: "GB"}}, {{OID: "2.5.4.3", Value: "x"}, {OID: "2.5.4.5", Value: "42"}}},
			"CN=x+serialNumber=42,C=GB"},
		{"every short name",
			[][]dntest.Attribute{dntest.RDN(dntest.UTF8String("0.9.2342.19200300.100.1.25", "com")), dntest.RDN(dntest.UTF8String("0.9.2342.19200300.100.1.1", "u")), dntest.RDN(dntest.UTF8String("1.2.840.113549.1.9.1", "a@b.c")),
				dntest.RDN(dntest.UTF8String("1.3.6.1.4.1.311.60.2.1.3", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.15", "Private")), dntest.RDN(dntest.UTF8String("2.5.4.9", "1 High St"))},
			Name{{{OID: "0.9.2342.19200300.100.1.25", Value: "com"}}, {{OID: "0.9.2342.19200300.100.1.1", Value: "u"}}, {{OID: "1.2.840.113549.1.9.1", Value: "a@b.c"}},
				{{OID: "1.3.6.1.4.1.311.60.2.1.3", Value: "GB"}}, {{OID: "2.5.4.15", Value: "Private"}}, {{OID: "2.5.4.9", Value: "1 High St"}}},
			"STREET=1 High St,businessCategory=Private,jurisdictionC=GB,emailAddress=a@b.c,UID=u,DC=com"},
		{"unknown type as OID", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("1.2.3.4", "x"))}, Name{{{OID: "1.2.3.4", Value: "x"}}}, "1.2.3.4=x"},
		{"BMPString", [][]dntest.Attribute{dntest.RDN(dntest.BMPString("2.5.4.10", "Bänk €"))}, Name{{{OID: "2.5.4.10", Value: "Bänk €"}}}, "O=Bänk €"},
		{"TeletexString is Latin-1", [][]dntest.Attribute{dntest.RDN(dntest.Raw("2.5.4.10", dntest.TagTeletexString, []byte("B\xe4nk")))}, Name{{{OID: "2.5.4.10", Value: "Bänk"}}}, "O=Bänk"},
		{"IA5String", [][]dntest.Attribute{dntest.RDN(dntest.Raw("1.2.840.113549.1.9.1", asn1.TagIA5String, []byte("a@b.c")))}, Name{{{OID: "1.2.840.113549.1.9.1", Value: "a@b.c"}}}, "emailAddress=a@b.c"},
		{"separators in values", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.10", ` #1, "A+B"; <C>\ `))}, Name{{{OID: "2.5.4.10", Value: ` #1, "A+B"; <C>\ `}}}, `O=\ #1\, \"A\+B\"\; \<C\>\\\ `},
		{"leading number sign and controls", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.10", "#1\n\x00"))}, Name{{{OID: "2.5.4.10", Value: "#1\n\x00"}}}, `O=\#1\0A\00`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaf := dntest.Certificate(t, dntest.Subject(t, tc.subject...))
			got, err := ParseSubject(leaf.RawSubject)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if got.String() != tc.text {
				t.Errorf("text %s, want %s", got, tc.text)
			}
			back, err := Parse(got.String())
			if err != nil || !back.Equal(got) {
				t.Errorf("own text reads as %+v, %v", back, err)
			}
		})
	}
}

// String types that Go's x509 does not even parse, and values that are no strings.
func TestParseSubjectValues(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tag    int
		value  string
		want   string
		binary bool
	}{
		{"BMPString with a pair", asn1.TagBMPString, "\xd8\x3c\xdf\xe6", "🏦", false},
		{"VisibleString", tagVisible, "x", "x", false},
		{"NumericString", asn1.TagNumericString, "12 3", "12 3", false},
		{"UniversalString", dntest.TagUniversalString, "\x00\x01\xf3\xe6\x00\x00\x00x", "🏦x", false},
		{"INTEGER", asn1.TagInteger, "\x05", "#020105", true},
		{"OCTET STRING", asn1.TagOctetString, "\xff", "#0401ff", true},
		{"PrintableString with more than its characters", asn1.TagPrintableString, "a@b_*", "a@b_*", false},
		{"empty", asn1.TagUTF8String, "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseSubject(dntest.Subject(t, dntest.RDN(dntest.Raw("2.5.4.3", tc.tag, []byte(tc.value)))))
			want := Name{{{OID: "2.5.4.3", Value: tc.want, Binary: tc.binary}}}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	cn := func(tag int, value string) []byte {
		return dntest.Subject(t, dntest.RDN(dntest.Raw("2.5.4.3", tag, []byte(value))))
	}
	many := make([][]dntest.Attribute, 33)
	for i := range many {
		many[i] = dntest.RDN(dntest.UTF8String("2.5.4.11", fmt.Sprint(i)))
	}
	good := cn(asn1.TagUTF8String, "x")
	if _, err := ParseSubject(dntest.Subject(t, many[:32]...)); err != nil {
		t.Errorf("32 RDNs: %v", err)
	}
	for _, tc := range []struct {
		name string
		der  []byte
	}{
		{"nothing", nil},
		{"not a sequence", []byte{0x31, 0}},
		{"text after it", append(good[:len(good):len(good)], 0)},
		{"cut", good[:len(good)-1]},
		{"length longer than needed", append([]byte{0x30, 0x81, good[1]}, good[2:]...)},
		{"empty RDN", []byte{0x30, 2, 0x31, 0}},
		{"RDN a sequence", []byte{0x30, 2, 0x30, 0}},
		{"attribute without a value", []byte{0x30, 9, 0x31, 7, 0x30, 5, 6, 3, 0x55, 4, 3}},
		{"attribute with two values", []byte{0x30, 15, 0x31, 13, 0x30, 11, 6, 3, 0x55, 4, 3, 0x0c, 1, 'x', 0x0c, 1, 'y'}},
		{"attribute no sequence", []byte{0x30, 7, 0x31, 5, 6, 3, 0x55, 4, 3}},
		{"33 RDNs", dntest.Subject(t, many...)},
		{"33 attributes in an RDN", dntest.Subject(t, func() (r []dntest.Attribute) {
			for _, m := range many {
				r = append(r, m...)
			}
			return r
		}())},
		{"UTF8String that is not", cn(asn1.TagUTF8String, "\xff")},
		{"PrintableString above ASCII", cn(asn1.TagPrintableString, "B\xe4nk")},
		{"IA5String above ASCII", cn(asn1.TagIA5String, "B\xe4nk")},
		{"BMPString of odd length", cn(asn1.TagBMPString, "\x00a\x00")},
		{"BMPString with half a pair", cn(asn1.TagBMPString, "\xd8\x3c\x00a")},
		{"BMPString with the other half", cn(asn1.TagBMPString, "\xdf\xe6")},
		{"UniversalString of odd length", cn(dntest.TagUniversalString, "\x00\x00a")},
		{"UniversalString beyond Unicode", cn(dntest.TagUniversalString, "\x00\x11\x00\x00")},
		{"UniversalString negative", cn(dntest.TagUniversalString, "\xff\xff\xff\xff")},
		{"UniversalString with a surrogate", cn(dntest.TagUniversalString, "\x00\x00\xd8\x3c")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := ParseSubject(tc.der); err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
}
