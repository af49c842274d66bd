package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/integration/authserverprocess"
	"github.com/caddy-dcr/caddy-dcr/integration/directory"
	"github.com/caddy-dcr/caddy-dcr/integration/story"
)

// TestPublishedCertificate: the DN of a certificate that only the software's JWKS has is
// taken when the site's trust_pool verifies it, and from no other.
func TestPublishedCertificate(t *testing.T) {
	t.Parallel()
	p := learn(t, open(t, story.Options{Kind: authserverprocess.GoOIDC}))
	named := func(cn string) []directory.Attribute {
		return []directory.Attribute{{Type: asn1.ObjectIdentifier{2, 5, 4, 6}, Value: "GB"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: cn}}
	}
	issued := func(cn string, change func(*x509.Certificate)) {
		t.Helper()
		if _, err := p.Acme.IssueTransport(directory.TransportOptions{Key: directory.P256, Subject: named(cn), Change: change}); err != nil {
			t.Fatal(err)
		}
	}
	issued("good", nil)
	issued("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	issued("server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	if err := p.Acme.PublishTransport(selfSigned(t, named("forged"))); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		cn, word string // empty: registered
	}{
		{"good", ""}, {"expired", "expired at "}, {"server", "its extended key usage does not allow client authentication"},
		{"forged", "this server trusts no CA that issued it"},
	} {
		r := registers(t, p, p.Client(p.Acme), map[string]any{"tls_client_auth_subject_dn": "CN=" + tc.cn + ",C=GB"})
		switch {
		case tc.word == "":
			answered(t, r, nil, 201, "")
		default:
			answered(t, r, nil, 400, "invalid_client_metadata")
			if !strings.Contains(r.Text("error_description"), tc.word) {
				t.Errorf("%s: %v, want %q", tc.cn, r, tc.word)
			}
		}
	}
}

// selfSigned is a certificate that its holder has made.
func selfSigned(t *testing.T, subject []directory.Attribute) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := directory.RawSubject(subject...)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: raw, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
