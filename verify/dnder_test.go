package verify

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// attr is one attribute as it goes into the DER of a subject.
type attr struct {
	oid   string
	tag   int
	value []byte
}

func utf8String(oid, v string) attr      { return attr{oid, asn1.TagUTF8String, []byte(v)} }
func printableString(oid, v string) attr { return attr{oid, asn1.TagPrintableString, []byte(v)} }

func bmpString(oid, v string) attr {
	var b []byte
	for _, u := range utf16.Encode([]rune(v)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return attr{oid, asn1.TagBMPString, b}
}

func rdn(attributes ...attr) []attr { return attributes }

// subjectDER writes a Name in exactly this order, as a CA may.
func subjectDER(t testing.TB, rdns ...[]attr) []byte {
	t.Helper()
	var name []byte
	for _, r := range rdns {
		var set []byte
		for _, a := range r {
			oid := asn1.ObjectIdentifier{}
			for arc := range strings.SplitSeq(a.oid, ".") {
				n, err := strconv.Atoi(arc)
				if err != nil {
					t.Fatal(err)
				}
				oid = append(oid, n)
			}
			set = append(set, marshal(t, struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}{oid, asn1.RawValue{Tag: a.tag, Bytes: a.value}})...)
		}
		name = append(name, marshal(t, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: set})...)
	}
	return marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: name})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue makes a real certificate with the subject, valid for a day around noon.
func issue(t testing.TB, subject []byte, key crypto.Signer, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), RawSubject: subject,
		NotBefore: noon.Add(-12 * time.Hour), NotAfter: noon.Add(12 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	for _, f := range change {
		f(template)
	}
	ca := &x509.Certificate{RawSubject: subjectDER(t, rdn(utf8String("2.5.4.3", "CA")))}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), ec384Key())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func stdBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Names that Go's pkix.Name loses something of, read from real certificates.
