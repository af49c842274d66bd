// Package crltest makes certificate authorities that revoke, for tests.
package crltest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// Authority is a CA. Its certificates and lists are of the time At.
type Authority struct {
	Certificate *x509.Certificate
	At          time.Time

	t   testing.TB
	key *ecdsa.PrivateKey
}

// Serial is the serial number of every CA's certificate.
const Serial = 500

// New makes an authority; parent nil is a root. change alters the certificate before it is
// signed, nil for nothing.
func New(t testing.TB, at time.Time, name string, parent *Authority, change func(*x509.Certificate)) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(Serial), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	if change != nil {
		change(template)
	}
	a := &Authority{t: t, At: at, key: key}
	if parent == nil {
		parent = &Authority{Certificate: template, At: at, t: t, key: key}
	}
	a.Certificate = parent.sign(template, key)
	return a
}

func (a *Authority) sign(template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	template.NotBefore, template.NotAfter = a.At.Add(-24*time.Hour), a.At.Add(365*24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// Client issues a client's certificate with its distribution points.
func (a *Authority) Client(serial int64, points ...string) *x509.Certificate {
	return a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "tpp"}, CRLDistributionPoints: points,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, a.key)
}

// Chain is a connection with a client's certificate that was verified up to the root.
func (a *Authority) Chain(client *x509.Certificate, above ...*Authority) *tls.ConnectionState {
	chain := []*x509.Certificate{client, a.Certificate}
	for _, ca := range above {
		chain = append(chain, ca.Certificate)
	}
	return &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: chain[:1], VerifiedChains: [][]*x509.Certificate{chain}}
}

// List issues a list (DER) with serial numbers: number 7, an hour old, and good for
// another one. change alters it before it is signed, nil for nothing.
func (a *Authority) List(change func(*x509.RevocationList), serials ...int64) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: a.At.Add(-time.Hour), NextUpdate: a.At.Add(time.Hour)}
	for _, serial := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: a.At})
	}
	if change != nil {
		change(template)
	}
	signer := *a.Certificate
	signer.KeyUsage |= x509.KeyUsageCRLSign // a CA that may not sign lists can all the same
	der, err := x509.CreateRevocationList(rand.Reader, template, &signer, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// Numbered is a change of a list: its number, and how old it is.
func (a *Authority) Numbered(number int64, age time.Duration) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.Number, l.ThisUpdate = big.NewInt(number), a.At.Add(-age)
	}
}
