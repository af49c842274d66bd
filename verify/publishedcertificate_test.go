package verify

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn/dntest"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// authority is a CA certificate for a key.
func authority(t testing.TB, cn string, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", cn))), NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// siteTrust trusts the CA that issue issues with.
func siteTrust(t testing.TB) func() (*TransportTrust, error) {
	t.Helper()
	trust := sync.OnceValue(func() *TransportTrust { // few of those who have it ask for it
		roots := x509.NewCertPool()
		roots.AddCert(authority(t, "CA", ec384Key(), nil, ec384Key()))
		return &TransportTrust{Roots: roots}
	})
	return func() (*TransportTrust, error) { return trust(), nil }
}

// publishedInput asks for the DN CN=y of a certificate that the software publishes,
// presenting one of CN=x.
func publishedInput(t testing.TB, jwks ...string) MetadataInput {
	t.Helper()
	cert, err := ReadCertificate(issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x"))), ecKey()), noon)
	if err != nil {
		t.Fatal(err)
	}
	in := metadataInput(t, with(requestClaims, "token_endpoint_auth_method", "tls_client_auth", "tls_client_auth_subject_dn", "CN=y"), ssaClaims)
	in.Certificate, in.Request.Statement.Issuer.SoftwareKeys = cert, sourceOf(parseKeys(t, append(jwks, jwkOf(ecKey().Public()))...))
	return in
}

func tlsJWK(key crypto.PublicKey, chain ...*x509.Certificate) string {
	var x5c []string
	for _, c := range chain {
		x5c = append(x5c, stdBase64(c.Raw))
	}
	return `{"x5c":` + jsonOf(x5c) + `,` + jwkOf(key, "kid", "y", "use", "tls")[1:]
}

// The JWKS is not signed: a certificate in it counts when the site would take it from a
// client, and no other does.
func TestPublishedCertificateIsVerified(t *testing.T) {
	t.Parallel()
	subject := dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "y")))
	between := authority(t, "between", ec521Key(), authority(t, "CA", ec384Key(), nil, ec384Key()), ec384Key())
	signed := func(parent *x509.Certificate, key crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
		template := &x509.Certificate{SerialNumber: big.NewInt(2), RawSubject: subject, NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		change(template)
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, ecKey().Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	plain := func(*x509.Certificate) {}
	own := func(change func(*x509.Certificate)) []*x509.Certificate {
		return []*x509.Certificate{issue(t, subject, ecKey(), change)}
	}
	for _, tc := range []struct {
		name  string
		chain []*x509.Certificate
		key   crypto.PublicKey // default: the certificate's
		trust func() (*TransportTrust, error)
		word  string // empty: taken
	}{
		{"of the site's CA", own(plain), nil, nil, ""},
		{"without extended key usage", own(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, nil, ""},
		{"for digital signatures", own(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), nil, nil, ""},
		{"of a CA between", []*x509.Certificate{signed(between, ec521Key(), plain), between}, nil, nil, ""},
		{"of a CA between that is missing", []*x509.Certificate{signed(between, ec521Key(), plain)}, nil, nil, "this server trusts no CA that issued it; publish"},
		{"self-signed", []*x509.Certificate{signed(nil, ecKey(), plain)}, nil, nil, "this server trusts no CA that issued it"},
		{"self-signed, with the CA after it", []*x509.Certificate{signed(nil, ecKey(), plain), authority(t, "CA", ec384Key(), nil, ec384Key())}, nil, nil, "this server trusts no CA that issued it"},
		{"expired", own(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = noon.Add(-2*time.Hour), noon.Add(-time.Hour) }), nil, nil, "expired at 2026-03-01T11:00:00Z; renew it"},
		{"not valid yet", own(func(c *x509.Certificate) { c.NotBefore = noon.Add(time.Hour) }), nil, nil, "not valid before 2026-03-01T13:00:00Z; publish"},
		{"for servers", own(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), nil, nil, "its extended key usage does not allow client authentication"},
		{"for encryption", own(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), nil, nil, "its key usage does not allow digital signatures"},
		{"a CA", own(func(c *x509.Certificate) { c.IsCA = true }), nil, nil, "is a CA certificate"},
		{"of another key than the JWK", own(plain), softwareKey().Public(), nil, "it is not for the key of its JWK"},
		{"nothing to verify with", own(plain), nil, func() (*TransportTrust, error) { return nil, errors.New("no trust_pool") }, "this server cannot verify it there; connect with it"},
		{"no roots", own(plain), nil, func() (*TransportTrust, error) { return new(TransportTrust), nil }, "this server trusts no CA that issued it"},
		{"the site objects", own(plain), nil, func() (*TransportTrust, error) {
			trust, err := siteTrust(t)()
			trust.Verify = func(tls.ConnectionState) error { return errors.New("not on the list") }
			return trust, err
		}, "this server trusts no CA that issued it"},
		{"revoked", own(plain), nil, revoking(t, refuseRevoked(&x509.Certificate{}, false, new(CRL))), "it was revoked; publish a current transport certificate, or connect with it"},
		{"of which nobody knows", own(plain), nil, revoking(t, (&Unchecked{&x509.Certificate{}, errNoCRL}).Refusal()), "503"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.key == nil {
				tc.key = ecKey().Public()
			}
			if tc.trust == nil {
				tc.trust = siteTrust(t)
			}
			in := publishedInput(t, tlsJWK(tc.key, tc.chain...))
			in.Trust = tc.trust
			got, err := CheckMetadata(context.Background(), in)
			if tc.word == "503" {
				wantRefusal(t, err, refusal.Unavailable, "client certificate: this server cannot tell now")
				return
			}
			if tc.word != "" {
				wantRefusal(t, err, refusal.InvalidClientMetadata, "tls_client_auth_subject_dn: the certificate with this subject in the software's JWKS does not count: "+tc.word)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got.RawSubject) != string(subject) || !got.SubjectFrom.Equal(tc.chain[0].NotBefore) {
				t.Errorf("subject %x from %s", got.RawSubject, got.SubjectFrom)
			}
		})
	}
}

