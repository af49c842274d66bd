package gateway

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// TestCertificatesOfOneOrganisationShareAHolder: certificates of one organisation are one holder's; without an organisation
// each is its own, and without certificates the address counts, an IPv6 network as one.
func TestCertificatesOfOneOrganisationShareAHolder(t *testing.T) {
	holder := func(ip string, cert *verify.Certificate) string {
		g := &Gateway{options: Options{Host: &fakeHost{clientIP: ip}}}
		return g.newRequest(nil, httptest.NewRequest(http.MethodGet, "/", nil), nil, passThrough).holder(cert)
	}
	cert := func(thumbprint, subject string) *verify.Certificate {
		subjectDN, err := dn.Parse(subject)
		if err != nil {
			t.Fatal(err)
		}
		return &verify.Certificate{Leaf: &x509.Certificate{Subject: pkix.Name{}}, Thumbprint: thumbprint, Subject: subjectDN}
	}
	organisation := "CN=a,organizationIdentifier=PSDGB-FCA-1,C=GB"
	for _, test := range []struct {
		name string
		a, b string
		same bool
	}{
		{"two certificates of an organisation", holder("192.0.2.1", cert("a", organisation)), holder("192.0.2.2", cert("b", organisation)), true},
		{"of two", holder("192.0.2.1", cert("a", organisation)), holder("192.0.2.1", cert("b", "CN=a,organizationIdentifier=PSDGB-FCA-2,C=GB")), false},
		{"of none", holder("192.0.2.1", cert("a", "CN=a")), holder("192.0.2.1", cert("b", "CN=a")), false},
		{"one of none", holder("192.0.2.1", cert("a", "CN=a")), holder("192.0.2.2", cert("a", "CN=a")), true},
		{"addresses", holder("192.0.2.1", nil), holder("192.0.2.2", nil), false},
		{"one address", holder("192.0.2.1", nil), holder("192.0.2.1", nil), true},
		{"one IPv6 network", holder("2001:db8::1", nil), holder("2001:db8::2", nil), true},
	} {
		if (test.a == test.b) != test.same {
			t.Errorf("%s: %q and %q", test.name, test.a, test.b)
		}
	}
}