func TestParseSubjectOfCertificate(t *testing.T) {
	for _, tc := range []struct {
		name    string
		subject [][]attr
		want    DN
		text    string
	}{
		{"order of the certificate",
			[][]attr{rdn(printableString("2.5.4.6", "GB")), rdn(utf8String("2.5.4.10", "Bank")), rdn(utf8String("2.5.4.97", "PSDGB-FCA-123456")), rdn(utf8String("2.5.4.3", "00158000"))},
			DN{{{OID: "2.5.4.6", Value: "GB"}}, {{OID: "2.5.4.10", Value: "Bank"}}, {{OID: "2.5.4.97", Value: "PSDGB-FCA-123456"}}, {{OID: "2.5.4.3", Value: "00158000"}}},
			"CN=00158000,organizationIdentifier=PSDGB-FCA-123456,O=Bank,C=GB"},
		{"unusual order is kept",
			[][]attr{rdn(utf8String("2.5.4.3", "x")), rdn(printableString("2.5.4.6", "GB")), rdn(utf8String("2.5.4.11", "u"))},
			DN{{{OID: "2.5.4.3", Value: "x"}}, {{OID: "2.5.4.6", Value: "GB"}}, {{OID: "2.5.4.11", Value: "u"}}},
			"OU=u,C=GB,CN=x"},
		{"two CN",
			[][]attr{rdn(utf8String("2.5.4.3", "first")), rdn(utf8String("2.5.4.3", "second"))},
			DN{{{OID: "2.5.4.3", Value: "first"}}, {{OID: "2.5.4.3", Value: "second"}}},
			"CN=second,CN=first"},
		{"multi-valued RDN",
			[][]attr{rdn(printableString("2.5.4.6", "GB")), rdn(utf8String("2.5.4.3", "x"), printableString("2.5.4.5", "42"))},
			DN{{{OID: "2.5.4.6", Value: "GB"}}, {{OID: "2.5.4.3", Value: "x"}, {OID: "2.5.4.5", Value: "42"}}},
			"CN=x+serialNumber=42,C=GB"},
		{"every short name",
			[][]attr{rdn(utf8String("0.9.2342.19200300.100.1.25", "com")), rdn(utf8String("0.9.2342.19200300.100.1.1", "u")), rdn(utf8String("1.2.840.113549.1.9.1", "a@b.c")),
				rdn(utf8String("1.3.6.1.4.1.311.60.2.1.3", "GB")), rdn(utf8String("2.5.4.15", "Private")), rdn(utf8String("2.5.4.9", "1 High St"))},
			DN{{{OID: "0.9.2342.19200300.100.1.25", Value: "com"}}, {{OID: "0.9.2342.19200300.100.1.1", Value: "u"}}, {{OID: "1.2.840.113549.1.9.1", Value: "a@b.c"}},
				{{OID: "1.3.6.1.4.1.311.60.2.1.3", Value: "GB"}}, {{OID: "2.5.4.15", Value: "Private"}}, {{OID: "2.5.4.9", Value: "1 High St"}}},
			"STREET=1 High St,businessCategory=Private,jurisdictionC=GB,emailAddress=a@b.c,UID=u,DC=com"},
		{"unknown type as OID", [][]attr{rdn(utf8String("1.2.3.4", "x"))}, DN{{{OID: "1.2.3.4", Value: "x"}}}, "1.2.3.4=x"},
		{"BMPString", [][]attr{rdn(bmpString("2.5.4.10", "Bänk €"))}, DN{{{OID: "2.5.4.10", Value: "Bänk €"}}}, "O=Bänk €"},
		{"TeletexString is Latin-1", [][]attr{rdn(attr{"2.5.4.10", tagTeletex, []byte("B\xe4nk")})}, DN{{{OID: "2.5.4.10", Value: "Bänk"}}}, "O=Bänk"},
		{"IA5String", [][]attr{rdn(attr{"1.2.840.113549.1.9.1", asn1.TagIA5String, []byte("a@b.c")})}, DN{{{OID: "1.2.840.113549.1.9.1", Value: "a@b.c"}}}, "emailAddress=a@b.c"},
		{"separators in values", [][]attr{rdn(utf8String("2.5.4.10", ` #1, "A+B"; <C>\ `))}, DN{{{OID: "2.5.4.10", Value: ` #1, "A+B"; <C>\ `}}}, `O=\ #1\, \"A\+B\"\; \<C\>\\\ `},
		{"leading number sign and controls", [][]attr{rdn(utf8String("2.5.4.10", "#1\n\x00"))}, DN{{{OID: "2.5.4.10", Value: "#1\n\x00"}}}, `O=\#1\0A\00`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaf := issue(t, subjectDER(t, tc.subject...), ecKey())
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
			back, err := ParseDN(got.String())
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
		{"UniversalString", tagUniversal, "\x00\x01\xf3\xe6\x00\x00\x00x", "🏦x", false},
		{"INTEGER", asn1.TagInteger, "\x05", "#020105", true},
		{"OCTET STRING", asn1.TagOctetString, "\xff", "#0401ff", true},
		{"PrintableString with more than its characters", asn1.TagPrintableString, "a@b_*", "a@b_*", false},
		{"empty", asn1.TagUTF8String, "", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseSubject(subjectDER(t, rdn(attr{"2.5.4.3", tc.tag, []byte(tc.value)})))
			want := DN{{{OID: "2.5.4.3", Value: tc.want, Binary: tc.binary}}}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseSubjectRefuses(t *testing.T) {
	cn := func(tag int, value string) []byte {
		return subjectDER(t, rdn(attr{"2.5.4.3", tag, []byte(value)}))
	}
	many := make([][]attr, 33)
	for i := range many {
		many[i] = rdn(utf8String("2.5.4.11", fmt.Sprint(i)))
	}
	good := cn(asn1.TagUTF8String, "x")
	if _, err := ParseSubject(subjectDER(t, many[:32]...)); err != nil {
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
		{"33 RDNs", subjectDER(t, many...)},
		{"33 attributes in an RDN", subjectDER(t, func() (r []attr) {
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
		{"UniversalString of odd length", cn(tagUniversal, "\x00\x00a")},
		{"UniversalString beyond Unicode", cn(tagUniversal, "\x00\x11\x00\x00")},
		{"UniversalString negative", cn(tagUniversal, "\xff\xff\xff\xff")},
		{"UniversalString with a surrogate", cn(tagUniversal, "\x00\x00\xd8\x3c")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := ParseSubject(tc.der); err == nil {
				t.Errorf("read as %+v", got)
			}
		})
	}
}
