package verify

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"testing"
	"time"
)

func TestReadCertificate(t *testing.T) {
	subject := subjectDER(t, rdn(printableString("2.5.4.6", "GB")), rdn(utf8String("2.5.4.3", "x")))
	usage := func(list ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = list }
	}
	for _, tc := range []struct {
		name    string
		change  func(*x509.Certificate)
		at      time.Time
		refused string
	}{
		{"client authentication", usage(x509.ExtKeyUsageClientAuth), noon, ""},
		{"client and server", usage(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth), noon, ""},
		{"no extended key usage", usage(), noon, ""},
		{"any", usage(x509.ExtKeyUsageAny), noon, ""},
		{"server only", usage(x509.ExtKeyUsageServerAuth), noon, "extended key usage"},
		{"code signing", usage(x509.ExtKeyUsageCodeSigning), noon, "extended key usage"},
		{"unknown usage only", func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{{1, 2, 3}}
		}, noon, "extended key usage"},
		{"CA", func(c *x509.Certificate) { c.IsCA = true }, noon, "CA certificate"},
		{"first second", usage(), noon.Add(-12 * time.Hour), ""},
		{"before", usage(), noon.Add(-12*time.Hour - time.Second), "not valid before 2026-03-01T00:00:00Z"},
		{"last second", usage(), noon.Add(12 * time.Hour), ""},
		{"expired", usage(), noon.Add(12*time.Hour + time.Second), "expired at 2026-03-02T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaf := issue(t, subject, ecKey(), tc.change)
			got, err := ReadCertificate(leaf, tc.at)
			if tc.refused != "" {
				wantRefusal(t, err, NoCertificate, "client certificate", tc.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(leaf.Raw)
			if got.Leaf != leaf || got.Thumbprint != b64(sum[:]) || got.Subject.String() != "CN=x,C=GB" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// PeerCertificates is filled without verification in some modes of Caddy.
func TestCaptureCertificate(t *testing.T) {
	leaf := issue(t, subjectDER(t, rdn(utf8String("2.5.4.3", "verified"))), ecKey())
	other := issue(t, subjectDER(t, rdn(utf8String("2.5.4.3", "unverified"))), ecKey())
	for _, tc := range []struct {
		name  string
		state *tls.ConnectionState
		ok    bool
	}{
		{"plain http", nil, false},
		{"no certificate", &tls.ConnectionState{}, false},
		{"unverified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}, false},
		{"empty chain", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{}}}, false},
		{"verified", &tls.ConnectionState{PeerCertificates: []*x509.Certificate{other}, VerifiedChains: [][]*x509.Certificate{{leaf, other}}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := CaptureCertificate(tc.state, noon)
			if !tc.ok {
				wantRefusal(t, err, NoCertificate, "client certificate: none")
				return
			}
			if err != nil || got.Leaf != leaf || got.Subject.String() != "CN=verified" || len(got.Thumbprint) != 43 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	// A connection outlives the certificate that it began with.
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	_, err := CaptureCertificate(verified, noon.Add(13*time.Hour))
	wantRefusal(t, err, NoCertificate, "expired")
}

func TestReadCertificateSubject(t *testing.T) {
	leaf := *issue(t, subjectDER(t, rdn(utf8String("2.5.4.3", "x"))), ecKey())
	leaf.RawSubject = subjectDER(t, rdn(utf8String("2.5.4.3", "\xff")))
	_, err := ReadCertificate(&leaf, noon)
	wantRefusal(t, err, NoCertificate, "client certificate", "subject")
}
