package dn

import (
	"encoding/asn1"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// checkName holds what must be true of every accepted name.
func checkName(t *testing.T, d Name) {
	t.Helper()
	if !d.Equal(d) || d.Canonical() == "" {
		t.Fatalf("%+v does not equal itself", d)
	}
	reversed := make(Name, len(d))
	for i, rdn := range d {
		for j := range rdn {
			reversed[len(d)-1-i] = append(reversed[len(d)-1-i], rdn[len(rdn)-1-j])
		}
	}
	if !d.Equal(reversed) || !reversed.Equal(d) {
		t.Fatalf("%+v does not equal itself reversed", d)
	}
	longer := append(d[:len(d):len(d)], RDN{{OID: "1.2.3", Value: "x"}})
	if d.Equal(longer) || d.Equal(d[:len(d)-1]) {
		t.Fatalf("%+v equals a longer or shorter name", d)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"CN=x,O=Bank,C=GB", "/C=GB/O=A/B Ltd/CN=x", `O="Bank, ""Ltd""",CN=a\2Cb\,c\ `, "CN=x+serialNumber=42;OID.2.5.4.97=PSDGB-1",
		"2.5.4.97=#0c0750534447422d31", "CN=#0201ff", "CN=#1e0400610062", "CN=#1404ffe4f6fc", "O=Ｂänk\u00a0\u00ad ", " CN = x , O = y ", `CN=\00`, "=", "CN=", `CN=\`, "ſ=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			return
		}
		if len(text) > MaxLength {
			t.Fatalf("%d bytes accepted", len(text))
		}
		checkName(t, d)
		written := d.String()
		if len(written) > MaxLength {
			return // escapes and names may be longer than what was read
		}
		again, err := Parse(written)
		if err != nil || !again.Equal(d) {
			t.Fatalf("%q is written %q, read as %+v, %v", text, written, again, err)
		}
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, rdns := range [][][]dntest.Attribute{
		{dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-123456")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))},
		{dntest.RDN(dntest.UTF8String("2.5.4.3", "x"), dntest.BMPString("2.5.4.10", "Bänk 🏦")), dntest.RDN(dntest.Raw("2.5.4.11", dntest.TagTeletexString, []byte("\xe4 ")))},
		{dntest.RDN(dntest.Raw("2.5.4.3", dntest.TagUniversalString, []byte("\x00\x01\xf3\xe6"))), dntest.RDN(dntest.Raw("1.2.3", asn1.TagInteger, []byte{5}))},
		{dntest.RDN(dntest.UTF8String("2.5.4.3", ` #"+,;<=>\ `)), dntest.RDN(dntest.UTF8String("2.5.4.3", "\x00\x7f\n"))},
		{},
	} {
		f.Add(dntest.Subject(f, rdns...))
	}
	f.Add([]byte{0x30, 2, 0x31, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		d, err := ParseSubject(der)
		if err != nil || len(d) == 0 {
			return
		}
		checkName(t, d)
		written := d.String()
		if len(written) > MaxLength {
			return
		}
		again, err := Parse(written)
		if err != nil || !again.Equal(d) {
			t.Fatalf("%x is written %q, read as %+v, %v", der, written, again, err)
		}
		if _, err := asn1.Unmarshal(der, new(asn1.RawValue)); err != nil {
			t.Fatalf("%x is no DER: %v", der, err)
		}
	})
}
