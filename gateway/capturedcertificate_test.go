package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/crl/crltest"
)

// The chain is a connection's, not the leaf's: after the trust pool has changed, or at
// another site, the same leaf has another one.
func TestCapturedChain(t *testing.T) {
	oldRoot := crltest.New(t, time.Now(), "old root", nil, nil).Certificate
	ca := crltest.New(t, time.Now(), "new root", nil, nil)
	leaf, newRoot := ca.Client(1), ca.Certificate
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
