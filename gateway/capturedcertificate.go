package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// capturedCertificates spares the reading of the subject (5 us) on a connection that
// is kept: a connection's certificate is always the same pointer.
var capturedCertificates = newCapturedCache()

// maxCaptured bounds the memory: about 1 KiB each, and the certificate.
const maxCaptured = 2048

func newCapturedCache() *lru.Cache[*x509.Certificate, *verify.Certificate] {
	c, err := lru.New[*x509.Certificate, *verify.Certificate](maxCaptured)
	if err != nil {
		return nil // only for a size below 1
	}
	return c
}

// captureCertificate is verify.CaptureCertificate. What may change during a
// connection is checked with every request.
func captureCertificate(state *tls.ConnectionState, now time.Time) (*verify.Certificate, error) {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return verify.CaptureCertificate(state, now)
	}
	leaf := state.VerifiedChains[0][0]
	if cert, ok := capturedCertificates.Get(leaf); ok && slices.Equal(cert.Authorities, state.VerifiedChains[0][1:]) {
		if err := cert.Check(now); err != nil {
			return nil, err
		}
		return cert, nil
	}
	cert, err := verify.CaptureCertificate(state, now)
	if err != nil {
		return nil, err
	}
	capturedCertificates.Add(leaf, cert)
	return cert, nil
}
