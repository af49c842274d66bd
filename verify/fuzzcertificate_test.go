package verify

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// A name that is accepted has one form, is what the claim's kind of name may be,
// and is found in a certificate that has it and not in one that has another.
func FuzzReadSAN(f *testing.F) {
	for _, seed := range [][2]string{
		{sanDNS, "TPP.example"}, {sanDNS, "xn--bnk-qla.example"}, {sanDNS, "*.example"}, {sanDNS, "a\x00b"}, {sanURI, "HTTPS://a/%7e"}, {sanURI, "urn:x"},
		{sanIP, "192.0.2.1"}, {sanIP, "::FFFF:192.0.2.1"}, {sanIP, "fe80::1%x"}, {sanEmail, "Ops@TPP.example"}, {sanEmail, `"a@b"@c`}, {"tls_client_auth_subject_dn", "CN=x"},
	} {
		f.Add(seed[0], seed[1])
	}
	tags := map[string]int{sanEmail: 1, sanDNS: 2, sanURI: 6}
	f.Fuzz(func(t *testing.T, claim, value string) {
		got, err := ReadSAN(claim, value)
		if err != nil {
			if got != "" {
				t.Fatalf("%q beside %v", got, err)
			}
			return
		}
		if got == "" || len(got) > 2*maxSAN || strings.ContainsAny(got, "*\x00 \n") || !slices.Contains(SubjectNames[1:], claim) {
			t.Fatalf("%s %q is read %q", claim, value, got)
		}
		if again, err := ReadSAN(claim, got); err != nil || again != got {
			t.Fatalf("%q is read %q, and that %q, %v", value, got, again, err)
		}
		tag, ok := tags[claim]
		if !ok {
			return // an address is not text in a certificate
		}
		has := func(value string) bool {
			var template x509.Certificate
			withSAN(t, generalName{tag, value})(&template)
			return (&Certificate{Leaf: &x509.Certificate{Extensions: template.ExtraExtensions}}).HasSAN(claim, got)
		}
		if !has(value) || !has(got) || has(value+"x") || has("x"+value) || has(value[:len(value)-1]) {
			t.Fatalf("%s %q, want it found in both spellings, and nothing longer or shorter", claim, value)
		}
	})
}

// What is accepted is bounded text. A PSD2 statement of known roles is written
// with encoding/asn1 as the very bytes that were read, so there is one way to say it.
func FuzzQCStatements(f *testing.F) {
	ai := role(f, oidAI, "PSP_AI")
	f.Add(sequence(f, sequence(f, asn1OID(f, oidCompliance)), qcType(f, oidWeb), psd2(f, "Financial Conduct Authority", "GB-FCA", role(f, oidPI, "PSP_PI"), ai)))
	f.Add(sequence(f, psd2(f, "ß", "x", ai, role(f, "1.2.3", "XS2A"))))
	f.Add(sequence(f, psd2(f, "FCA", "GB-FCA", role(f, oidAI, "PSP_PI"))))
	f.Add(sequence(f, psd2(f, "FCA", "GB-FCA", ai), psd2(f, "FCA", "GB-FCA", ai)))
	f.Add(sequence(f, sequence(f, asn1OID(f, "2.25.340282366920938463463374607431768211455"), utf8DER(f, "x")), qcType(f, oidESeal, "1.2.3")))
	f.Add(psd2(f, "FCA", "GB-FCA", ai))
	oids := map[string]string{}
	for oid, name := range pspRoles {
		oids[name] = oid
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: der}}}
		q, err := (&Certificate{Leaf: leaf}).QCStatements()
		if err != nil {
			if !reflect.DeepEqual(q, QCStatements{}) || len(err.Error()) > 1000 {
				t.Fatalf("%+v beside %v", q, err)
			}
			return
		}
		type statement struct {
			ID   asn1.RawValue
			Info asn1.RawValue `asn1:"optional"`
		}
		var statements []statement
		if rest, err := asn1.Unmarshal(der, &statements); err != nil || len(rest) > 0 || len(statements) == 0 || len(statements) > maxStatements {
			t.Fatalf("%x accepted: %v, %d statements, rest %x", der, err, len(statements), rest)
		}
		if q.QWAC() && !(q.Compliance && slices.Contains(q.Types, "web")) || len(q.Types) > len(qcTypes) {
			t.Fatalf("%+v, want a QWAC to be compliant and for the web, and at most %d types", q, len(qcTypes))
		}
		if q.PSD2 == nil {
			return
		}
		for _, text := range append([]string{q.PSD2.NCAName, q.PSD2.NCAID}, q.PSD2.Roles...) {
			if text == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxPSPText || strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("text %q", text)
			}
		}
		var roles [][]byte
		for i, name := range q.PSD2.Roles {
			if oids[name] == "" || slices.Contains(q.PSD2.Roles[:i], name) {
				t.Fatalf("roles %q", q.PSD2.Roles)
			}
			roles = append(roles, role(t, oids[name], name))
		}
		var content struct {
			Roles []asn1.RawValue
			Rest  asn1.RawValue
			ID    asn1.RawValue
		}
		i := slices.IndexFunc(statements, func(s statement) bool { return bytes.Equal(s.ID.FullBytes, asn1OID(t, "0.4.0.19495.2")) })
		if _, err := asn1.Unmarshal(statements[i].Info.FullBytes, &content); err != nil {
			t.Fatal(err)
		}
		if written := psd2(t, q.PSD2.NCAName, q.PSD2.NCAID, roles...); len(content.Roles) == len(roles) && !bytes.Contains(der, written) {
			t.Fatalf("%x does not hold %x", der, written)
		}
	})
}