// revoking is what the site trusts, and says of the CA's certificates that they do not count.
func revoking(t testing.TB, why *refusal.Error) func() (*TransportTrust, error) {
	return func() (*TransportTrust, error) {
		trust, err := siteTrust(t)()
		trust.Revoked = func(c *Certificate) error {
			if len(c.Authorities) == 0 {
				t.Error("nobody knows who has issued it")
			}
			return why
		}
		return trust, err
	}
}

// Where nobody can say what the site trusts, nothing of a JWKS counts.
func TestPublishedCertificateWithoutTrust(t *testing.T) {
	in := publishedInput(t, tlsJWK(ecKey().Public(), issue(t, dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "y"))), ecKey())))
	in.Trust = nil
	_, err := CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "does not count: this server verifies none there; connect with it")
}

// A certificate that does not count hides no good one, and how many are verified is bounded.
func TestPublishedCertificatesOfOneSubject(t *testing.T) {
	subject := dntest.Subject(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "y")))
	good := tlsJWK(ecKey().Public(), issue(t, subject, ecKey()))
	bad := tlsJWK(ecKey().Public(), issue(t, subject, ecKey(), func(c *x509.Certificate) { c.NotAfter = noon.Add(-time.Minute) }))
	in := publishedInput(t, bad, good)
	if _, err := CheckMetadata(context.Background(), in); err != nil {
		t.Errorf("a good one after a bad one: %v", err)
	}
	in = publishedInput(t, bad, bad, bad, good)
	if _, err := CheckMetadata(context.Background(), in); err != nil {
		t.Errorf("a good one after three bad ones: %v", err)
	}
	in = publishedInput(t, bad, bad, bad, bad, good)
	_, err := CheckMetadata(context.Background(), in)
	wantRefusal(t, err, refusal.InvalidClientMetadata, "expired at 2026-03-01T11:59:00Z")
}

// bind_certificate ssa_jwks believes no JWK whose certificate is for another key.
func TestBindSSAJWKSOfAnotherKey(t *testing.T) {
	cert := subjectCertificate(t, dntest.RDN(dntest.UTF8String("2.5.4.3", "x")))
	wantText(t, BindCertificate(t.Context(), []string{BindSSAJWKS}, cert, &SoftwareStatement{}, parseKeys(t, tlsJWK(softwareKey().Public(), cert.Leaf))), "not among the tls certificates")
	wantText(t, BindCertificate(t.Context(), []string{BindSSAJWKS}, cert, &SoftwareStatement{}, parseKeys(t, tlsJWK(ecKey().Public(), cert.Leaf))), "")
}
