package verify

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// The statements are written with encoding/asn1, apart from the code under test.

func asn1OID(t testing.TB, dotted string) []byte {
	t.Helper()
	oid, err := x509.ParseOID(dotted)
	if err != nil {
		t.Fatal(err)
	}
	der, err := oid.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return dntest.Marshal(t, asn1.RawValue{Tag: asn1.TagOID, Bytes: der})
}

func sequence(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	return dntest.Marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: bytes.Join(parts, nil)})
}

func utf8DER(t testing.TB, s string) []byte {
	t.Helper()
	return dntest.Marshal(t, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)})
}

func role(t testing.TB, oid, name string) []byte {
	t.Helper()
	return sequence(t, asn1OID(t, oid), utf8DER(t, name))
}

// psd2 is the statement of TS 119 495.
func psd2(t testing.TB, ncaName, ncaID string, roles ...[]byte) []byte {
	t.Helper()
	return sequence(t, asn1OID(t, "0.4.0.19495.2"), sequence(t, sequence(t, roles...), utf8DER(t, ncaName), utf8DER(t, ncaID)))
}

func qcType(t testing.TB, types ...string) []byte {
	t.Helper()
	var list []byte
	for _, oid := range types {
		list = append(list, asn1OID(t, oid)...)
	}
	return sequence(t, asn1OID(t, "0.4.0.1862.1.6"), sequence(t, list))
}

func withStatements(value []byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: value})
	}
}

const (
	oidAS, oidPI, oidAI, oidIC = "0.4.0.19495.1.1", "0.4.0.19495.1.2", "0.4.0.19495.1.3", "0.4.0.19495.1.4"
	oidCompliance              = "0.4.0.1862.1.1"
	oidESeal, oidWeb           = "0.4.0.1862.1.6.2", "0.4.0.1862.1.6.3"
)

func TestQCStatements(t *testing.T) {
	fca := func(roles ...string) *PSD2 { return &PSD2{roles, "Financial Conduct Authority", "GB-FCA"} }
	compliance := sequence(t, asn1OID(t, oidCompliance))
	// What the Open Banking directory has its members put into an OBSeal's request.
	obSeal, err := hex.DecodeString("30713013060604008e4601063009060704008e46010602305a06060400819827023050303930110607040081982701020c065053505f504930110607040081982701030c065053505f414930110607040081982701040c065053505f49430c0c4f70656e2042616e6b696e670c0547422d4f42")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		der  []byte
		want QCStatements
		qwac bool
	}{
		{"QWAC of a PSP", sequence(t, compliance, qcType(t, oidWeb), psd2(t, "Financial Conduct Authority", "GB-FCA", role(t, oidPI, "PSP_PI"), role(t, oidAI, "PSP_AI"))),
			QCStatements{true, []string{"web"}, fca("PSP_PI", "PSP_AI")}, true},
		{"every role, in the order of the certificate", sequence(t, psd2(t, "Financial Conduct Authority", "GB-FCA", role(t, oidIC, "PSP_IC"), role(t, oidAI, "PSP_AI"), role(t, oidPI, "PSP_PI"), role(t, oidAS, "PSP_AS"))),
			QCStatements{PSD2: fca("PSP_IC", "PSP_AI", "PSP_PI", "PSP_AS")}, false},
		{"OBSeal", obSeal, QCStatements{Types: []string{"eseal"}, PSD2: &PSD2{[]string{"PSP_PI", "PSP_AI", "PSP_IC"}, "Open Banking", "GB-OB"}}, false},
		{"qualified seal", sequence(t, compliance, qcType(t, oidESeal)), QCStatements{Compliance: true, Types: []string{"eseal"}}, false},
		{"web, not qualified", sequence(t, qcType(t, oidWeb)), QCStatements{Types: []string{"web"}}, false},
		{"qualified, of no type", sequence(t, compliance), QCStatements{Compliance: true}, false},
		{"several types", sequence(t, compliance, qcType(t, "0.4.0.1862.1.6.1", "0.4.0.1862.1.6.9", oidWeb)), QCStatements{Compliance: true, Types: []string{"esign", "web"}}, true},
		{"statements that nobody knows", sequence(t, sequence(t, asn1OID(t, "0.4.0.1862.1.5"), sequence(t, sequence(t, utf8DER(t, "https://ca.example/pds"), utf8DER(t, "en")))),
			sequence(t, asn1OID(t, "2.25.340282366920938463463374607431768211455")), qcType(t, oidWeb)), QCStatements{Types: []string{"web"}}, false},
		{"role that nobody knows", sequence(t, psd2(t, "Financial Conduct Authority", "GB-FCA", role(t, "0.4.0.19495.1.5", "XS2A"), role(t, oidAI, "PSP_AI"))), QCStatements{PSD2: fca("PSP_AI")}, false},
		{"only a role that nobody knows", sequence(t, psd2(t, "Financial Conduct Authority", "GB-FCA", role(t, "1.2.3", "x"))), QCStatements{PSD2: fca()}, false},
		{"an OID of 64 bytes", sequence(t, sequence(t, append([]byte{6, 64}, bytes.Repeat([]byte{1}, 64)...)), qcType(t, oidWeb)), QCStatements{Types: []string{"web"}}, false},
		{"names of 256 characters", sequence(t, psd2(t, strings.Repeat("ß", 256), "x", role(t, oidAI, "PSP_AI"))),
			QCStatements{PSD2: &PSD2{[]string{"PSP_AI"}, strings.Repeat("ß", 256), "x"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := certificate(t, withStatements(tc.der)).QCStatements()
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v %+v, %v", got, got.PSD2, err)
			}
			if got.QWAC() != tc.qwac {
				t.Errorf("QWAC is %v", got.QWAC())
			}
		})
	}
	if got, err := certificate(t).QCStatements(); err != nil || !reflect.DeepEqual(got, QCStatements{}) {
		t.Errorf("without the extension: %+v, %v", got, err)
	}
}

