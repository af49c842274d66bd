package verify

import (
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

func TestParsePSPIdentifier(t *testing.T) {
	for text, want := range map[string]PSPIdentifier{
		"PSDGB-FCA-730427":                   {"GB", "FCA", "730427"},
		"PSDGB-OB-Unknown0015800001HQQrZAAX": {"GB", "OB", "Unknown0015800001HQQrZAAX"},
		"PSDES-BDE-3DFD21":                   {"ES", "BDE", "3DFD21"},
		"PSDDE-BAFINABC-1-2":                 {"DE", "BAFINABC", "1-2"},
		"":                                   {}, "PSD": {}, "PSDGB": {}, "PSDGB-FCA": {}, "PSDGB-FCA-": {}, "PSDGB--730427": {}, "PSDGB-F-730427": {},
		"PSDGB-BAFINABCD-1": {}, "PSDG-FCA-1": {}, "PSDGBR-FCA-1": {}, "psdgb-fca-1": {}, "PSDgb-FCA-1": {}, "PSDGB-FC4-1": {}, "VATGB-FCA-1": {}, " PSDGB-FCA-1": {}, "PSDGB FCA 1": {},
	} {
		got, err := ParsePSPIdentifier(text)
		if got != want || (err == nil) != (want != PSPIdentifier{}) {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestOrganizationIdentifier(t *testing.T) {
	const oid = dn.OrganizationIdentifier
	for _, tc := range []struct {
		name    string
		subject [][]dntest.Attribute
		want    string
		refused string
	}{
		{"one", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.3", "x")), dntest.RDN(dntest.UTF8String(oid, "PSDGB-FCA-1"))}, "PSDGB-FCA-1", ""},
		{"beside another attribute", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.3", "x"), dntest.PrintableString(oid, "PSDGB-FCA-1"))}, "PSDGB-FCA-1", ""},
		{"none", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.3", "PSDGB-FCA-1"))}, "", "has no organizationIdentifier"},
		{"empty", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(oid, ""))}, "", "has no organizationIdentifier"},
		{"no string", [][]dntest.Attribute{dntest.RDN(dntest.Raw(oid, asn1.TagInteger, []byte{1}))}, "", "has no organizationIdentifier"},
		{"two", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(oid, "PSDGB-FCA-1")), dntest.RDN(dntest.UTF8String(oid, "PSDGB-FCA-2"))}, "", "more than one"},
		{"two in one RDN", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(oid, "PSDGB-FCA-1"), dntest.UTF8String(oid, "PSDGB-FCA-1"))}, "", "more than one"},
		{"one and one that is no string", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(oid, "PSDGB-FCA-1")), dntest.RDN(dntest.Raw(oid, asn1.TagInteger, []byte{1}))}, "", "more than one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			subject, err := dn.ParseSubject(dntest.Subject(t, tc.subject...))
			if err != nil {
				t.Fatal(err)
			}
			got, err := (&Certificate{Subject: subject}).OrganizationIdentifier()
			if got != tc.want || (err == nil) != (tc.refused == "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
