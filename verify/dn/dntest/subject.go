// Package dntest makes the DER of names, and certificates with them, for tests.
package dntest

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
	TagTeletexString   = 20
	TagVisibleString   = 26
	TagUniversalString = 28
)

// Attribute is one attribute as it goes into the DER of a subject.
type Attribute struct {
	OID   string
	Tag   int
	Value []byte
}

// UTF8String is an attribute of the type that RFC 5280 wants.
func UTF8String(oid, v string) Attribute { return Attribute{oid, asn1.TagUTF8String, []byte(v)} }

// PrintableString is one of the older type.
func PrintableString(oid, v string) Attribute {
	return Attribute{oid, asn1.TagPrintableString, []byte(v)}
}

// BMPString is one of UTF-16.
func BMPString(oid, v string) Attribute {
	var b []byte
	for _, u := range utf16.Encode([]rune(v)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return Attribute{oid, asn1.TagBMPString, b}
}

// Raw is an attribute with a value of any type.
func Raw(oid string, tag int, value []byte) Attribute { return Attribute{oid, tag, value} }

// RDN is the attributes of one RDN.
func RDN(attributes ...Attribute) []Attribute { return attributes }

// Subject writes a Name in exactly this order, as a CA may.
func Subject(t testing.TB, rdns ...[]Attribute) []byte {
	t.Helper()
	var name []byte
	for _, r := range rdns {
		var set []byte
		for _, a := range r {
			oid := asn1.ObjectIdentifier{}
			for arc := range strings.SplitSeq(a.OID, ".") {
				n, err := strconv.Atoi(arc)
				if err != nil {
					t.Fatal(err)
				}
				oid = append(oid, n)
			}
			set = append(set, Marshal(t, struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}{oid, asn1.RawValue{Tag: a.Tag, Bytes: a.Value}})...)
		}
		name = append(name, Marshal(t, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: set})...)
	}
	return Marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: name})
}

// Marshal is DER, fatal when there is none.
func Marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Certificate makes a real certificate with the subject.
func Certificate(t testing.TB, subject []byte) *x509.Certificate {
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

// IA5String is one of ASCII.
func IA5String(oid, v string) Attribute { return Attribute{oid, asn1.TagIA5String, []byte(v)} }
