package caddymodule

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// TestHolder: certificates of one organisation are one holder's; without an organisation
// each is its own, and without certificates the address counts, an IPv6 network as one.
func TestHolder(t *testing.T) {
	from := func(ip string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		return r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: ip}))
	}
	cert := func(thumbprint, subject string) *verify.Certificate {
		dn, err := verify.ParseDN(subject)
		if err != nil {
			t.Fatal(err)
		}
		return &verify.Certificate{Leaf: &x509.Certificate{Subject: pkix.Name{}}, Thumbprint: thumbprint, Subject: dn}
	}
	organisation := "CN=a,organizationIdentifier=PSDGB-FCA-1,C=GB"
	for _, test := range []struct {
		name string
		a, b string
		same bool
	}{
		{"two certificates of an organisation", holder(from("192.0.2.1"), cert("a", organisation)), holder(from("192.0.2.2"), cert("b", organisation)), true},
		{"of two", holder(from("192.0.2.1"), cert("a", organisation)), holder(from("192.0.2.1"), cert("b", "CN=a,organizationIdentifier=PSDGB-FCA-2,C=GB")), false},
		{"of none", holder(from("192.0.2.1"), cert("a", "CN=a")), holder(from("192.0.2.1"), cert("b", "CN=a")), false},
		{"one of none", holder(from("192.0.2.1"), cert("a", "CN=a")), holder(from("192.0.2.2"), cert("a", "CN=a")), true},
		{"addresses", holder(from("192.0.2.1"), nil), holder(from("192.0.2.2"), nil), false},
		{"one address", holder(from("192.0.2.1"), nil), holder(from("192.0.2.1"), nil), true},
		{"one IPv6 network", holder(from("2001:db8::1"), nil), holder(from("2001:db8::2"), nil), true},
	} {
		if (test.a == test.b) != test.same {
			t.Errorf("%s: %q and %q", test.name, test.a, test.b)
		}
	}
}
