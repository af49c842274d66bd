package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"golang.org/x/crypto/cryptobyte"
	cryptoasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SubjectNames are the claims of which a client with tls_client_auth has exactly
// one (RFC 8705 2.1.2): it says which name of the certificate is the client's.
var SubjectNames = []string{
	"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email",
}

// maxSAN is the length in bytes of a subject alternative name, at most.
const maxSAN = 256

// ReadSAN checks the value of one of the san claims of SubjectNames and returns
// the form in which two values are the same name exactly when they are equal: a
// DNS name and the domain of an address in lower case, an IP address as RFC 5952
// writes it (IPv4 for IPv4-mapped), a URI as it is.
//
// The name is one name: a wildcard would let one certificate be many clients.
// Errors have texts that go on after the claim's name.
func ReadSAN(claim, value string) (string, error) {
	switch {
	case value == "":
		return "", errors.New("empty; send the name, or leave the claim out")
	case len(value) > maxSAN:
		return "", fmt.Errorf("%d bytes, at most %d are read", len(value), maxSAN)
	case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", fmt.Errorf("%s has a character that is not printable ASCII; send a domain as A-label (xn--)", refusal.Quote(value))
	case strings.Contains(value, "*"):
		return "", fmt.Errorf("%s has a wildcard; send the whole name", refusal.Quote(value))
	}
	switch claim {
	case "tls_client_auth_san_dns":
		if !isHostName(value) {
			return "", fmt.Errorf("%s is no DNS name", refusal.Quote(value))
		}
		return strings.ToLower(value), nil
	case "tls_client_auth_san_uri":
		if u, err := url.Parse(value); err != nil || !u.IsAbs() {
			return "", fmt.Errorf("%s is no URI with a scheme", refusal.Quote(value))
		}
		return value, nil
	case "tls_client_auth_san_ip":
		ip, err := netip.ParseAddr(value)
		if err != nil || ip.Zone() != "" {
			return "", fmt.Errorf("%s is no IP address", refusal.Quote(value))
		}
		return ip.Unmap().String(), nil
	case "tls_client_auth_san_email":
		at := strings.LastIndexByte(value, '@')
		if at < 1 || !isHostName(value[at+1:]) {
			return "", fmt.Errorf("%s is no email address", refusal.Quote(value))
		}
		return value[:at] + strings.ToLower(value[at:]), nil
	}
	return "", errors.New("is no claim for a subject alternative name")
}

// isHostName tells whether s is a DNS name in the preferred syntax (RFC 1034
// 3.5, and '_', which names have in practice), without a dot at the end.
func isHostName(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return true
}

// HasSAN tells whether the certificate has exactly this subject alternative name:
// claim is one of the san claims of SubjectNames, value the registered one. A
// wildcard of the certificate covers nothing.
//
// It reads the extension itself, because Go hands a URI out parsed, and what it
// writes then is another text ("HTTPS:" becomes "https:").
func (c *Certificate) HasSAN(claim, value string) bool {
	want, err := ReadSAN(claim, value)
	if err != nil {
		return false
	}
	names, err := c.subjectAltNames()
	return err == nil && slices.ContainsFunc(names, func(n altName) bool {
		if n.claim != claim {
			return false
		}
		got, err := ReadSAN(n.claim, n.value)
		return err == nil && got == want
	})
}

// altName is a subject alternative name, under the claim that it is compared with.
type altName struct{ claim, value string }

// subjectAltNames reads the names of the four kinds that RFC 8705 knows (RFC 5280
// 4.2.1.6). Their characters are not looked at: ReadSAN does that.
func (c *Certificate) subjectAltNames() ([]altName, error) {
	der, err := c.extension("2.5.29.17")
	if der == nil || err != nil {
		return nil, err
	}
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, cryptoasn1.SEQUENCE) || !in.Empty() {
		return nil, errors.New("malformed subject alternative names")
	}
	var names []altName
	for !seq.Empty() {
		var v cryptobyte.String
		var tag cryptoasn1.Tag
		if !seq.ReadAnyASN1(&v, &tag) {
			return nil, errors.New("malformed subject alternative name")
		}
		switch tag {
		case cryptoasn1.Tag(1).ContextSpecific():
			names = append(names, altName{"tls_client_auth_san_email", string(v)})
		case cryptoasn1.Tag(2).ContextSpecific():
			names = append(names, altName{"tls_client_auth_san_dns", string(v)})
		case cryptoasn1.Tag(6).ContextSpecific():
			names = append(names, altName{"tls_client_auth_san_uri", string(v)})
		case cryptoasn1.Tag(7).ContextSpecific():
			ip, ok := netip.AddrFromSlice(v)
			if !ok {
				return nil, errors.New("malformed IP address among the subject alternative names")
			}
			names = append(names, altName{"tls_client_auth_san_ip", ip.String()})
		}
	}
	return names, nil
}

// extension is the content of the leaf's extension, nil when it has none. One
// that is there twice would be read differently by different software.
func (c *Certificate) extension(oid string) ([]byte, error) {
	var value []byte
	for _, e := range c.Leaf.Extensions {
		if e.Id.String() != oid {
			continue
		}
		if value != nil {
			return nil, fmt.Errorf("has the extension %s twice", oid)
		}
		value = append([]byte{}, e.Value...)
	}
	return value, nil
}