func TestQCStatementsRefuses(t *testing.T) {
	ai, oid := role(t, oidAI, "PSP_AI"), asn1OID(t, "0.4.0.19495.2")
	good := sequence(t, psd2(t, "FCA", "GB-FCA", ai))
	statement := func(info ...[]byte) []byte { return sequence(t, sequence(t, slices.Concat([][]byte{oid}, info)...)) }
	printable := dntest.Marshal(t, asn1.RawValue{Tag: asn1.TagPrintableString, Bytes: []byte("GB-FCA")})
	name, id := utf8DER(t, "FCA"), utf8DER(t, "GB-FCA")
	var many, manyRoles [][]byte
	for i := range byte(33) {
		many = append(many, sequence(t, []byte{6, 2, 0x2a, i}))
		manyRoles = append(manyRoles, sequence(t, []byte{6, 2, 0x2a, i}, name))
	}
	for _, tc := range []struct {
		name, want string
		der        []byte
	}{
		{"nothing", "not a sequence", nil},
		{"no statement", "not a sequence", sequence(t)},
		{"no sequence", "not a sequence", ai[2:]},
		{"text after it", "not a sequence", append(slices.Clone(good), 0)},
		{"cut", "not a sequence", good[:len(good)-1]},
		{"length longer than needed", "not a sequence", append([]byte{0x30, 0x81, good[1]}, good[2:]...)},
		{"indefinite length", "not a sequence", append(append([]byte{0x30, 0x80}, good[2:]...), 0, 0)},
		{"over 8 KiB", "longer than 8192", sequence(t, sequence(t, asn1OID(t, "1.2.3"), utf8DER(t, strings.Repeat("x", 8192))))},
		{"33 statements", "more than 32", sequence(t, many...)},
		{"statement no sequence", "malformed statement", sequence(t, oid)},
		{"statement without OID", "malformed object identifier", sequence(t, sequence(t, name))},
		{"OID with a padded arc", "malformed object identifier", sequence(t, sequence(t, []byte{6, 3, 0x2a, 0x80, 1}))},
		{"OID of 65 bytes", "malformed object identifier", sequence(t, sequence(t, append([]byte{6, 65}, bytes.Repeat([]byte{1}, 65)...)))},
		{"statement twice", "is there twice", sequence(t, psd2(t, "FCA", "GB-FCA", ai), psd2(t, "FCA", "GB-FCA", role(t, oidPI, "PSP_PI")))},
		{"unknown statement twice", "is there twice", sequence(t, many[0], many[0])},
		{"unknown statement with two values", "malformed", sequence(t, sequence(t, asn1OID(t, "1.2.3"), name, name))},
		{"compliance with content", "has content", sequence(t, sequence(t, asn1OID(t, oidCompliance), name))},
		{"type no sequence", "not a sequence of types", sequence(t, sequence(t, asn1OID(t, "0.4.0.1862.1.6"), asn1OID(t, oidWeb)))},
		{"type empty", "not a sequence of types", sequence(t, qcType(t))},
		{"type absent", "not a sequence of types", sequence(t, sequence(t, asn1OID(t, "0.4.0.1862.1.6")))},
		{"type with two values", "not a sequence of types", sequence(t, sequence(t, asn1OID(t, "0.4.0.1862.1.6"), sequence(t, asn1OID(t, oidWeb)), name))},
		{"type no OID", "malformed object identifier", sequence(t, sequence(t, asn1OID(t, "0.4.0.1862.1.6"), sequence(t, name)))},
		{"type twice", "type web is there twice", sequence(t, qcType(t, oidWeb, oidWeb))},
		{"PSD2 without content", "malformed", statement()},
		{"PSD2 no sequence", "malformed", statement(name)},
		{"PSD2 with two values", "malformed", statement(sequence(t, sequence(t, ai), name, id), name)},
		{"roles no sequence", "malformed", statement(sequence(t, name, id))},
		{"no role", "has no role", statement(sequence(t, sequence(t), name, id))},
		{"17 roles", "more than 16 roles", statement(sequence(t, sequence(t, manyRoles[:17]...), name, id))},
		{"role no sequence", "malformed role", statement(sequence(t, sequence(t, name), name, id))},
		{"role without OID", "malformed object identifier", statement(sequence(t, sequence(t, sequence(t, name)), name, id))},
		{"role without name", "is no UTF8String", statement(sequence(t, sequence(t, sequence(t, asn1OID(t, oidAI))), name, id))},
		{"role with more", "goes on after its name", statement(sequence(t, sequence(t, sequence(t, asn1OID(t, oidAI), utf8DER(t, "PSP_AI"), name)), name, id))},
		{"role twice", "role PSP_AI is there twice", sequence(t, psd2(t, "FCA", "GB-FCA", ai, ai))},
		{"role with the name of another", "is named \"PSP_PI\"", sequence(t, psd2(t, "FCA", "GB-FCA", role(t, oidAI, "PSP_PI")))},
		{"role in lower case", "is named \"psp_ai\"", sequence(t, psd2(t, "FCA", "GB-FCA", role(t, oidAI, "psp_ai")))},
		{"unknown role with the name of a known one", "is named \"PSP_PI\"", sequence(t, psd2(t, "FCA", "GB-FCA", role(t, "1.2.3", "PSP_PI")))},
		{"role name not UTF-8", "is not UTF-8", sequence(t, psd2(t, "FCA", "GB-FCA", role(t, "1.2.3", "\xff")))},
		{"name empty", "nCAName is empty", sequence(t, psd2(t, "", "GB-FCA", ai))},
		{"name of 257 characters", "nCAName is empty or longer", sequence(t, psd2(t, strings.Repeat("ß", 257), "GB-FCA", ai))},
		{"name not UTF-8", "nCAName is not UTF-8", sequence(t, psd2(t, "\xff", "GB-FCA", ai))},
		{"name with a line break", "nCAName has a control", sequence(t, psd2(t, "F\nCA", "GB-FCA", ai))},
		{"id absent", "nCAId is no UTF8String", statement(sequence(t, sequence(t, ai), name))},
		{"id a PrintableString", "nCAId is no UTF8String", statement(sequence(t, sequence(t, ai), name, printable))},
		{"id empty", "nCAId is empty", sequence(t, psd2(t, "FCA", "", ai))},
		{"more after the id", "goes on after the nCAId", statement(sequence(t, sequence(t, ai), name, id, id))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := certificate(t, withStatements(tc.der)) // good for TLS all the same
			got, err := c.QCStatements()
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "its QCStatements cannot be read: ") {
				t.Errorf("got %+v, %v", got, err)
			}
			if !reflect.DeepEqual(got, QCStatements{}) {
				t.Errorf("something is returned beside the error: %+v", got)
			}
		})
	}
	c := certificate(t, withStatements(good))
	c.Leaf.Extensions = append(c.Leaf.Extensions, c.Leaf.Extensions[len(c.Leaf.Extensions)-1])
	if _, err := c.QCStatements(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("an extension that is there twice: %v", err)
	}
}
