package verify

import (
	"encoding/asn1"
	"testing"
)

// checkName holds what must be true of every accepted name.
func checkName(t *testing.T, d DN) {
	t.Helper()
	if !d.Equal(d) || d.Canonical() == "" {
		t.Fatalf("%+v does not equal itself", d)
	}
	reversed := make(DN, len(d))
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

func FuzzParseDN(f *testing.F) {
	for _, seed := range []string{
		"CN=x,O=Bank,C=GB", "/C=GB/O=A/B Ltd/CN=x", `O="Bank, ""Ltd""",CN=a\2Cb\,c\ `, "CN=x+serialNumber=42;OID.2.5.4.97=PSDGB-1",
		"2.5.4.97=#0c0750534447422d31", "CN=#0201ff", "CN=#1e0400610062", "CN=#1404ffe4f6fc", "O=Ｂänk\u00a0\u00ad ", " CN = x , O = y ", `CN=\00`, "=", "CN=", `CN=\`, "ſ=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDN(text)
		if err != nil {
			return
		}
		if len(text) > MaxDN {
			t.Fatalf("%d bytes accepted", len(text))
		}
		checkName(t, d)
		written := d.String()
		if len(written) > MaxDN {
			return // escapes and names may be longer than what was read
		}
		again, err := ParseDN(written)
		if err != nil || !again.Equal(d) {
			t.Fatalf("%q is written %q, read as %+v, %v", text, written, again, err)
		}
	})
}

func FuzzParseSubject(f *testing.F) {
	for _, rdns := range [][][]attr{
		{rdn(printableString("2.5.4.6", "GB")), rdn(utf8String("2.5.4.97", "PSDGB-FCA-123456")), rdn(utf8String("2.5.4.3", "x"))},
		{rdn(utf8String("2.5.4.3", "x"), bmpString("2.5.4.10", "Bänk 🏦")), rdn(attr{"2.5.4.11", tagTeletexString, []byte("\xe4 ")})},
		{rdn(attr{"2.5.4.3", tagUniversalString, []byte("\x00\x01\xf3\xe6")}), rdn(attr{"1.2.3", asn1.TagInteger, []byte{5}})},
		{rdn(utf8String("2.5.4.3", ` #"+,;<=>\ `)), rdn(utf8String("2.5.4.3", "\x00\x7f\n"))},
		{},
	} {
		f.Add(subjectDER(f, rdns...))
	}
	f.Add([]byte{0x30, 2, 0x31, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		d, err := ParseSubject(der)
		if err != nil || len(d) == 0 {
			return
		}
		checkName(t, d)
		written := d.String()
		if len(written) > MaxDN {
			return
		}
		again, err := ParseDN(written)
		if err != nil || !again.Equal(d) {
			t.Fatalf("%x is written %q, read as %+v, %v", der, written, again, err)
		}
		if _, err := asn1.Unmarshal(der, new(asn1.RawValue)); err != nil {
			t.Fatalf("%x is no DER: %v", der, err)
		}
	})
}
