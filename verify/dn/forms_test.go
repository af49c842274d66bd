package dn

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// The texts of OpenSSL 3.0, OpenJDK 17, Go 1.26 and Python's cryptography 48 are
// what they print of the certificate; those of .NET, GnuTLS and OpenSSL 1.0 are
// written after their documentation. All of them name the certificate, and no
// other one of the table.
func TestForms(t *testing.T) {
	const jurisdictionC, uid, dc, email = "1.3.6.1.4.1.311.60.2.1.3", "0.9.2342.19200300.100.1.1", "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"
	gb := dntest.RDN(dntest.PrintableString("2.5.4.6", "GB"))
	certificates := []struct {
		name    string
		subject [][]dntest.Attribute
		forms   map[string]string
	}{
		{"of the Open Banking directory, as ETSI TS 119 495 says",
			[][]dntest.Attribute{gb, dntest.RDN(dntest.UTF8String("2.5.4.10", "Bank, Ltd")), dntest.RDN(dntest.UTF8String(OrganizationIdentifier, "PSDGB-FCA-730427")), dntest.RDN(dntest.UTF8String("2.5.4.3", "0015800001HQQrZAAX"))},
			map[string]string{
				"RFC 4514":                 `CN=0015800001HQQrZAAX,organizationIdentifier=PSDGB-FCA-730427,O=Bank\, Ltd,C=GB`,
				"RFC 4514, hex escapes":    `CN=0015800001HQQrZAAX,2.5.4.97=PSDGB\2DFCA\2d730427,O=Bank\2C Ltd,C=GB`,
				"OpenSSL":                  `C = GB, O = "Bank, Ltd", organizationIdentifier = PSDGB-FCA-730427, CN = 0015800001HQQrZAAX`,
				"OpenSSL RFC2253":          `CN=0015800001HQQrZAAX,organizationIdentifier=PSDGB-FCA-730427,O=Bank\, Ltd,C=GB`,
				"OpenSSL oneline":          `/C=GB/O=Bank, Ltd/organizationIdentifier=PSDGB-FCA-730427/CN=0015800001HQQrZAAX`,
				"OpenSSL 1.0 oneline":      `/C=GB/O=Bank, Ltd/2.5.4.97=PSDGB-FCA-730427/CN=0015800001HQQrZAAX`,
				"Java RFC2253":             `CN=0015800001HQQrZAAX,2.5.4.97=#0c1050534447422d4643412d373330343237,O=Bank\, Ltd,C=GB`,
				"Java RFC1779":             `CN=0015800001HQQrZAAX, OID.2.5.4.97=PSDGB-FCA-730427, O="Bank, Ltd", C=GB`,
				"Java CANONICAL":           `cn=0015800001hqqrzaax,2.5.4.97=#0c1050534447422d4643412d373330343237,o=bank\, ltd,c=gb`,
				"Go RDNSequence":           `CN=0015800001HQQrZAAX,2.5.4.97=#0c1050534447422d4643412d373330343237,O=Bank\, Ltd,C=GB`,
				".NET":                     `CN=0015800001HQQrZAAX, OID.2.5.4.97=PSDGB-FCA-730427, O="Bank, Ltd", C=GB`,
				".NET, reversed":           `C=GB, O="Bank, Ltd", OID.2.5.4.97=PSDGB-FCA-730427, CN=0015800001HQQrZAAX`,
				"Python":                   `CN=0015800001HQQrZAAX,2.5.4.97=PSDGB-FCA-730427,O=Bank\, Ltd,C=GB`,
				"semicolons":               `CN=0015800001HQQrZAAX; organizationIdentifier=PSDGB-FCA-730427; O="Bank, Ltd"; C=GB`,
				"another case":             `cn=0015800001hqqrzaax,ORGANIZATIONIDENTIFIER=psdgb-fca-730427,o=BANK\, LTD,c=gb`,
				"as PrintableString":       `CN=0015800001HQQrZAAX,2.5.4.97=#131050534447422d4643412d373330343237,O=Bank\, Ltd,C=GB`,
				"full width, as NFKC says": `CN=0015800001HQQrZAAX,2.5.4.97=PSDGB-FCA-730427,O=Ｂａｎｋ\, Ltd,C=GB`,
			}},
		{"of the Open Banking directory, older",
			[][]dntest.Attribute{gb, dntest.RDN(dntest.UTF8String("2.5.4.10", "OpenBanking")), dntest.RDN(dntest.UTF8String("2.5.4.11", "0015800001HQQrZAAX")), dntest.RDN(dntest.UTF8String("2.5.4.3", "oQ4KoaavpOuoE7rvQsZEOV"))},
			map[string]string{
				"RFC 4514":        `CN=oQ4KoaavpOuoE7rvQsZEOV,OU=0015800001HQQrZAAX,O=OpenBanking,C=GB`,
				"Go pkix.Name":    `CN=oQ4KoaavpOuoE7rvQsZEOV,OU=0015800001HQQrZAAX,O=OpenBanking,C=GB`,
				"OpenSSL oneline": `/C=GB/O=OpenBanking/OU=0015800001HQQrZAAX/CN=oQ4KoaavpOuoE7rvQsZEOV`,
			}},
		{"with every kind of attribute",
			[][]dntest.Attribute{dntest.RDN(dntest.IA5String(dc, "example")), gb, dntest.RDN(dntest.UTF8String("2.5.4.8", "Greater London")), dntest.RDN(dntest.UTF8String("2.5.4.7", "London")), dntest.RDN(dntest.UTF8String("2.5.4.9", "1 High St")),
				dntest.RDN(dntest.UTF8String("2.5.4.10", `#1 Bänk "A+B"; <C>=\D`)), dntest.RDN(dntest.UTF8String(jurisdictionC, "GB")), dntest.RDN(dntest.UTF8String("2.5.4.15", "Private Organization")),
				dntest.RDN(dntest.PrintableString("2.5.4.5", "42")), dntest.RDN(dntest.IA5String(email, "ops@bank.example")), dntest.RDN(dntest.UTF8String(uid, "u1"))},
			map[string]string{
				"RFC 4514":                `UID=u1,1.2.840.113549.1.9.1=ops@bank.example,2.5.4.5=42,2.5.4.15=Private Organization,1.3.6.1.4.1.311.60.2.1.3=GB,O=\#1 Bänk \"A\+B\"\; \<C\>\=\\D,STREET=1 High St,L=London,ST=Greater London,C=GB,DC=example`,
				"OpenSSL":                 `DC = example, C = GB, ST = Greater London, L = London, street = 1 High St, O = "#1 B\C3\A4nk \"A+B\"; <C>=\\D", jurisdictionC = GB, businessCategory = Private Organization, serialNumber = 42, emailAddress = ops@bank.example, UID = u1`,
				"OpenSSL RFC2253":         `UID=u1,emailAddress=ops@bank.example,serialNumber=42,businessCategory=Private Organization,jurisdictionC=GB,O=\#1 B\C3\A4nk \"A\+B\"\; \<C\>=\\D,street=1 High St,L=London,ST=Greater London,C=GB,DC=example`,
				"OpenSSL oneline":         `/DC=example/C=GB/ST=Greater London/L=London/street=1 High St/O=#1 B\xC3\xA4nk "A\+B"; <C>=\D/jurisdictionC=GB/businessCategory=Private Organization/serialNumber=42/emailAddress=ops@bank.example/UID=u1`,
				"OpenSSL 1.0 oneline":     `/DC=example/C=GB/ST=Greater London/L=London/street=1 High St/O=#1 B\xC3\xA4nk "A+B"; <C>=\D/jurisdictionC=GB/businessCategory=Private Organization/serialNumber=42/emailAddress=ops@bank.example/UID=u1`,
				"Java RFC2253":            `UID=u1,1.2.840.113549.1.9.1=#16106f70734062616e6b2e6578616d706c65,2.5.4.5=#13023432,2.5.4.15=#0c1450726976617465204f7267616e697a6174696f6e,1.3.6.1.4.1.311.60.2.1.3=#0c024742,O=\#1 Bänk \"A\+B\"\; \<C\>\=\\D,STREET=1 High St,L=London,ST=Greater London,C=GB,DC=example`,
				"Java RFC1779":            `OID.0.9.2342.19200300.100.1.1=u1, OID.1.2.840.113549.1.9.1=ops@bank.example, OID.2.5.4.5=42, OID.2.5.4.15=Private Organization, OID.1.3.6.1.4.1.311.60.2.1.3=GB, O="#1 Bänk \"A+B\"; <C>=\\D", STREET=1 High St, L=London, ST=Greater London, C=GB, OID.0.9.2342.19200300.100.1.25=example`,
				"Java CANONICAL":          `uid=u1,1.2.840.113549.1.9.1=#16106f70734062616e6b2e6578616d706c65,2.5.4.5=#13023432,2.5.4.15=#0c1450726976617465204f7267616e697a6174696f6e,1.3.6.1.4.1.311.60.2.1.3=#0c024742,o=\#1 bänk \"a\+b\"\; \<c\>=\\d,street=1 high st,l=london,st=greater london,c=gb,dc=#16076578616d706c65`,
				"Java toString":           `UID=u1, EMAILADDRESS=ops@bank.example, SERIALNUMBER=42, OID.2.5.4.15=Private Organization, OID.1.3.6.1.4.1.311.60.2.1.3=GB, O="#1 Bänk \"A+B\"; <C>=\\D", STREET=1 High St, L=London, ST=Greater London, C=GB, DC=example`,
				".NET, backslash doubled": `OID.0.9.2342.19200300.100.1.1=u1, E=ops@bank.example, SERIALNUMBER=42, OID.2.5.4.15=Private Organization, OID.1.3.6.1.4.1.311.60.2.1.3=GB, O="#1 Bänk ""A+B""; <C>=\\D", STREET=1 High St, L=London, S=Greater London, C=GB, DC=example`,
				"GnuTLS names":            `UID=u1,EMAIL=ops@bank.example,serialNumber=42,businessCategory=Private Organization,jurisdictionOfIncorporationCountryName=GB,O=\#1 Bänk \"A\+B\"\; \<C\>=\\D,STREET=1 High St,L=London,ST=Greater London,C=GB,DC=example`,
				"long names":              `userId=u1,email=ops@bank.example,serialNumber=42,businessCategory=Private Organization,jurisdictionCountryName=GB,organizationName=\#1 Bänk \"A\+B\"\; \<C\>=\\D,streetAddress=1 High St,localityName=London,stateOrProvinceName=Greater London,countryName=GB,domainComponent=example`,
				"decomposed":              "UID=u1,E=ops@bank.example,serialNumber=42,businessCategory=Private Organization,jurisdictionC=GB,O=\\#1 Ba\u0308nk \\\"A\\+B\\\"\\; \\<C\\>=\\\\D,STREET=1 High St,L=London,ST=Greater London,C=GB,DC=example",
			}},
		{"with older string types, two CNs and an RDN of two",
			[][]dntest.Attribute{gb, dntest.RDN(dntest.BMPString("2.5.4.10", "Bänk €")), dntest.RDN(dntest.Raw("2.5.4.11", dntest.TagTeletexString, []byte("\xdcnit"))), dntest.RDN(dntest.UTF8String("2.5.4.3", "one")), dntest.RDN(dntest.UTF8String("2.5.4.3", "two"), dntest.PrintableString("2.5.4.5", "42"))},
			map[string]string{
				"RFC 4514":              `CN=two+2.5.4.5=42,CN=one,OU=Ünit,O=Bänk €,C=GB`,
				"OpenSSL":               `C = GB, O = B\C3\A4nk \E2\82\AC, OU = \C3\9Cnit, CN = one, CN = two + serialNumber = 42`,
				"OpenSSL RFC2253":       `serialNumber=42+CN=two,CN=one,OU=\C3\9Cnit,O=B\C3\A4nk \E2\82\AC,C=GB`,
				"oneline, all in UTF-8": `/C=GB/O=B\xC3\xA4nk \xE2\x82\xAC/OU=\xC3\x9Cnit/CN=one/CN=two+serialNumber=42`,
				"Java RFC1779":          `CN=two + OID.2.5.4.5=42, CN=one, OU=Ünit, O=Bänk €, C=GB`,
				"Java CANONICAL":        `cn=two+2.5.4.5=#13023432,cn=one,ou=#1404dc6e6974,o=#1e0c004200e4006e006b002020ac,c=gb`,
				"Java toString":         `CN=two + SERIALNUMBER=42, CN=one, OU=Ünit, O=Bänk €, C=GB`,
				".NET":                  `CN=two + SERIALNUMBER=42, CN=one, OU=Ünit, O=Bänk €, C=GB`,
				"UniversalString":       `CN=two+serialNumber=42,CN=one,OU=#1c10000000dc0000006e0000006900000074,O=Bänk €,C=GB`,
			}},
		{"with blanks and slashes",
			[][]dntest.Attribute{gb, dntest.RDN(dntest.UTF8String("2.5.4.10", " A/B  Ltd ")), dntest.RDN(dntest.UTF8String("2.5.4.11", "x=y/CN=z"))},
			map[string]string{
				"RFC 4514":        `OU=x=y/CN=z,O=\ A/B  Ltd\ ,C=GB`,
				"OpenSSL":         `C = GB, O = " A/B  Ltd ", OU = x=y/CN=z`,
				"OpenSSL oneline": `/C=GB/O= A\/B  Ltd /OU=x=y\/CN=z`,
				"Java RFC2253":    `OU=x\=y/CN\=z,O=\ A/B  Ltd\ ,C=GB`,
				"Java RFC1779":    `OU="x=y/CN=z", O=" A/B  Ltd ", C=GB`,
				"Java CANONICAL":  `ou=x=y/cn=z,o=a/b ltd,c=gb`,
				"Go pkix.Name":    `OU=x=y/CN=z,O=\ A/B  Ltd\ ,C=GB`,
				"blanks as hex":   `OU=x=y\2FCN=z,O=\20A/B\20\20Ltd\20,C=GB`,
			}},
	}
	subjects := make([]Name, len(certificates))
	for i, c := range certificates {
		leaf := dntest.Certificate(t, dntest.Subject(t, c.subject...))
		var err error
		if subjects[i], err = ParseSubject(leaf.RawSubject); err != nil {
			t.Fatal(err)
		}
		if form := c.forms["Go pkix.Name"]; form != "" && form != leaf.Subject.String() {
			t.Errorf("Go writes %s", leaf.Subject)
		}
		var sequence pkix.RDNSequence
		if _, err := asn1.Unmarshal(leaf.RawSubject, &sequence); err != nil {
			t.Fatal(err)
		}
		c.forms["Go RDNSequence, this version"] = sequence.String()
		c.forms["ours"] = subjects[i].String()
	}
	for i, c := range certificates {
		for form, text := range c.forms {
			t.Run(c.name+"/"+form, func(t *testing.T) {
				name := parse(t, text)
				for j, subject := range subjects {
					if name.Equal(subject) != (i == j) || subject.Equal(name) != (i == j) {
						t.Errorf("%s\nis read %+v,\nthe certificate of %d has %+v", text, name, j, subject)
					}
				}
			})
		}
	}
}

