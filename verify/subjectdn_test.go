package verify

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// The DN that will authenticate the client is one of a certificate that the
// software has shown to be its own.
func TestSubjectDN(t *testing.T) {
	presented := dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.97", "PSDGB-FCA-123456")), dntest.RDN(dntest.UTF8String("2.5.4.3", "presented")))
	future := dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.3", "future")))
	cert, err := ReadCertificate(issue(t, presented, ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	withChain := func(kid, use string, subject []byte) string {
		return `{"x5c":["` + stdBase64(issue(t, subject, ecKey()).Raw) + `"],` + jwkOf(ecKey().Public(), "kid", kid, "use", use)[1:]
	}
	keys := parseKeys(t,
		`{"x5c":["AAAA"],`+jwkOf(ecKey().Public(), "kid", "a", "use", "tls")[1:], jwkOf(ecKey().Public(), "kid", "b", "use", "tls"),
		withChain("c", "sig", dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "signing")))), withChain("d", "tls", future))
	const own, short = "CN=presented,organizationIdentifier=PSDGB-FCA-123456,C=GB", "tls_client_auth_subject_dn"
	const older = "tls_client_auth_dn"
	for _, tc := range []struct {
		name    string
		changes []any
		cert    *Certificate
		text    string // stored; empty: refused
		raw     []byte
		word    string
	}{
		{"captured", nil, cert, own, presented, ""},
		{"as sent", []any{short, own}, cert, own, presented, ""},
		{"text is kept", []any{short, "c=gb, OID.2.5.4.97=PSDGB-FCA-123456, cn=Presented"}, cert, "c=gb, OID.2.5.4.97=PSDGB-FCA-123456, cn=Presented", presented, ""},
		{"older name", []any{older, own}, cert, own, presented, ""},
		{"both names", []any{short, own, older, own}, cert, own, presented, ""},
		{"of the software's JWKS", []any{short, "CN=future,C=GB"}, cert, "CN=future,C=GB", future, ""},
		{"of its signing certificate", []any{short, "CN=signing"}, cert, "", nil, "'CN=signing' is not the subject of the presented certificate; send '" + own + "', or leave the claim out"},
		{"of another", []any{short, "CN=other,C=GB"}, cert, "", nil, "is not the subject"},
		{"of the certificate, less one", []any{short, "CN=presented,C=GB"}, cert, "", nil, "is not the subject"},
		{"of the certificate, reordered", []any{short, "organizationIdentifier=PSDGB-FCA-123456,CN=presented,C=GB"}, cert, own, presented, ""},
		{"of the certificate, in one RDN", []any{short, "organizationIdentifier=PSDGB-FCA-123456+CN=Presented+C=GB"}, cert, own, presented, ""},
		{"of the certificate, one twice", []any{short, own + ",C=GB"}, cert, "", nil, "is not the subject"},
		{"of the software's JWKS, reordered", []any{short, "C=GB+CN=future"}, cert, "CN=future,C=GB", future, ""},
		{"names differ", []any{short, own, older, "CN=presented"}, cert, "", nil, "differs from tls_client_auth_dn"},
		{"empty", []any{short, ""}, cert, "", nil, "empty"},
		{"older empty", []any{older, ""}, cert, "", nil, "empty"},
		{"older empty beside a good one", []any{short, own, older, ""}, cert, "", nil, "empty"},
		{"a number", []any{short, 1}, cert, "", nil, "is a number"},
		{"older a number", []any{older, 1}, cert, "", nil, "tls_client_auth_dn is a number"},
		{"null", []any{short, nil}, cert, own, presented, ""},
		{"not a DN", []any{short, "presented"}, cert, "", nil, "cannot be read: 'presented' has no '='; send '" + own + "', or leave the claim out"},
		{"of empty values", []any{short, "CN=,O=\u200b"}, cert, "", nil, "has no value; send '" + own + "'"},
		{"of empty values, without certificate", []any{short, "CN="}, nil, "", nil, "'CN=' has no value"},
		{"certificate of empty values", []any{short, "CN="}, &Certificate{Leaf: issue(t, presented, ecKey()), Subject: dn.Name{{{OID: "2.5.4.3"}}}}, "", nil, "an empty subject"},
		{"too long", []any{short, "CN=" + strings.Repeat("x", dn.MaxLength)}, cert, "", nil, "longer than 1024 bytes"},
		{"without certificate, as sent", []any{short, "CN=any"}, nil, "CN=any", nil, ""},
		{"without certificate, absent", nil, nil, "", nil, "missing; send the subject"},
		{"without certificate, not a DN", []any{short, "any"}, nil, "", nil, "cannot be read"},
		{"certificate without subject", nil, &Certificate{Leaf: issue(t, dntest.Subject(t), ecKey())}, "", nil, "subject"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(with(requestClaims, "token_endpoint_auth_method", "tls_client_auth"), tc.changes...), ssaClaims)
			in.Certificate, in.Request.Statement.Issuer.SoftwareKeys = tc.cert, sourceOf(keys)
			got, err := CheckMetadata(context.Background(), in)
			if tc.text == "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, "tls_client_auth_subject_dn: ", tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.Metadata.TLSClientAuthSubjectDN != tc.text || !bytes.Equal(got.RawSubject, tc.raw) {
				t.Errorf("text %q, DER %x", got.Metadata.TLSClientAuthSubjectDN, got.RawSubject)
			}
			if !got.Subject.Equal(nameOf(t, tc.text)) {
				t.Errorf("subject %s", got.Subject)
			}
		})
	}
}

