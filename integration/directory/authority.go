package directory

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// KeyType is the type of the key in a certificate.
type KeyType int

const (
	RSA2048 KeyType = iota // as the Open Banking directory issues them
	P256                   // three times as many handshakes a second, for load tests
)

func (k KeyType) generate() (crypto.Signer, error) {
	if k == P256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// authority is a certificate that issues others.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// certificateLife is long enough for a demo that is left running, and short
// enough that nobody mistakes these certificates for real ones.
const certificateLife = 30 * 24 * time.Hour

// newAuthority makes a certificate authority; parent nil makes a root.
func newAuthority(name string, parent *authority) (*authority, error) {
	key, err := P256.generate()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{Country: []string{"GB"}, Organization: []string{"Test Directory"}, CommonName: name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        parent != nil,
		MaxPathLen:            -1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if parent != nil {
		template.MaxPathLen = 0
	} else {
		parent = &authority{certificate: template, key: key}
	}
	certificate, err := parent.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key}, nil
}

// sign fills in the serial number and the validity where they are not set.
func (a *authority) sign(template *x509.Certificate, public crypto.PublicKey) (*x509.Certificate, error) {
	if template.SerialNumber == nil {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
		if err != nil {
			return nil, err
		}
		template.SerialNumber = serial
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(certificateLife)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue makes a leaf certificate with a key of the keyring. The chain that is sent holds the
// authority's own certificate unless that is a root.
func (a *authority) issue(template *x509.Certificate, keys *keyring, keyType KeyType) (tls.Certificate, error) {
	key, err := keys.key(keyType)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := a.sign(template, key.Public())
	if err != nil {
		return tls.Certificate{}, err
	}
	chain := [][]byte{leaf.Raw}
	if !bytes.Equal(a.certificate.RawIssuer, a.certificate.RawSubject) {
		chain = append(chain, a.certificate.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// ServerCertificate issues a P-256 certificate for a TLS server: the gateway, an
// authorization server. It names hosts (DNS names or IP addresses) beside
// localhost, 127.0.0.1 and ::1. Not good for client authentication.
func (d *Directory) ServerCertificate(hosts ...string) (tls.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "localhost"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certificate, err := d.root.issue(template, &d.keyring, P256)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("server certificate: %w", err)
	}
	return certificate, nil
}

// TransportOptions say what is unusual about a transport certificate.
type TransportOptions struct {
	// Key is the type of its key. Default: RSA2048.
	Key KeyType
	// Subject replaces the Open Banking DN, for renewals under another name.
	Subject []Attribute
	// Change alters the template before it is signed: validity, usages, SANs, QC statements.
	Change func(*x509.Certificate)
	// Unpublished keeps it out of the software's JWKS.
	Unpublished bool
}

// IssueTransport issues one more transport certificate (EKU clientAuth) to the
// software. Earlier ones stay valid and published.
func (s *Software) IssueTransport(options TransportOptions) (tls.Certificate, error) {
	subject := options.Subject
	if subject == nil {
		subject = s.subject()
	}
	raw, err := RawSubject(subject...)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("subject: %w", err)
	}
	template := &x509.Certificate{
		RawSubject:  raw,
		NotBefore:   time.Now().Add(-time.Hour), // set here for Change to see
		NotAfter:    time.Now().Add(certificateLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if options.Change != nil {
		options.Change(template)
	}
	certificate, err := s.directory.issuing.issue(template, &s.directory.keyring, options.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("transport certificate: %w", err)
	}
	if !options.Unpublished {
		err = s.PublishTransport(certificate)
	}
	return certificate, err
}

// chain returns the certificates of a TLS certificate, leaf first.
func chain(c tls.Certificate) ([]*x509.Certificate, error) {
	out := make([]*x509.Certificate, 0, len(c.Certificate))
	for _, der := range c.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, certificate)
	}
	if len(out) == 0 {
		return nil, errors.New("no certificate")
	}
	return out, nil
}
