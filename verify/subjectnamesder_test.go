package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// Tags that encoding/asn1 does not know.
const (
	tagTeletexString   = 20
	tagUniversalString = 28
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

// selfSigned makes a real certificate with the subject.
func selfSigned(t testing.TB, subject []byte) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), RawSubject: subject, NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func ia5String(oid, v string) attr { return attr{oid, asn1.TagIA5String, []byte(v)} }
