package verify

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// subjectCertificate issues and reads one with this subject.
func subjectCertificate(t testing.TB, rdns ...[]dntest.Attribute) *Certificate {
	t.Helper()
	c, err := ReadCertificate(issue(t, dntest.Subject(t, rdns...), ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantText checks a plain error, whose text goes on after "client certificate".
func wantText(t *testing.T, err error, word string) {
	t.Helper()
	if word == "" {
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("got %v, want %q", err, word)
	}
	if refused := (*refusal.Error)(nil); errors.As(err, &refused) {
		t.Errorf("%#v is no plain error", err)
	}
}

func TestBindCommonName(t *testing.T) {
	const c, o, ou, cn = "2.5.4.6", "2.5.4.10", "2.5.4.11", "2.5.4.3"
	gb, bank := dntest.RDN(dntest.PrintableString(c, "GB")), dntest.RDN(dntest.UTF8String(o, "OpenBanking"))
	s := &SoftwareStatement{SoftwareID: "oQ4KoaavpOuoE7rvQsZEOV", OrgID: "0015800001HQQrZAAX"}
	id, org := dntest.RDN(dntest.UTF8String(cn, s.SoftwareID)), dntest.RDN(dntest.UTF8String(ou, s.OrgID))
	for _, tc := range []struct {
		name    string
		subject [][]dntest.Attribute
		refused string
	}{
		{"Open Banking transport certificate", [][]dntest.Attribute{gb, bank, org, id}, ""},
		{"without OU", [][]dntest.Attribute{gb, bank, id}, ""},
		{"in another order", [][]dntest.Attribute{id, org, bank, gb}, ""},
		{"in one RDN", [][]dntest.Attribute{gb, dntest.RDN(dntest.PrintableString(cn, s.SoftwareID), dntest.PrintableString(ou, s.OrgID))}, ""},
		{"CN of another software", [][]dntest.Attribute{gb, bank, org, dntest.RDN(dntest.UTF8String(cn, "another"))}, `has CN "another", but the software statement is for "oQ4KoaavpOuoE7rvQsZEOV"; connect with`},
		{"CN in other case", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(cn, "OQ4KOAAVPOUOE7RVQSZEOV"))}, "has CN"},
		{"CN with a blank", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(cn, s.SoftwareID+" "))}, "has CN"},
		{"CN longer", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(cn, s.SoftwareID+"x"))}, "has CN"},
		{"CN look-alike", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(cn, strings.Replace(s.SoftwareID, "a", "\u0430", 1)))}, "has CN"},
		{"no CN", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(o, s.SoftwareID))}, "has no CN"},
		{"empty CN", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(cn, ""))}, "has no CN"},
		{"two CNs, the last one right", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(cn, "another")), id}, "more than one CN"},
		{"two CNs, the first one right", [][]dntest.Attribute{org, id, dntest.RDN(dntest.UTF8String(cn, "another"))}, "more than one CN"},
		{"OU of another organisation", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(ou, "001")), id}, `has OU "001", but the software statement is of organisation "0015800001HQQrZAAX"`},
		{"OU in other case", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(ou, strings.ToLower(s.OrgID))), id}, "has OU"},
		{"two OUs", [][]dntest.Attribute{org, dntest.RDN(dntest.UTF8String(ou, "001")), id}, "more than one OU"},
		{"empty OU", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String(ou, "")), id}, "has no OU"},
		{"no subject", nil, "has no CN"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantText(t, BindCertificate(t.Context(), []string{BindCommonName}, subjectCertificate(t, tc.subject...), s), tc.refused)
		})
	}
}

