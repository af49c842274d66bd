package verify

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
)

// chained issues a certificate with any public key, in the name of an issuer.
func chained(t *testing.T, subject, issuer string, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	name := func(cn string) []byte { return dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", cn))) }
	template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: name(subject), NotBefore: noon, NotAfter: noon, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{RawSubject: name(issuer)}, pub, ec384Key())
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// rsaOf is a key of a length that nobody has to know the factors of.
func rsaOf(bits uint, e int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: e}
}

// TestChainOfJWKSIsCheap: nobody has signed a JWKS, so what its chains cost is bounded:
// one path, a few certificates, keys of the length that CAs have.
func TestChainOfJWKSIsCheap(t *testing.T) {
	ec := ecKey().Public()
	leaf := chained(t, "leaf", "A", ec)
	for _, c := range []struct {
		name  string
		x5c   []*x509.Certificate
		links int
	}{
		{"in order", []*x509.Certificate{chained(t, "A", "B", ec), chained(t, "B", "C", rsaOf(4096, 65537))}, 2},
		{"a modulus of 262,144 bits", []*x509.Certificate{chained(t, "A", "A", rsaOf(262144, 65537))}, 0},
		{"a modulus of 4,097 bits", []*x509.Certificate{chained(t, "A", "B", rsaOf(4097, 65537))}, 0},
		{"a modulus of 4,104 bits", []*x509.Certificate{chained(t, "A", "B", rsaOf(4104, 65537))}, 0},
		{"an exponent of 31 bits", []*x509.Certificate{chained(t, "A", "B", rsaOf(2048, 1<<31-1))}, 0},
		{"behind a good one", []*x509.Certificate{chained(t, "A", "B", ec), chained(t, "B", "C", rsaOf(8192, 65537))}, 1},
		{"of another issuer", []*x509.Certificate{chained(t, "X", "A", ec)}, 0},
		{"of one name", []*x509.Certificate{chained(t, "A", "A", ec), chained(t, "A", "A", ec), chained(t, "A", "A", ec)}, 1},
		{"in a circle", []*x509.Certificate{chained(t, "A", "B", ec), chained(t, "B", "A", ec), chained(t, "A", "B", ec)}, 2},
		{"without end", []*x509.Certificate{chained(t, "A", "B", ec), chained(t, "B", "C", ec), chained(t, "C", "D", ec), chained(t, "D", "E", ec), chained(t, "E", "F", ec)}, 4},
	} {
		k := Key{Certificates: [][]byte{leaf.Raw}}
		for _, one := range c.x5c {
			k.Certificates = append(k.Certificates, one.Raw)
		}
		if got := len(k.chain(leaf)) - 1; got != c.links {
			t.Errorf("%s: %d certificates follow the leaf, want %d", c.name, got, c.links)
		}
	}
}
