package verify

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

func TestReadCertificate(t *testing.T) {
	subject := dntest.Subject(t, dntest.RDN(dntest.PrintableString("2.5.4.6", "GB")), dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	usage := func(list ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = list }
	}
	const anyUsage, clientAuth, unknown = "2.5.29.37.0", "1.3.6.1.5.5.7.3.2", "1.2.3"
	raw := func(critical bool, oids ...string) func(*x509.Certificate) {
		var list []byte
		for _, oid := range oids {
			list = append(list, asn1OID(t, oid)...)
		}
		return func(c *x509.Certificate) {
			c.ExtKeyUsage = nil
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: sequence(t, list)}}
		}
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
		{"client authentication, critical", raw(true, clientAuth), noon, ""},
		{"client authentication beside an unknown usage, critical", raw(true, unknown, clientAuth), noon, ""},
		{"any, critical", raw(true, anyUsage), noon, ""},
		{"any beside an unknown usage", raw(false, unknown, anyUsage), noon, ""},
		{"unknown usage, critical", raw(true, unknown), noon, "extended key usage"},
		{"unknown usages and one below client authentication", raw(false, unknown, clientAuth+".1"), noon, "extended key usage"},
		{"extension without a usage", raw(false), noon, "extended key usage"},
		{"extension without a usage, critical", raw(true), noon, "extended key usage"},
		{"CA with client authentication", func(c *x509.Certificate) {
			c.IsCA, c.ExtKeyUsage = true, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, noon, "CA certificate"},
		{"no basic constraints", func(c *x509.Certificate) { c.BasicConstraintsValid = false }, noon, ""},
		{"CA", func(c *x509.Certificate) { c.IsCA = true }, noon, "CA certificate"},
		{"first second", usage(), noon.Add(-12 * time.Hour), ""},
		{"before", usage(), noon.Add(-12*time.Hour - time.Second), "not valid before 2026-03-01T00:00:00Z"},
		{"last second", usage(), noon.Add(12 * time.Hour), ""},
		{"a moment before the first second", usage(), noon.Add(-12*time.Hour - 1), "not valid before"},
		{"a moment after the last second", usage(), noon.Add(12*time.Hour + 1), "expired at"},
		{"last second, in another time zone", usage(), noon.Add(12 * time.Hour).In(time.FixedZone("", 5*3600)), ""},
		{"never valid", func(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotAfter, c.NotBefore }, noon, "expired at"},
		{"expired", usage(), noon.Add(12*time.Hour + time.Second), "expired at 2026-03-02T00:00:00Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leaf := issue(t, subject, ecKey(), tc.change)
			got, err := ReadCertificate(leaf, tc.at)
			if tc.refused != "" {
				wantRefusal(t, err, refusal.NoCertificate, "client certificate", tc.refused)
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
	leaf := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "verified"))), ecKey())
	other := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "unverified"))), ecKey())
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
				wantRefusal(t, err, refusal.NoCertificate, "client certificate: none")
				return
			}
			if err != nil || got.Leaf != leaf || got.Subject.String() != "CN=verified" || len(got.Thumbprint) != 43 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	// The usages of the chain are not the leaf's.
	ca := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "ca"))), ecKey(), func(c *x509.Certificate) { c.IsCA = true })
	server := issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "server"))), ecKey(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	for name, chain := range map[string][]*x509.Certificate{"extended key usage": {server, leaf}, "CA certificate": {ca, leaf}} {
		_, err := CaptureCertificate(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{chain}}, noon)
		wantRefusal(t, err, refusal.NoCertificate, name)
	}
	if got, err := CaptureCertificate(&tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf, ca}, {server}}}, noon); err != nil || got.Leaf != leaf {
		t.Errorf("got %+v, %v", got, err)
	}
	// A connection outlives the certificate that it began with.
	verified := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	_, err := CaptureCertificate(verified, noon.Add(13*time.Hour))
	wantRefusal(t, err, refusal.NoCertificate, "expired")
}

func TestReadCertificateSubject(t *testing.T) {
	leaf := *issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey())
	leaf.RawSubject = dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "\xff")))
	_, err := ReadCertificate(&leaf, noon)
	wantRefusal(t, err, refusal.NoCertificate, "client certificate", "subject")
}