// TestSubjectDNAsGoWritesIt: a TPP in Go sends what its pkix.Name prints, whole or, as
// the official conformance tool does, of the fields that the name has.
func TestSubjectDNAsGoWritesIt(t *testing.T) {
	gb := dntest.RDN(dntest.PrintableString("2.5.4.6", "GB"))
	for _, tc := range []struct {
		name    string
		subject [][]dntest.Attribute
		own     string
		part    bool // of the fields there are fewer attributes
	}{
		{"eIDAS", [][]dntest.Attribute{gb, dntest.RDN(dntest.UTF8String("2.5.4.10", "Bank, Ltd")), dntest.RDN(dntest.UTF8String(dn.OrganizationIdentifier, "PSDGB-FCA-1")), dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"))},
			`CN=tpp,organizationIdentifier=PSDGB-FCA-1,O=Bank\, Ltd,C=GB`, true},
		{"older", [][]dntest.Attribute{gb, dntest.RDN(dntest.PrintableString("2.5.4.10", "OpenBanking")), dntest.RDN(dntest.PrintableString("2.5.4.11", "0015800001041RbAAI")), dntest.RDN(dntest.PrintableString("2.5.4.3", "Qeyb9TC0"))},
			"CN=Qeyb9TC0,OU=0015800001041RbAAI,O=OpenBanking,C=GB", false},
		{"two OUs, and an RDN of two", [][]dntest.Attribute{dntest.RDN(dntest.UTF8String("2.5.4.11", "a")), gb, dntest.RDN(dntest.UTF8String("2.5.4.11", "b"), dntest.UTF8String("2.5.4.7", "L\u00f6ndon")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x"), dntest.PrintableString("2.5.4.5", "42"))},
			"CN=x+serialNumber=42,OU=b+L=L\u00f6ndon,C=GB,OU=a", false},
		{"jurisdiction", [][]dntest.Attribute{dntest.RDN(dntest.PrintableString("1.3.6.1.4.1.311.60.2.1.3", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.15", "Private Organization")), gb, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))},
			"CN=x,C=GB,2.5.4.15=#131450726976617465204f7267616e697a6174696f6e,1.3.6.1.4.1.311.60.2.1.3=#13024742", true}, // as sent: nothing has moved
	} {
		t.Run(tc.name, func(t *testing.T) {
			der := dntest.Subject(t, tc.subject...)
			cert, err := ReadCertificate(issue(t, der, ecKey()), noon)
			if err != nil {
				t.Fatal(err)
			}
			check := func(text string, lenient Leniency) error {
				in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", text), ssaClaims)
				in.Certificate, in.Supported.Lenient = cert, lenient
				got, err := CheckMetadata(context.Background(), in)
				if err == nil && (!nameOf(t, got.Metadata.TLSClientAuthSubjectDN).Equal(cert.Subject) || !bytes.Equal(got.RawSubject, der)) {
					t.Errorf("%s is registered as %s", text, got.Metadata.TLSClientAuthSubjectDN)
				}
				if err == nil && lenient == nil && got.Metadata.TLSClientAuthSubjectDN != tc.own {
					t.Errorf("%s is answered as %s, want %s", text, got.Metadata.TLSClientAuthSubjectDN, tc.own)
				}
				return err
			}
			if err := check(cert.Leaf.Subject.String(), nil); err != nil {
				t.Error(err)
			}
			fields := cert.Leaf.Subject.ToRDNSequence().String()
			if err := check(fields, nil); tc.part != (err != nil) {
				t.Errorf("%s: %v, want an error: %t", fields, err, tc.part)
			}
			if err := check(fields, Leniency{"tls_client_auth_subject_dn"}); err != nil {
				t.Errorf("%s, lenient: %v", fields, err)
			}
			for _, other := range []string{"CN=other", tc.own + ",OU=more", "CN=x,O=other"} {
				wantRefusal(t, check(other, LenientClaims), refusal.InvalidClientMetadata, "is not the subject of the presented certificate")
			}
		})
	}
}

// A part of the presented certificate's name is never that of a published one, whose
// whole name wins, and needs no keys.
func TestSubjectDNInPart(t *testing.T) {
	cert, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.10", "Bank")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	published := dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	keys := parseKeys(t, `{"x5c":["`+stdBase64(issue(t, published, ecKey()).Raw)+`"],`+jwkOf(ecKey().Public(), "kid", "a", "use", "tls")[1:])
	for _, tc := range []struct {
		name, text string
		source     KeySource
		raw        []byte
	}{
		{"a part", "CN=x,O=Bank", keys, cert.Leaf.RawSubject},
		{"the whole of a published one", "C=GB,CN=x", keys, published},
		{"without keys", "CN=x", &scriptedKeys{err: errors.New("down")}, cert.Leaf.RawSubject},
	} {
		in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", tc.text), ssaClaims)
		in.Certificate, in.Request.Statement.Issuer.SoftwareKeys, in.Supported.Lenient = cert, sourceOf(tc.source), Leniency{"tls_client_auth_subject_dn"}
		if got, err := CheckMetadata(context.Background(), in); err != nil || !bytes.Equal(got.RawSubject, tc.raw) {
			t.Errorf("%s: %+v, %v; want the raw subject %x", tc.name, got, err, tc.raw)
		}
	}
}

// Keys that cannot be fetched are our problem, and only where they are needed.
func TestSubjectDNWithoutKeys(t *testing.T) {
	cert, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=y"), ssaClaims)
	in.Certificate, in.Request.Statement.Issuer.SoftwareKeys = cert, sourceOf(&scriptedKeys{err: errors.New("down")})
	_, err = CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.Unavailable, "try again later")

	in.Request.Claims = objectOf(t, jsonOf(with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=X")))
	if _, err := CheckMetadata(context.Background(), in); err != nil {
		t.Errorf("the presented one needs no keys: %v", err)
	}
}

// A renewed certificate may be newer than the keys that are at hand: they are
// asked for once more, and only then.
func TestSubjectDNOfFreshKeys(t *testing.T) {
	cert, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	with509 := func(cn string) []Key {
		return parseKeys(t, `{"x5c":["`+stdBase64(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", cn))), ecKey()).Raw)+`"],`+jwkOf(ecKey().Public(), "kid", cn, "use", "tls")[1:])
	}
	for _, tc := range []struct {
		name  string
		keys  *scriptedKeys
		asked int
		kind  refusal.Kind // 0: accepted
	}{
		{"at hand", &scriptedKeys{keys: with509("y"), refreshErr: errors.New("down")}, 0, 0},
		{"after a fetch", &scriptedKeys{keys: with509("z"), refreshed: with509("y")}, 1, 0},
		{"nowhere", &scriptedKeys{keys: with509("z"), refreshed: with509("z")}, 1, refusal.InvalidClientMetadata},
		{"source down", &scriptedKeys{keys: with509("z"), refreshErr: errors.New("down")}, 1, refusal.Unavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=y"), ssaClaims)
			in.Certificate, in.Request.Statement.Issuer.SoftwareKeys = cert, sourceOf(tc.keys)
			_, err := CheckMetadata(context.Background(), in)
			if tc.kind != 0 {
				wantRefusal(t, err, tc.kind)
			} else if err != nil {
				t.Error(err)
			}
			if tc.keys.askedRefresh != tc.asked {
				t.Errorf("asked for newer keys %d times", tc.keys.askedRefresh)
			}
		})
	}
}