// The names of a certificate are those that Go reads of it, and no statement or
// name of a certificate that Go accepts breaks a reader.
func FuzzCertificateNames(f *testing.F) {
	f.Add(certificate(f, withSAN(f, generalName{1, "Ops@TPP.example"}, generalName{2, "TPP.example"}, generalName{6, "HTTPS://TPP.example/a"}, generalName{7, "\xc0\x00\x02\x01"}, generalName{8, "\x2a\x03"})).Leaf.Raw)
	f.Add(certificate(f, withSAN(f, generalName{2, "*.example"}, generalName{2, "a\x00b"}), withStatements(sequence(f, qcType(f, oidWeb)))).Leaf.Raw)
	f.Add(certificate(f, withStatements(sequence(f, psd2(f, "FCA", "GB-FCA", role(f, oidAI, "PSP_AI"))))).Leaf.Raw)
	f.Add(issue(f, dntest.Subject(f, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey(), func(c *x509.Certificate) {
		c.ExtKeyUsage, c.ExtraExtensions = nil, []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 0}}}
	}).Raw)
	f.Add(issue(f, dntest.Subject(f, dntest.RDN(dntest.UTF8String(dn.OrganizationIdentifier, "PSDGB-FCA-1"))), ecKey()).Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		usages := slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.37" })
		if _, err := ReadCertificate(leaf, noon); err == nil && (leaf.IsCA || usages &&
			!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny)) {
			t.Fatalf("accepted with usages %v, CA %v", leaf.ExtKeyUsage, leaf.IsCA)
		}
		c := &Certificate{Leaf: leaf}
		names, err := c.subjectAltNames()
		if err == nil {
			read := map[string][]string{}
			for _, n := range names {
				read[n.claim] = append(read[n.claim], n.value)
				if want, err := ReadSAN(n.claim, n.value); c.HasSAN(n.claim, n.value) != (err == nil) || err == nil && !c.HasSAN(n.claim, want) {
					t.Fatalf("%+v, %v; want the name found where it can be read, and only there", n, err)
				}
			}
			if !slices.Equal(read[sanDNS], leaf.DNSNames) || !slices.Equal(read[sanEmail], leaf.EmailAddresses) || len(read[sanURI]) != len(leaf.URIs) || len(read[sanIP]) != len(leaf.IPAddresses) {
				t.Fatalf("%q, Go reads %q %q %v %v", read, leaf.DNSNames, leaf.EmailAddresses, leaf.URIs, leaf.IPAddresses)
			}
		}
		if q, err := c.QCStatements(); err == nil && q.PSD2 != nil && q.PSD2.NCAID == "" {
			t.Fatalf("%+v, want an NCA's identifier with every PSD2 statement", q)
		}
		if c.Subject, err = dn.ParseSubject(leaf.RawSubject); err != nil {
			return
		}
		if id, err := c.OrganizationIdentifier(); err == nil && !slices.Equal(c.Subject.Values(dn.OrganizationIdentifier), []string{id}) {
			t.Fatalf("identifier %q of %q", id, c.Subject)
		}
	})
}
