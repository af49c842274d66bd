package authserver

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
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
		if rest, err := asn1.Unmarshal(c.Subject, &rdns); err != nil || len(rest) > 0 {
			return "", fmt.Errorf("subject cannot be written in the form %s: %w", format, err)
		}
		var name pkix.Name
		name.FillFromRDNSequence(&rdns)
		return name.String(), nil
	case OpenSSL:
		return opensslDN(c.Subject)
	}
	name, err := verify.ParseSubject(c.Subject)
	return name.String(), err
}

// opensslDN is what openssl x509 -subject -nameopt RFC2253 prints: RFC 4514, but
// every byte outside ASCII escaped, and a type without a short name as "#" and DER.
func opensslDN(der []byte) (string, error) {
	name, err := verify.ParseSubject(der)
	if err != nil {
		return "", err
	}
	var rdns []relativeNameSET
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 || len(rdns) != len(name) {
		return "", fmt.Errorf("subject cannot be written in the form %s: %w", OpenSSL, err)
	}
	var b strings.Builder
	for i := len(name) - 1; i >= 0; i-- {
		// openssl writes the attributes of one RDN from the last to the first too.
		for j := len(name[i]) - 1; j >= 0; j-- {
			one := verify.DN{verify.RDN{name[i][j]}}.String()
			short, _, _ := strings.Cut(one, "=")
			switch {
			case short == name[i][j].OID: // no short name
				one = short + "=#" + strings.ToUpper(hex.EncodeToString(rdns[i][j].Value.FullBytes))
			case short == "STREET":
				one = "street" + one[len("STREET"):]
			}
			for k := range len(one) {
				if c := one[k]; c >= 0x80 {
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

// relativeNameSET is an RDN; encoding/asn1 wants a SET's name to end so.
type relativeNameSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}