// What is nearly the name of a certificate, and is not.
func TestNearlyEqualNamesDiffer(t *testing.T) {
	leaf := dntest.Certificate(t, dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.10", "Open Bank")), dntest.RDN(dntest.UTF8String(OrganizationIdentifier, "PSDGB-FCA-1")), dntest.RDN(dntest.UTF8String("2.5.4.3", "tpp"), dntest.PrintableString("2.5.4.5", "42"))))
	subject, err := ParseSubject(leaf.RawSubject)
	if err != nil {
		t.Fatal(err)
	}
	const own = "CN=tpp+serialNumber=42,organizationIdentifier=PSDGB-FCA-1,O=Open Bank,C=GB"
	if !parse(t, own).Equal(subject) {
		t.Fatal("its own name is another")
	}
	for _, tc := range []struct{ name, old, new string }{
		{"RDN more, in front", "CN=", "OU=x,CN="},
		{"RDN more, at the end", "C=GB", "C=GB,DC=x"},
		{"RDN more, inside", "O=", "OU=x,O="},
		{"RDN twice", "C=GB", "C=GB,C=GB"},
		{"RDN less, in front", "CN=tpp+serialNumber=42,", ""},
		{"RDN less, at the end", ",C=GB", ""},
		{"RDN less, inside", "O=Open Bank,", ""},
		{"permuted", "organizationIdentifier=PSDGB-FCA-1,O=Open Bank,", "O=Open Bank,organizationIdentifier=PSDGB-FCA-1,"},
		{"attribute less in an RDN", "+serialNumber=42", ""},
		{"attribute more in an RDN", "=42", "=42+OU=x"},
		{"attribute twice in an RDN", "=42", "=42+CN=tpp"},
		{"two RDNs for one of two", "+serialNumber", ",serialNumber"},
		{"one RDN for two", ",O=Open Bank", "+O=Open Bank"},
		{"the other attribute of an RDN moved", "CN=tpp+serialNumber=42,", "CN=tpp,"},
		{"value cut", "O=Open Bank", "O=Open"},
		{"value longer", "O=Open Bank", "O=Open Bank Ltd"},
		{"value split over two RDNs", "O=Open Bank", "O=Open,O=Bank"},
		{"value split over two attributes", "O=Open Bank", "O=Open+O=Bank"},
		{"two RDNs in one value", ",O=Open Bank,C=GB", `,O=Open Bank\,C=GB`},
		{"two attributes in one value", "CN=tpp+serialNumber=42", `CN=tpp\+serialNumber=42`},
		{"pattern", "CN=tpp", "CN=*"},
		{"another type, same value", "O=Open", "OU=Open"},
		{"types exchanged", "CN=tpp+serialNumber=42", "CN=42+serialNumber=tpp"},
		{"identifier under another type", "organizationIdentifier=", "2.5.4.96="},
		{"SN for serialNumber", "serialNumber=", "SN="},
		{"value as an integer", "serialNumber=42", "serialNumber=#02012a"},
		{"value as an octet string", "serialNumber=42", "serialNumber=#04023432"},
		{"value that looks like DER", "serialNumber=42", `serialNumber=\#13023432`},
		{"Cyrillic a", "O=Open Bank", "O=Open B\u0430nk"},
		{"Greek capital omicron", "O=Open Bank", "O=\u039fpen Bank"},
		{"Greek rho", "CN=tpp", "CN=tp\u03c1"},
		{"non-breaking hyphen", "PSDGB-FCA-1", "PSDGB\u2011FCA-1"},
		{"minus sign", "PSDGB-FCA-1", "PSDGB\u2212FCA-1"},
		{"mathematical digit is a digit, of another value", "serialNumber=42", "serialNumber=4\U0001d7d1"},
		{"accent", "CN=tpp", "CN=tp\u0070\u0301"},
		{"blank less", "O=Open Bank", "O=OpenBank"},
		{"blank more, inside a word", "CN=tpp", "CN=t pp"},
		{"zero width space is no blank", "O=Open Bank", "O=Open\u200bBank"},
		{"zero width joiner is no blank", "O=Open Bank", "O=Open\u200dBank"},
		{"right-to-left", "CN=tpp", "CN=\u05d0tpp"},
		{"replacement character", "CN=tpp", "CN=tp\ufffd"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(own, tc.old, tc.new, 1)
			if text == own {
				t.Fatal("nothing is changed")
			}
			if name := parse(t, text); name.Equal(subject) || subject.Equal(name) {
				t.Errorf("%s equals %s", text, subject)
			}
		})
	}
	// Go's pkix.Name moves what it does not know, and loses one of two CNs.
	if name := parse(t, leaf.Subject.String()); name.Equal(subject) {
		t.Errorf("%s equals %s", name, subject)
	}
}