func TestBindOrganizationIdentifier(t *testing.T) {
	authority := func(id, number string) string {
		return jsonOf(map[string]any{"organisation_competent_authority_claims": map[string]any{"authority_id": id, "registration_id": number, "status": "Active"}})
	}
	monzo := authority("FCAGBR", "730427")
	for _, tc := range []struct{ name, claims, identifier, refused string }{
		{"registered with the FCA", monzo, "PSDGB-FCA-730427", ""},
		{"registered with the directory", authority("OBGBR", "Unknown0015800001HQQrZAAX"), "PSDGB-OB-Unknown0015800001HQQrZAAX", ""},
		{"registered in another country", authority("CBIIRL", "C1-2"), "PSDIE-CBI-C1-2", ""},
		{"org_id of the directory", monzo, "PSDGB-OB-0015800001HQQrZAAX", ""},
		{"org_id of the directory, unknown to an authority", monzo, "PSDGB-OB-Unknown0015800001HQQrZAAX", ""},
		{"org_id, and nothing of an authority", "{}", "PSDGB-OB-0015800001HQQrZAAX", ""},
		{"org_id, and null of an authority", `{"organisation_competent_authority_claims":null}`, "PSDGB-OB-0015800001HQQrZAAX", ""},
		{"number of another", monzo, "PSDGB-FCA-730428", `has organizationIdentifier "PSDGB-FCA-730428", which is not organisation "0015800001HQQrZAAX"`},
		{"number longer", monzo, "PSDGB-FCA-7304270", "which is not organisation"},
		{"number shorter", monzo, "PSDGB-FCA-73042", "which is not organisation"},
		{"same number of another authority", monzo, "PSDGB-PRA-730427", "which is not organisation"},
		{"same number in another country", monzo, "PSDIE-FCA-730427", "which is not organisation"},
		{"authority and country cut otherwise", authority("FCAGBR", "1"), "PSDGB-FC-1", "which is not organisation"},
		{"country that is none", authority("FCA", "1"), "PSDXX-FCA-1", "which is not organisation"},
		{"authority without a country", authority("FMA", "1"), "PSDAT-FMA-1", "which is not organisation"},
		{"org_id of another", monzo, "PSDGB-OB-0015800001HQQrZAAY", "which is not organisation"},
		{"org_id in other case", monzo, "PSDGB-OB-0015800001hqqrzaax", "which is not organisation"},
		{"org_id under the FCA", monzo, "PSDGB-FCA-0015800001HQQrZAAX", "which is not organisation"},
		{"org_id in another country", monzo, "PSDIE-OB-0015800001HQQrZAAX", "which is not organisation"},
		{"nothing of an authority", "{}", "PSDGB-FCA-730427", "which is not organisation"},
		{"null of an authority", `{"organisation_competent_authority_claims":null}`, "PSDGB-FCA-730427", "which is not organisation"},
		{"empty text of an authority", `{"organisation_competent_authority_claims":""}`, "PSDGB-FCA-730427", "which is not organisation"},
		{"empty list of authorities", `{"organisation_competent_authority_claims":[]}`, "PSDGB-FCA-730427", "which is not organisation"},
		{"number absent", `{"organisation_competent_authority_claims":{"authority_id":"FCAGBR"}}`, "PSDGB-FCA-730427", "which is not organisation"},
		{"claims are a list", `{"organisation_competent_authority_claims":[{"authority_id":"FCAGBR","registration_id":"730427"}]}`, "PSDGB-FCA-730427", "organisation_competent_authority_claims is an array, not an object"},
		{"authority is a number", `{"organisation_competent_authority_claims":{"authority_id":1}}`, "PSDGB-FCA-730427", "organisation_competent_authority_claims: authority_id is a number"},
		{"number is a number", `{"organisation_competent_authority_claims":{"authority_id":"FCAGBR","registration_id":730427}}`, "PSDGB-FCA-730427", "registration_id is a number"},
		{"name of the organisation", `{"org_name":"PSDGB-FCA-730427","org_id":"PSDGB-FCA-730427","software_id":"PSDGB-FCA-730427"}`, "PSDGB-FCA-730427", "which is not organisation"},
		{"VAT number", monzo, "VATGB-123456", `cannot be compared: "VATGB-123456" is not like PSDGB-FCA-123456`},
		{"bare number", monzo, "730427", "cannot be compared"},
		{"empty", monzo, "", "has no organizationIdentifier"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &SoftwareStatement{OrgID: "0015800001HQQrZAAX", SoftwareID: "oQ4KoaavpOuoE7rvQsZEOV", Claims: objectOf(t, tc.claims)}
			cert := subjectCertificate(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "0015800001HQQrZAAX")), dntest.RDN(dntest.UTF8String(dn.OrganizationIdentifier, tc.identifier)))
			wantText(t, BindCertificate(t.Context(), []string{BindOrganizationIdentifier}, cert, s), tc.refused)
		})
	}
	if len(countries) != 31 { // the European Economic Area and the United Kingdom
		t.Errorf("%d countries", len(countries))
	}
}

