package selftest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// authority is a throw-away certification authority. Its key is in memory alone.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// certificateLife is longer than any run, and too short to be of use to anybody.
const certificateLife = 6 * time.Hour

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key, certificate: &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}}
	a.certificate, err = a.sign(a.certificate, key)
	return a, err
}

// sign fills in serial number and validity where they are missing.
func (a *authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) (_ *x509.Certificate, err error) {
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, err
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(certificateLife)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// issue makes a certificate with a key of its own.
func (a *authority) issue(template *x509.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	leaf, err := a.sign(template, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// server is a certificate for servers with these names, beside 127.0.0.1.
func (a *authority) server(names ...string) (*tls.Certificate, error) {
	return a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "selftest"}, DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// client is a transport certificate. change alters what is unusual about it.
func (a *authority) client(subject []attribute, change func(*x509.Certificate)) (*tls.Certificate, error) {
	raw, err := rawSubject(subject)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{RawSubject: raw, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if change != nil {
		change(template)
	}
	return a.issue(template)
}

// revocationList is one in PEM, current for the run.
func (a *authority) revocationList(revoked *x509.Certificate) ([]byte, error) {
	now := time.Now()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(certificateLife),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revoked.SerialNumber, RevocationTime: now.Add(-time.Minute)}},
	}, a.certificate, a.key)
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), err
}

// trustPool is the authority as a module of tls.ca_pool.source.
func (a *authority) trustPool() map[string]any {
	return map[string]any{"provider": "inline", "trusted_ca_certs": []any{base64.StdEncoding.EncodeToString(a.certificate.Raw)}}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// certificatePEM and keyPEM are a certificate as Caddy loads it.
func certificatePEM(c *tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw}))
}

func keyPEM(c *tls.Certificate) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

// attribute is one RDN of a subject, in the order of the certificate.
type attribute struct {
	oid   asn1.ObjectIdentifier
	value string
}

// rawSubject keeps the order of the attributes, which pkix.Name does not.
func rawSubject(subject []attribute) ([]byte, error) {
	var name pkix.RDNSequence
	for _, a := range subject {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: a.oid, Value: a.value}})
	}
	return asn1.Marshal(name)
}

var (
	country                = asn1.ObjectIdentifier{2, 5, 4, 6}
	organization           = asn1.ObjectIdentifier{2, 5, 4, 10}
	organizationalUnit     = asn1.ObjectIdentifier{2, 5, 4, 11}
	organizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97}
	commonName             = asn1.ObjectIdentifier{2, 5, 4, 3}
)
