package registry_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// A PUT replaces the whole record: an address that the new statement no longer has is gone.
func TestUpdateForgetsAddresses(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		in := request("jti1", "")
		claims, err := strictjson.Parse([]byte(`{"software_client_uri":"https://a.example","software_logo_uri":"https://a.example/l","software_policy_uri":"https://a.example/p","software_tos_uri":"https://a.example/t"}`))
		if err != nil {
			t.Fatal(err)
		}
		in.Request.Statement.Claims = claims
		c := x.register(in)
		if c.ClientURI == "" || c.LogoURI == "" || c.PolicyURI == "" || c.TOSURI == "" {
			t.Fatalf("%+v, want all four addresses", c)
		}
		in = request("jti2", "")
		in.Certificate = nil
		c, err = x.Update(x.t.Context(), x.ws, c.ClientID, in)
		if err != nil || c.ClientURI+c.LogoURI+c.PolicyURI+c.TOSURI != "" {
			t.Errorf("%+v, %v; want no address", c, err)
		}
	})
}

// TestClientKeepsWhenItsPapersExpire: the certificate that it came with, and its software
// statement; those of the last change count.
func TestClientKeepsWhenItsPapersExpire(t *testing.T) {
	t.Parallel()
	run(t, true, func(x *fixture) {
		withExpiry := func(jti, claims string, notAfter time.Time) registry.Registration {
			in := request(jti, "")
			var err error
			if in.Request.Statement.Claims, err = strictjson.Parse([]byte(claims)); err != nil {
				t.Fatal(err)
			}
			in.Certificate = &verify.Certificate{Thumbprint: "of " + jti, Leaf: &x509.Certificate{RawSubject: []byte{0x30, 0}, NotAfter: notAfter}}
			return in
		}
		expires := func(c *registry.Client, certificate, statement int64) {
			t.Helper()
			now, err := x.Client(x.t.Context(), x.ws.Name, c.ClientID)
			if err != nil || now.CertificateExpires != certificate || now.StatementExpires != statement {
				t.Errorf("certificate %d, statement %d, %v; want %d, %d", now.CertificateExpires, now.StatementExpires, err, certificate, statement)
			}
		}
		c := x.register(withExpiry("jti1", `{"exp":4102444800}`, time.Unix(4000000000, 0)))
		expires(c, 4000000000, 4102444800)
		for jti, claims := range map[string]string{"jti2": `{}`, "jti3": `{"exp":"tomorrow"}`, "jti5": `{"exp":1893456000000}`} {
			if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, withExpiry(jti, claims, time.Unix(4000000001, 0))); err != nil {
				t.Fatal(err)
			}
			expires(c, 4000000001, 0)
		}
		in := request("jti4", "")
		in.Certificate = nil
		if _, err := x.Update(x.t.Context(), x.ws, c.ClientID, in); err != nil {
			t.Fatal(err)
		}
		expires(c, 4000000001, 0)
	})
}
