// Package dn reads, compares and writes distinguished names: those of certificates (X.501
// in DER), and those that TPPs send as text (RFC 4514, and what other software writes).
package dn

import (
	"slices"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// MaxLength is the length in bytes of a distinguished name in text, at most.
const MaxLength = 1024

// OrganizationIdentifier is the attribute type in which eIDAS and Open Banking
// certificates name the organisation (ETSI EN 319 412-1 5.1.4).
const OrganizationIdentifier = "2.5.4.97"

// Name is a distinguished name: RDNs in the order of the certificate, the
// most significant (usually C) first. A Name that was read from text keeps the
// order of the text; Equal does not mind.
type Name []RDN

// RDN is one relative distinguished name: a set of attributes, nearly always one.
type RDN []Attribute

// Attribute is a type, as dotted OID, and its decoded value. A value of a type
// that is no string is its DER as "#hex" (RFC 4514 2.4), and Binary is set.
type Attribute struct {
	OID    string
	Value  string
	Binary bool
}

// attributeNames has the names that are understood for each type, in lower
// case; the first, as spelt in attributeShort, is the one that is written.
var attributeNames = map[string]string{
	"cn": "2.5.4.3", "commonname": "2.5.4.3",
	"sn": "2.5.4.4", "surname": "2.5.4.4",
	"serialnumber": "2.5.4.5",
	"c":            "2.5.4.6", "countryname": "2.5.4.6",
	"l": "2.5.4.7", "localityname": "2.5.4.7",
	"st": "2.5.4.8", "s": "2.5.4.8", "stateorprovincename": "2.5.4.8",
	"street": "2.5.4.9", "streetaddress": "2.5.4.9",
	"o": "2.5.4.10", "organizationname": "2.5.4.10",
	"ou": "2.5.4.11", "organizationalunitname": "2.5.4.11",
	"title": "2.5.4.12", "t": "2.5.4.12",
	"description":      "2.5.4.13",
	"businesscategory": "2.5.4.15",
	"postalcode":       "2.5.4.17",
	"postaladdress":    "2.5.4.16",
	"postofficebox":    "2.5.4.18", "pobox": "2.5.4.18",
	"physicaldeliveryofficename": "2.5.4.19", "telephonenumber": "2.5.4.20", "facsimiletelephonenumber": "2.5.4.23", "registeredaddress": "2.5.4.26",
	"name":      "2.5.4.41",
	"givenname": "2.5.4.42", "gn": "2.5.4.42", "g": "2.5.4.42",
	"initials":             "2.5.4.43",
	"generationqualifier":  "2.5.4.44",
	"x500uniqueidentifier": "2.5.4.45",
	"dnqualifier":          "2.5.4.46", "dnq": "2.5.4.46",
	"distinguishedname": "2.5.4.49", "houseidentifier": "2.5.4.51", "dmdname": "2.5.4.54",
	"pseudonym": "2.5.4.65",
	"role":      "2.5.4.72",
	"c3":        "2.5.4.98", "n3": "2.5.4.99", "dnsname": "2.5.4.100",
	"organizationidentifier": OrganizationIdentifier,
	"uid":                    "0.9.2342.19200300.100.1.1", "userid": "0.9.2342.19200300.100.1.1",
	"dc": "0.9.2342.19200300.100.1.25", "domaincomponent": "0.9.2342.19200300.100.1.25",
	"mail": "0.9.2342.19200300.100.1.3", "host": "0.9.2342.19200300.100.1.9", "friendlycountryname": "0.9.2342.19200300.100.1.43",
	"unstructuredname": "1.2.840.113549.1.9.2", "unstructuredaddress": "1.2.840.113549.1.9.8",
	"emailaddress": "1.2.840.113549.1.9.1", "e": "1.2.840.113549.1.9.1", "email": "1.2.840.113549.1.9.1",
	"jurisdictionlocalityname":                       "1.3.6.1.4.1.311.60.2.1.1",
	"jurisdictionl":                                  "1.3.6.1.4.1.311.60.2.1.1",
	"jurisdictionofincorporationlocalityname":        "1.3.6.1.4.1.311.60.2.1.1",
	"jurisdictionstateorprovincename":                "1.3.6.1.4.1.311.60.2.1.2",
	"jurisdictionst":                                 "1.3.6.1.4.1.311.60.2.1.2",
	"jurisdictionofincorporationstateorprovincename": "1.3.6.1.4.1.311.60.2.1.2",
	"jurisdictioncountryname":                        "1.3.6.1.4.1.311.60.2.1.3",
	"jurisdictionc":                                  "1.3.6.1.4.1.311.60.2.1.3",
	"jurisdictionofincorporationcountryname":         "1.3.6.1.4.1.311.60.2.1.3",
}

var attributeShort = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.15": "businessCategory",
	"2.5.4.17": "postalCode", "2.5.4.42": "GN", "2.5.4.46": "dnQualifier", OrganizationIdentifier: "organizationIdentifier",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC", "1.2.840.113549.1.9.1": "emailAddress",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL", "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST", "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// Equal is RFC 4517 4.2.15 distinguishedNameMatch, with one allowance: the RDNs
// may be in fully reversed order, because RFC 4514 writes them so and half of
// all software does not. An empty name equals nothing.
func (d Name) Equal(other Name) bool {
	if len(d) == 0 || len(d) != len(other) {
		return false
	}
	return &d[0] == &other[0] || d.Canonical() == other.Canonical() // one name, or two texts of it
}

// Canonical is a text that two names share exactly when they are Equal: values
// prepared for caseIgnoreMatch, attributes of an RDN sorted, and of the two
// directions the smaller one. For comparing and as index key, never shown.
func (d Name) Canonical() string {
	parts := make([]string, len(d))
	for i, rdn := range d {
		attributes := make([]string, len(rdn))
		for j, a := range rdn {
			attributes[j] = a.canonical()
		}
		slices.Sort(attributes)
		parts[i] = strings.Join(attributes, "+")
	}
	forward := strings.Join(parts, ",")
	slices.Reverse(parts)
	return min(forward, strings.Join(parts, ","))
}

func (a Attribute) canonical() string {
	if a.Binary {
		return a.OID + "=" + a.Value
	}
	return a.OID + "=" + escapeCanonical.Replace(prepare(a.Value))
}

// A '#' of a string value is escaped too, so that no string equals a binary value.
var escapeCanonical = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `=`, `\=`, `#`, `\#`)

