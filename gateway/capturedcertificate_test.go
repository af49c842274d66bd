package gateway

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

// The chain is a connection's, not the leaf's: after the trust pool has changed, or at
// another site, the same leaf has another one.
func TestCapturedChain(t *testing.T) {
	issue := func(name string, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		if parent == nil {
			parent, by = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed, key
	}
	oldRoot, _ := issue("old root", nil, nil)
	newRoot, key := issue("new root", nil, nil)
	leaf, _ := issue("leaf", newRoot, key)
	for _, root := range []*x509.Certificate{oldRoot, newRoot} {
		c, err := captureCertificate(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, root}}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.ForPolicy()
		if err != nil {
			t.Fatal(err)
		}
		if c.Authorities[0] != root {
			t.Errorf("policies see the chain to %s (%s), the connection's goes to %s", c.Authorities[0].Subject, p.CASPKI, root.Subject)
		}
	}
}
