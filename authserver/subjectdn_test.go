package authserver_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Tags of ASN.1 string types.
const (
	printable = asn1.TagPrintableString
	ia5       = asn1.TagIA5String
	utf8      = asn1.TagUTF8String
	bmp       = asn1.TagBMPString
	teletex   = 20
	universal = 28
	bits      = asn1.TagBitString
)

type attribute struct {
	oid   string
	tag   int
	value string
}

// rdn is one RDN, of several attributes or, usually, one.
type rdn []attribute

// subject is the DER of a name, most significant RDN first.
func subject(t *testing.T, rdns ...rdn) []byte {
	t.Helper()
	var name pkix.RDNSequence
	for _, r := range rdns {
		var set pkix.RelativeDistinguishedNameSET
		for _, a := range r {
			var oid asn1.ObjectIdentifier
			for arc := range strings.SplitSeq(a.oid, ".") {
				n, err := strconv.Atoi(arc)
				if err != nil {
					t.Fatal(err)
				}
				oid = append(oid, n)
			}
			set = append(set, pkix.AttributeTypeAndValue{Type: oid, Value: asn1.RawValue{Tag: a.tag, Bytes: []byte(a.value)}})
		}
		name = append(name, set)
	}
	der, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// usual is the subject of an eIDAS transport certificate.
var usual = []rdn{{{"2.5.4.6", printable, "GB"}}, {{"2.5.4.10", utf8, "Acme, Ltd"}}, {{"2.5.4.97", utf8, "PSDGB-FCA-123456"}}, {{"2.5.4.3", utf8, "tpp"}}}

// told is the DN that the AS is told.
func registeredDN(t *testing.T, format string, c *registry.Client) string {
	t.Helper()
	e := newEdge(t, func(_ *edge, o *authserver.Options) { o.DNFormat = format })
	e.on(register, registered(http.StatusCreated))
	if _, err := e.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	body, err := strictjson.Parse([]byte(e.only(register).body))
	if err != nil {
		t.Fatal(err)
	}
	subjectDN, _, err := body.String("tls_client_auth_subject_dn")
	if err != nil {
		t.Fatal(err)
	}
	return subjectDN
}

// TestSubjectDN: the openssl texts are what OpenSSL 3.0.19 printed for
// certificates with these subjects (openssl x509 -noout -subject -nameopt RFC2253).
func TestSubjectDN(t *testing.T) {
	for _, test := range []struct {
		name    string
		subject []rdn
		rfc4514 string
		openssl string
	}{
		{"usual", usual,
			`CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\, Ltd,C=GB`,
			`CN=tpp,organizationIdentifier=PSDGB-FCA-123456,O=Acme\, Ltd,C=GB`},
		{"UTF-8", []rdn{{{"2.5.4.6", printable, "DE"}}, {{"2.5.4.10", utf8, "Müller & Söhne €"}}, {{"2.5.4.3", utf8, "žluť"}}},
			`CN=žluť,O=Müller & Söhne €,C=DE`,
			`CN=\C5\BElu\C5\A5,O=M\C3\BCller & S\C3\B6hne \E2\82\AC,C=DE`},
		{"multi-valued RDNs", []rdn{{{"2.5.4.6", printable, "GB"}}, {{"2.5.4.10", utf8, "Acme"}, {"2.5.4.97", utf8, "PSDGB-FCA-1"}}, {{"2.5.4.3", utf8, "b"}, {"2.5.4.11", utf8, "a"}, {"0.9.2342.19200300.100.1.1", utf8, "u"}}},
			`CN=b+OU=a+UID=u,O=Acme+organizationIdentifier=PSDGB-FCA-1,C=GB`,
			`UID=u+OU=a+CN=b,organizationIdentifier=PSDGB-FCA-1+O=Acme,C=GB`},
		{"unknown types", []rdn{{{"2.5.4.3", utf8, "x"}}, {{"1.3.6.1.4.1.99999.1", utf8, "Zürich"}}, {{"1.3.6.1.4.1.99999.2", printable, "AB"}}},
			`1.3.6.1.4.1.99999.2=AB,1.3.6.1.4.1.99999.1=Zürich,CN=x`,
			`1.3.6.1.4.1.99999.2=#13024142,1.3.6.1.4.1.99999.1=#0C075AC3BC72696368,CN=x`},
		{"short names", []rdn{{{"2.5.4.4", utf8, "sur"}}, {{"2.5.4.5", printable, "123"}}, {{"2.5.4.7", utf8, "L"}}, {{"2.5.4.8", utf8, "ST"}}, {{"2.5.4.9", utf8, "street 1"}}, {{"2.5.4.12", utf8, "title"}},
			{{"2.5.4.15", utf8, "bc"}}, {{"2.5.4.17", utf8, "pc"}}, {{"2.5.4.42", utf8, "gn"}}, {{"2.5.4.46", printable, "dnq"}}, {{"0.9.2342.19200300.100.1.25", ia5, "dc"}}, {{"1.2.840.113549.1.9.1", ia5, "a@b"}},
			{{"1.3.6.1.4.1.311.60.2.1.1", utf8, "jl"}}, {{"1.3.6.1.4.1.311.60.2.1.2", utf8, "js"}}, {{"1.3.6.1.4.1.311.60.2.1.3", printable, "GB"}}},
			`jurisdictionC=GB,jurisdictionST=js,jurisdictionL=jl,emailAddress=a@b,DC=dc,dnQualifier=dnq,GN=gn,postalCode=pc,businessCategory=bc,title=title,STREET=street 1,ST=ST,L=L,serialNumber=123,SN=sur`,
			`jurisdictionC=GB,jurisdictionST=js,jurisdictionL=jl,emailAddress=a@b,DC=dc,dnQualifier=dnq,GN=gn,postalCode=pc,businessCategory=bc,title=title,street=street 1,ST=ST,L=L,serialNumber=123,SN=sur`},
		{"names that only OpenSSL has", []rdn{{{"2.5.4.13", utf8, "d"}}, {{"2.5.4.41", utf8, "n"}}, {{"2.5.4.43", utf8, "i"}}, {{"2.5.4.44", utf8, "g"}}, {{"2.5.4.65", utf8, "p"}}, {{"2.5.4.72", utf8, "r"}}, {{"2.5.4.20", printable, "tel"}}, {{"2.5.4.98", utf8, "c2"}}},
			`2.5.4.98=c2,2.5.4.20=tel,2.5.4.72=r,2.5.4.65=p,2.5.4.44=g,2.5.4.43=i,2.5.4.41=n,2.5.4.13=d`,
			`c3=c2,telephoneNumber=tel,role=r,pseudonym=p,generationQualifier=g,initials=i,name=n,description=d`},
		{"a value that is no string", []rdn{{{"2.5.4.3", utf8, "x"}}, {{"2.5.4.45", bits, "\x00\xab"}}},
			`2.5.4.45=#030200ab,CN=x`,
			`x500UniqueIdentifier=#030200AB,CN=x`},
		{"escapes", []rdn{{{"2.5.4.3", utf8, ` #a,b+c"d\e<f>g;h=i `}}, {{"2.5.4.10", utf8, "#x"}}, {{"2.5.4.11", utf8, "a\x01\x7f\nb"}}, {{"2.5.4.7", utf8, " "}}},
			`L=\ ,OU=a\01\7F\0Ab,O=\#x,CN=\ #a\,b\+c\"d\\e\<f\>g\;h=i\ `,
			`L=\ ,OU=a\01\7F\0Ab,O=\#x,CN=\ #a\,b\+c\"d\\e\<f\>g\;h=i\ `},
		{"one character that is escaped at the start or the end", []rdn{{{"2.5.4.3", utf8, "#"}}, {{"2.5.4.10", utf8, "a#"}}, {{"2.5.4.11", utf8, "a b"}}, {{"2.5.4.7", utf8, ""}}},
			`L=,OU=a b,O=a#,CN=\#`,
			`L=,OU=a b,O=a#,CN=#`},
		{"older string types", []rdn{{{"2.5.4.3", teletex, "M\xfcller"}}, {{"2.5.4.10", bmp, "\x00M\x00\xfc"}}, {{"2.5.4.11", universal, "\x00\x00\x00M\x00\x00\x00\xfc"}}},
			`OU=Mü,O=Mü,CN=Müller`,
			`OU=M\C3\BC,O=M\C3\BC,CN=M\C3\BCller`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := tpp(t)
			c.Subject = subject(t, test.subject...)
			if got := registeredDN(t, authserver.RFC4514, c); got != test.rfc4514 {
				t.Errorf("rfc4514 %s\nwant    %s", got, test.rfc4514)
			}
			if got := registeredDN(t, authserver.OpenSSL, c); got != test.openssl {
				t.Errorf("openssl %s\nwant    %s", got, test.openssl)
			}
			own, err := dn.ParseSubject(c.Subject)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{test.rfc4514, test.openssl} { // a TPP may send what OpenSSL prints
				if name, err := dn.Parse(text); err != nil || !name.Equal(own) {
					t.Errorf("%s is read as %s, %v", text, name, err)
				}
			}
		})
	}
}