func TestBindSSAJWKS(t *testing.T) {
	cn := func(v string) []byte { return dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", v))) }
	own, renewed := subjectCertificate(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), subjectCertificate(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	other := issue(t, cn("other"), ecKey())
	jwk := func(kid, use string, chain ...*x509.Certificate) string {
		var x5c []string
		for _, c := range chain {
			x5c = append(x5c, stdBase64(c.Raw))
		}
		return `{"x5c":` + jsonOf(x5c) + `,` + jwkOf(ecKey().Public(), "kid", kid, "use", use)[1:]
	}
	set := func(jwks ...string) []Key { return parseKeys(t, jwks...) }
	published, signing := set(jwk("a", "sig", other), jwk("b", "tls", other), jwk("c", "tls", own.Leaf, other)), set(jwkOf(ecKey().Public(), "use", "sig"))
	down := errors.New("down")
	for _, tc := range []struct {
		name            string
		software, org   *scriptedKeys
		refused         string
		unavailable     bool
		asked, refreshd int // of the organisation's
	}{
		{"of the software", &scriptedKeys{keys: published}, &scriptedKeys{keys: signing}, "", false, 0, 0},
		{"of the organisation", &scriptedKeys{keys: signing}, &scriptedKeys{keys: published}, "", false, 1, 0},
		{"of the organisation, while the software's cannot be fetched", &scriptedKeys{err: down, refreshErr: down}, &scriptedKeys{keys: published}, "", false, 1, 0},
		{"after one more fetch", &scriptedKeys{keys: signing, refreshed: published}, &scriptedKeys{keys: signing, refreshed: signing}, "", false, 1, 0},
		{"after one more fetch of the organisation's", &scriptedKeys{keys: signing, refreshed: signing}, &scriptedKeys{keys: signing, refreshed: published}, "", false, 1, 1},
		{"of neither", &scriptedKeys{keys: signing, refreshed: signing}, &scriptedKeys{keys: signing, refreshed: signing}, "not among the tls certificates in the JWKS", false, 1, 1},
		{"published for signing", &scriptedKeys{keys: set(jwk("a", "sig", own.Leaf))}, &scriptedKeys{}, "not among", false, 1, 1},
		{"published for nothing in particular", &scriptedKeys{keys: set(jwk("a", "", own.Leaf))}, &scriptedKeys{}, "not among", false, 1, 1},
		{"published as another's issuer", &scriptedKeys{keys: set(jwk("a", "tls", other, own.Leaf))}, &scriptedKeys{}, "not among", false, 1, 1},
		{"same key and name, another certificate", &scriptedKeys{keys: set(jwk("a", "tls", renewed.Leaf))}, &scriptedKeys{}, "not among", false, 1, 1},
		{"key without certificate", &scriptedKeys{keys: set(jwkOf(ecKey().Public(), "use", "tls"))}, &scriptedKeys{}, "not among", false, 1, 1},
		{"neither can be fetched", &scriptedKeys{err: down, refreshErr: down}, &scriptedKeys{err: down, refreshErr: down}, "", true, 1, 1},
		{"one cannot be fetched", &scriptedKeys{err: down, refreshErr: down}, &scriptedKeys{keys: signing, refreshed: signing}, "", true, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := BindCertificate(t.Context(), []string{BindSSAJWKS}, own, &SoftwareStatement{}, tc.software, tc.org)
			if tc.unavailable {
				wantRefusal(t, err, refusal.Unavailable, "try again later")
			} else {
				wantText(t, err, tc.refused)
			}
			if tc.org.asked != tc.asked || tc.org.askedRefresh != tc.refreshd {
				t.Errorf("the organisation's keys were asked for %d and %d times", tc.org.asked, tc.org.askedRefresh)
			}
		})
	}
	wantText(t, BindCertificate(t.Context(), []string{BindSSAJWKS}, own, &SoftwareStatement{}), "not among")
}

// All the forms that are configured must hold; the keys are asked only when the
// others do.
func TestBindCertificateForms(t *testing.T) {
	s := &SoftwareStatement{SoftwareID: "x", OrgID: "1", Claims: objectOf(t, "{}")}
	cert := subjectCertificate(t, dntest.RDN(dntest.UTF8String(dn.OrganizationIdentifier, "PSDGB-OB-1")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	published := parseKeys(t, `{"x5c":["`+stdBase64(cert.Leaf.Raw)+`"],`+jwkOf(ecKey().Public(), "use", "tls")[1:])
	withdrawn := parseKeys(t, jwkOf(ecKey().Public(), "use", "tls"))
	all := slices.Clone(BindingForms)
	otherSoftware, otherOrg := *s, *s
	otherSoftware.SoftwareID, otherOrg.OrgID = "y", "2"
	for _, tc := range []struct {
		name    string
		forms   []string
		cert    *Certificate
		s       *SoftwareStatement
		keys    FixedKeys
		refused string
	}{
		{"none", nil, nil, s, nil, ""},
		{"all", all, cert, s, published, ""},
		{"all, no certificate", all, nil, s, published, "missing; connect with"},
		{"all, not published", all, cert, s, withdrawn, "not among"},
		{"all, other software", all, cert, &otherSoftware, published, "has CN"},
		{"all, other organisation", all, cert, &otherOrg, published, "has organizationIdentifier"},
		{"the broken one is not configured", []string{BindCommonName, BindSSAJWKS}, cert, &otherOrg, published, ""},
		{"unknown form", []string{BindCommonName, "cn"}, cert, s, published, `cannot be bound to the software statement as "cn"`},
		{"empty form", []string{""}, cert, s, published, "cannot be bound"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantText(t, BindCertificate(t.Context(), tc.forms, tc.cert, tc.s, tc.keys), tc.refused)
		})
	}
	counted := &scriptedKeys{keys: published}
	if err := BindCertificate(t.Context(), all, cert, &otherSoftware, counted); err == nil || counted.asked != 0 {
		t.Errorf("%v, and the keys were asked for %d times", err, counted.asked)
	}
}
