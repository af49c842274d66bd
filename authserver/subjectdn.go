package authserver

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// subjectDN is the DN of a tls_client_auth client as the AS compares it. ASs
// compare text, so it is written from the certificate's DER; only where no
// certificate was seen is it what the TPP wrote.
func subjectDN(format string, c *registry.Client) (string, error) {
	if len(c.Subject) == 0 {
		return c.Metadata.TLSClientAuthSubjectDN, nil
	}
	switch format {
	case Go:
		var rdns pkix.RDNSequence
		rest, err := asn1.Unmarshal(c.Subject, &rdns)
		if err == nil && len(rest) > 0 {
			err = errors.New("something follows the name")
		}
		if err != nil {
			return "", fmt.Errorf("subject cannot be written in the form %s: %w", format, err)
		}
		var name pkix.Name
		name.FillFromRDNSequence(&rdns)
		return name.String(), nil
	case OpenSSL:
		return opensslDN(c.Subject)
	}
	name, err := dn.ParseSubject(c.Subject)
	return name.String(), err
}

// opensslDN is what openssl x509 -subject -nameopt RFC2253 prints: RFC 4514, but
// every byte outside ASCII escaped, and a type without a short name as "#" and DER.
func opensslDN(der []byte) (string, error) {
	name, err := dn.ParseSubject(der)
	if err != nil {
		return "", err
	}
	var rdns []relativeNameSET
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 || len(rdns) != len(name) {
		return "", fmt.Errorf("subject cannot be written in the form %s: %v", OpenSSL, err)
	}
	var b strings.Builder
	for i := len(name) - 1; i >= 0; i-- {
		// openssl writes the attributes of one RDN from the last to the first too.
		for j := len(name[i]) - 1; j >= 0; j-- {
			oid := name[i][j].OID
			short, value, _ := strings.Cut(dn.Name{dn.RDN{name[i][j]}}.String(), "=")
			if known, ok := opensslNames[oid]; ok {
				short = known
			}
			if short == oid || name[i][j].Binary {
				value = "#" + strings.ToUpper(hex.EncodeToString(rdns[i][j].Value.FullBytes))
			}
			if value == `\#` { // openssl escapes a first "#", but not if it is the last character too
				value = "#"
			}
			b.WriteString(short)
			b.WriteByte('=')
			for k := range len(value) {
				if c := value[k]; c >= 0x80 {
					fmt.Fprintf(&b, `\%02X`, c)
				} else {
					b.WriteByte(c)
				}
			}
			if j > 0 {
				b.WriteByte('+')
			}
		}
		if i > 0 {
			b.WriteByte(',')
		}
	}
	return b.String(), nil
}

// opensslNames are the short names of OpenSSL 3 for attribute types that
// dn.Name does not name, or not so (openssl list -objects).
var opensslNames = map[string]string{
	"2.5.4.9": "street", "2.5.4.13": "description", "2.5.4.16": "postalAddress", "2.5.4.18": "postOfficeBox",
	"2.5.4.19": "physicalDeliveryOfficeName", "2.5.4.20": "telephoneNumber", "2.5.4.23": "facsimileTelephoneNumber", "2.5.4.26": "registeredAddress",
	"2.5.4.41": "name", "2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.45": "x500UniqueIdentifier",
	"2.5.4.49": "distinguishedName", "2.5.4.51": "houseIdentifier", "2.5.4.54": "dmdName", "2.5.4.65": "pseudonym", "2.5.4.72": "role",
	"2.5.4.98": "c3", "2.5.4.99": "n3", "2.5.4.100": "dnsName",
	"0.9.2342.19200300.100.1.3": "mail", "0.9.2342.19200300.100.1.9": "host", "0.9.2342.19200300.100.1.43": "friendlyCountryName", "0.9.2342.19200300.100.1.44": "uid",
	"1.2.840.113549.1.9.2": "unstructuredName", "1.2.840.113549.1.9.8": "unstructuredAddress",
}

// relativeNameSET is an RDN; encoding/asn1 wants a SET's name to end so.
type relativeNameSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}