// TestSubjectDNOfGo compares with what Go makes of a whole certificate.
func TestSubjectDNOfGo(t *testing.T) {
	k := newKey(t)
	for _, name := range [][]rdn{
		usual,
		{{{"2.5.4.3", utf8, "first"}}, {{"2.5.4.3", utf8, "last"}}, {{"2.5.4.6", printable, "GB"}}},
		{{{"2.5.4.10", utf8, "Müller"}, {"2.5.4.97", utf8, "PSDDE-1"}}, {{"1.3.6.1.4.1.99999.1", utf8, "Zürich"}}, {{"1.2.840.113549.1.9.1", ia5, "a@b"}}},
		{{{"2.5.4.3", teletex, "M\xfcller"}}, {{"2.5.4.10", bmp, "\x00M\x00\xfc"}}, {{"2.5.4.9", utf8, " #a,b+c"}}},
	} {
		c := tpp(t)
		c.Subject = subject(t, name...)
		certificate := certificateOf(t, k.PrivateKey, c.Subject)
		if got, want := registeredDN(t, authserver.Go, c), certificate.Subject.String(); got != want {
			t.Errorf("go   %s\nwant %s", got, want)
		}
	}
}

func certificateOf(t *testing.T, key *ecdsa.PrivateKey, subject []byte) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: subject, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// TestSubjectDNWithoutCertificate: then the TPP's text counts, in every format.
func TestSubjectDNWithoutCertificate(t *testing.T) {
	for _, format := range []string{authserver.RFC4514, authserver.OpenSSL, authserver.Go} {
		c := tpp(t)
		c.Subject, c.Metadata.TLSClientAuthSubjectDN = nil, "C=GB, O=Acme, CN=tpp"
		if got := registeredDN(t, format, c); got != c.Metadata.TLSClientAuthSubjectDN {
			t.Errorf("%s: %s, want %s", format, got, c.Metadata.TLSClientAuthSubjectDN)
		}
		for _, der := range []string{"x", "\x30\x03\x31\x01\x00", string(subject(t, usual...)) + "x"} {
			e := newEdge(t, func(_ *edge, o *authserver.Options) { o.DNFormat = format })
			c := tpp(t)
			c.Subject = []byte(der)
			if _, err := e.Create(t.Context(), c); err == nil || len(e.to(register)) != 0 || strings.Contains(err.Error(), "%!") {
				t.Errorf("%s of a malformed subject: error %v", format, err)
			}
		}
	}
}
