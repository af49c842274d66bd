package verify

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Certificate is a transport certificate that the TLS layer verified.
type Certificate struct {
	// Leaf is the certificate itself.
	Leaf *x509.Certificate
	// Subject is the DN, read from the raw DER.
	Subject dn.Name
	// Thumbprint is x5t#S256 (RFC 8705 3.1): SHA-256 of the DER, base64url.
	Thumbprint string
	// Authorities are the CAs of the verified chain, the issuing one first. None where
	// only the leaf is known.
	Authorities []*x509.Certificate

	policy      sync.Once
	forPolicy   *PolicyCertificate
	policyFault error
}

// CaptureCertificate takes the client certificate from a connection. Only a
// verified chain counts: PeerCertificates is filled without any verification in
// some client authentication modes. Validity is checked here, per request,
// because a connection outlives its handshake.
//
// Errors: NoCertificate.
func CaptureCertificate(state *tls.ConnectionState, now time.Time) (*Certificate, error) {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return nil, refusal.New(refusal.NoCertificate, "client_certificate",
			"client certificate: none that a trusted CA issued; connect with the transport certificate of the software")
	}
	c, err := ReadCertificate(state.VerifiedChains[0][0], now)
	if err != nil {
		return nil, err
	}
	c.Authorities = state.VerifiedChains[0][1:]
	return c, nil
}

// ReadCertificate checks a leaf certificate as a client's and captures its DN.
//
// Errors: NoCertificate.
func ReadCertificate(leaf *x509.Certificate, now time.Time) (*Certificate, error) {
	c := &Certificate{Leaf: leaf}
	if err := c.Check(now); err != nil {
		return nil, err
	}
	var err error
	if c.Subject, err = dn.ParseSubject(leaf.RawSubject); err != nil {
		return nil, refuseCertificate("its subject cannot be read").Because(err)
	}
	sum := sha256.Sum256(leaf.Raw)
	c.Thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	return c, nil
}

// Check checks a certificate that was captured at another time once more.
//
// Errors: NoCertificate.
func (c *Certificate) Check(now time.Time) error {
	if why := faultOf(c.Leaf, now); why != "" {
		return refuseCertificate(why)
	}
	return nil
}

// faultOf is why a certificate authenticates no client now, empty when it may.
func faultOf(leaf *x509.Certificate, now time.Time) string {
	switch {
	case now.After(leaf.NotAfter):
		return "expired at " + leaf.NotAfter.UTC().Format(time.RFC3339) + "; renew it"
	case now.Before(leaf.NotBefore):
		return "not valid before " + leaf.NotBefore.UTC().Format(time.RFC3339)
	case leaf.IsCA:
		return "is a CA certificate; use the software's transport certificate"
	case !authenticatesClients(leaf):
		return "its extended key usage does not allow client authentication"
	}
	return ""
}

func refuseCertificate(why string) *refusal.Error {
	return refusal.New(refusal.NoCertificate, "client_certificate", "client certificate: %s", refusal.Advise(errors.New(why), "use the software's transport certificate"))
}

var extKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}

// authenticatesClients tells whether the extended key usage allows it (RFC 5280
// 4.2.1.12): no extension, or one that names it or any usage. Go makes no
// difference between no extension and one without a usage, which allows nothing.
func authenticatesClients(leaf *x509.Certificate) bool {
	return slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) ||
		!slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(extKeyUsage) })
}

// Holder is the organisation that the certificate names (ETSI EN 319 412-1 5.1.4), empty
// for none and without a certificate. A CA has looked at it: unlike what a request says,
// whoever sends on another's request cannot choose it.
func (c *Certificate) Holder() string {
	if c == nil {
		return ""
	}
	id, err := c.OrganizationIdentifier()
	if err != nil {
		return ""
	}
	return id
}