// prepare readies a value for caseIgnoreMatch (RFC 4518): mapped, case folded,
// NFKC, outer blanks cut and inner ones joined.
func prepare(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x7f || s[i] < 0x20 {
			ascii = false
			break
		}
	}
	if ascii {
		s = strings.ToLower(s)
	} else {
		s = strings.Map(mapped, s)
		s = norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s)))
	}
	if s == "" || s[0] != ' ' && s[len(s)-1] != ' ' && !strings.Contains(s, "  ") {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), " ")
}

// mapped is the table of RFC 4518 2.2: separators become a blank, characters
// that show nothing vanish.
func mapped(r rune) rune {
	switch {
	case r >= 0x09 && r <= 0x0d, r == 0x85, r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200a,
		r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r < 0x20, r >= 0x7f && r <= 0x9f, r == 0xad, r == 0x34f, r == 0x1806, r >= 0x180b && r <= 0x180e,
		r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x2063, r >= 0x206a && r <= 0x206f,
		r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r >= 0xfff9 && r <= 0xfffc:
		return -1
	}
	return r
}

// String is RFC 4514 text: the last RDN first, short names where there is one
// (organizationIdentifier too: its "#hex" would break the 128 characters that
// DCR v3.2 allows).
func (d Name) String() string { return d.text(escapeValue) }

// text is String with another way to write a value.
func (d Name) text(write func(*strings.Builder, string)) string {
	var b strings.Builder
	for i := len(d) - 1; i >= 0; i-- {
		if i < len(d)-1 {
			b.WriteByte(',')
		}
		for j, a := range d[i] {
			if j > 0 {
				b.WriteByte('+')
			}
			name := attributeShort[a.OID]
			if name == "" {
				name = a.OID
			}
			b.WriteString(name)
			b.WriteByte('=')
			if a.Binary {
				b.WriteString(a.Value)
			} else {
				write(&b, a.Value)
			}
		}
	}
	return b.String()
}

// escapeValue writes a value as RFC 4514 2.4 wants it.
func escapeValue(b *strings.Builder, v string) {
	const hex = "0123456789ABCDEF"
	for i := range len(v) {
		c := v[i]
		switch {
		case strings.IndexByte(`"+,;<>\`, c) >= 0,
			c == ' ' && (i == 0 || i == len(v)-1),
			c == '#' && i == 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c == 0x7f:
			b.WriteByte('\\')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
}

// Values are the values of an attribute type, in the order of the name.
func (d Name) Values(oid string) []string {
	var out []string
	for _, rdn := range d {
		for _, a := range rdn {
			if a.OID == oid && !a.Binary {
				out = append(out, a.Value)
			}
		}
	}
	return out
}
