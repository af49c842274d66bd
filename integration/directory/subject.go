package directory

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
)

// OrganizationIdentifier is the attribute in which eIDAS and Open Banking
// certificates name the organisation (ETSI TS 119 495).
var OrganizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97}

var (
	country      = asn1.ObjectIdentifier{2, 5, 4, 6}
	organization = asn1.ObjectIdentifier{2, 5, 4, 10}
	commonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// Attribute is one RDN of a certificate's subject.
type Attribute struct {
	Type  asn1.ObjectIdentifier
	Value string
}

// RawSubject encodes attributes in the order given. Go's pkix.Name cannot: it
// moves attributes that it does not know to the end, and an ASCII
// organizationIdentifier becomes a PrintableString where real issuers write
// UTF8String. Text is UTF8String, the country PrintableString (X.520).
func RawSubject(attributes ...Attribute) ([]byte, error) {
	var name pkix.RDNSequence
	for _, a := range attributes {
		tag := asn1.TagUTF8String
		if a.Type.Equal(country) {
			tag = asn1.TagPrintableString
		}
		name = append(name, pkix.RelativeDistinguishedNameSET{{
			Type: a.Type, Value: asn1.RawValue{Tag: tag, Bytes: []byte(a.Value)},
		}})
	}
	return asn1.Marshal(name)
}

// subject is the DN of an Open Banking transport certificate.
func (e *Enrolment) subject() []Attribute {
	return []Attribute{
		{country, "GB"},
		{organization, e.OrgName},
		{OrganizationIdentifier, e.OrganizationIdentifier},
		{commonName, e.SoftwareID},
	}
}

var shortNames = map[string]string{
	country.String(): "C", organization.String(): "O", commonName.String(): "CN", OrganizationIdentifier.String(): "organizationIdentifier",
	"2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// SubjectDN is a certificate's subject as a TPP writes it into
// tls_client_auth_subject_dn: RFC 4514, short names, last RDN first. rawSubject
// is x509.Certificate.RawSubject.
func SubjectDN(rawSubject []byte) (string, error) {
	var name []asn1.RawValue
	if _, err := asn1.Unmarshal(rawSubject, &name); err != nil {
		return "", err
	}
	rdns := make([]string, len(name))
	for i, set := range name {
		var attributes []struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		if _, err := asn1.UnmarshalWithParams(set.FullBytes, &attributes, "set"); err != nil {
			return "", err
		}
		var parts []string
		for _, a := range attributes {
			key, ok := shortNames[a.Type.String()]
			if !ok {
				key = a.Type.String()
			}
			parts = append(parts, key+"="+escapeValue(string(a.Value.Bytes)))
		}
		rdns[len(name)-1-i] = strings.Join(parts, "+")
	}
	return strings.Join(rdns, ","), nil
}

// escapeValue escapes what RFC 4514 section 2.4 demands.
func escapeValue(value string) string {
	var b strings.Builder
	for i, r := range value {
		last := i == len(value)-1
		switch {
		case r == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(`"+,;<>\`, r), i == 0 && (r == '#' || r == ' '), last && r == ' ':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
