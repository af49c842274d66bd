package verify

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// issue makes a real certificate with the subject, valid for a day around noon.
func issue(t testing.TB, subject []byte, key crypto.Signer, change ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), RawSubject: subject,
		NotBefore: noon.Add(-12 * time.Hour), NotAfter: noon.Add(12 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	for _, f := range change {
		f(template)
	}
	ca := &x509.Certificate{RawSubject: dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "CA")))}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), ec384Key())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func stdBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// objectOf is a JSON object of a test.
func objectOf(t testing.TB, text string) strictjson.Object {
	t.Helper()
	o, err := strictjson.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// nameOf is a name of a test.
func nameOf(t testing.TB, text string) dn.Name {
	t.Helper()
	name, err := dn.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return name
}
