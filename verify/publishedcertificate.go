package verify

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// TransportTrust is what the site verifies client certificates with.
type TransportTrust struct {
	// Roots are the CAs. Required: nil trusts none.
	Roots *x509.CertPool
	// Verify is asked once a chain to Roots is known, as of a connection. Default: nil, the chain is enough.
	Verify func(tls.ConnectionState) error
	// Revoked is why a certificate that was verified so does not count: an *Error of kind
	// Unavailable where that is not known now. Default: nil, nobody asks.
	Revoked func(*Certificate) error
}

// Bounds of what one look at a JWKS verifies.
const (
	// maxPublished is the number of certificates with the right subject that are verified.
	maxPublished = 4
	// maxIntermediates is the number of certificates after the first of an x5c that are read.
	maxIntermediates = 4
)

// published looks for a transport certificate with this subject in the
// software's JWKS: the one that will be used at the token endpoint need not be
// the one of this connection. A PUT without a signature cannot bring a new one.
//
// A JWKS is not signed, and nobody has shown to have the key of what is in it. So a
// certificate there counts no more than if it were presented: the site's own CAs must
// have issued it. The error says why one with this subject does not count.
func (e *evaluation) published(name dn.Name) (subject dn.Name, leaf *x509.Certificate, err error) {
	source, err := e.ssa.softwareKeys("software_jwks_endpoint", e.ssa.JWKSEndpoint)
	if err != nil || source == nil || e.Registered != nil && e.Request.Unsigned {
		return nil, nil, err
	}
	var fault error
	// A renewed certificate may be newer than the keys that are at hand.
	for _, ask := range []func(context.Context) ([]Key, error){source.Keys, source.Refresh} {
		keys, err := ask(e)
		if err != nil && !errors.As(err, new(*UnusableKeys)) {
			return nil, nil, unavailableKeys(err)
		}
		if subject, leaf, fault = e.transportOf(keys, name); leaf != nil {
			return subject, leaf, nil
		}
	}
	return nil, nil, fault
}

// transportOf is the transport certificate with this subject among the keys, nil
// when there is none. The error says why the last of those that have it does not count.
func (e *evaluation) transportOf(keys []Key, name dn.Name) (_ dn.Name, _ *x509.Certificate, fault error) {
	tried := 0
	for _, k := range keys {
		if k.Use != "tls" || len(k.Certificates) == 0 {
			continue
		}
		leaf, err := x509.ParseCertificate(k.Certificates[0])
		if err != nil {
			continue
		}
		subject, err := dn.ParseSubject(leaf.RawSubject)
		if err != nil || !name.SameAttributes(subject) {
			continue
		}
		if tried++; tried > maxPublished {
			break
		}
		if fault = e.checkPublished(k, leaf); fault == nil {
			return subject, leaf, nil
		}
	}
	return nil, nil, fault
}

// checkPublished checks a certificate of the software's JWKS against what the site
// demands of one that a client presents.
func (e *evaluation) checkPublished(k Key, leaf *x509.Certificate) error {
	refuse := func(why string) *refusal.Error {
		return refusal.New(refusal.InvalidClientMetadata, "tls_client_auth_subject_dn", "tls_client_auth_subject_dn: the certificate with this subject in the software's JWKS does not count: %s",
			refusal.Advise(errors.New(why), "publish a current transport certificate, or connect with it"))
	}
	switch why := faultOf(leaf, e.Now); {
	case !k.certifies(leaf):
		return refuse("it is not for the key of its JWK") // RFC 7517 4.7
	case why != "":
		return refuse(why)
	case !signs(leaf):
		return refuse("its key usage does not allow digital signatures")
	case e.Trust == nil:
		return refuse("this server verifies none there; connect with it")
	}
	trust, err := e.Trust()
	if err != nil {
		return refuse("this server cannot verify it there; connect with it").Because(err)
	}
	chains, err := trust.Chains(k.chain(leaf), e.Now)
	if err != nil {
		return refuse("this server trusts no CA that issued it").Because(err)
	}
	if trust.Revoked == nil {
		return nil
	}
	err = trust.Revoked(&Certificate{Leaf: leaf, Authorities: chains[0][1:]})
	if err != nil && refusal.From(err).Kind != refusal.Unavailable {
		return refuse("it was revoked").Because(err)
	}
	return err
}

// Chains verifies the certificates that a client presents, its own first, as the site
// would now.
func (t *TransportTrust) Chains(peer []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	if t.Roots == nil { // x509 would take the system's
		return nil, errors.New("the site has no trust_pool for client certificates")
	}
	between := x509.NewCertPool()
	for _, c := range peer[1:] {
		between.AddCert(c)
	}
	chains, err := peer[0].Verify(x509.VerifyOptions{
		Roots: t.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil && t.Verify != nil {
		err = t.Verify(tls.ConnectionState{HandshakeComplete: true, PeerCertificates: peer, VerifiedChains: chains})
	}
	if err != nil {
		return nil, err
	}
	return chains, nil
}

// maxChainRSABits bounds the cost of a chain in a JWKS, which nobody has signed: one check
// of 4096 bits takes 0.4 ms, and one of 262,144 bits took 8 s. No CA's key is longer.
const maxChainRSABits = 4096

// chain is what of an x5c leads on from its leaf: each certificate the issuer of the one
// before (RFC 7517 4.7), none of a name that was there. So there is one path, with one
// signature for each certificate.
func (k Key) chain(leaf *x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for _, der := range k.Certificates[1:min(len(k.Certificates), 1+maxIntermediates)] {
		c, err := x509.ParseCertificate(der)
		if err != nil || !bytes.Equal(chain[len(chain)-1].RawIssuer, c.RawSubject) || !cheapToVerify(c) ||
			slices.ContainsFunc(chain, func(before *x509.Certificate) bool { return bytes.Equal(before.RawSubject, c.RawSubject) }) {
			break
		}
		chain = append(chain, c)
	}
	return chain
}

// cheapToVerify tells whether signatures by a certificate's key cost what those of a CA do.
func cheapToVerify(c *x509.Certificate) bool {
	pub, ok := c.PublicKey.(*rsa.PublicKey)
	return !ok || pub.N.BitLen() <= maxChainRSABits && pub.E <= 1<<16+1
}

// certifies tells whether a certificate is for the JWK's own key, as the first of its
// x5c must be (RFC 7517 4.7).
func (k Key) certifies(leaf *x509.Certificate) bool {
	return k.same(Key{public: leaf.PublicKey})
}

var keyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}

// signs tells whether the key usage allows what a TLS client does with its key
// (RFC 5280 4.2.1.3): no extension, or one that names digital signatures.
func signs(leaf *x509.Certificate) bool {
	return leaf.KeyUsage&x509.KeyUsageDigitalSignature != 0 ||
		!slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(keyUsage) })
}
