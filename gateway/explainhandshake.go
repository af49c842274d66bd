package gateway

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// ErrNoClientAuth is the error of Options.Trust for a site that verifies no client certificates.
var ErrNoClientAuth = errors.New("the site does not verify client certificates: tls { client_auth { mode verify_if_given ... } }")

// handshaken is the connection that a client with a certificate would have.
type handshaken struct {
	state *tls.ConnectionState
	// broken is why the certificate does not count there, nil where it does.
	broken error
}

// handshake is what the site that this workspace is on makes of a certificate. Its error
// is why that is not known.
func (d *registrationRequest) handshake(q Question) (with handshaken, err error) {
	with.state = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: q.Chain}
	trust, err := d.options.Trust(d.request.r)
	switch {
	case errors.Is(err, ErrNoClientAuth):
		with.broken = ErrNoClientAuth
		return with, nil
	case err != nil:
		return with, err
	}
	if with.state.VerifiedChains, err = trust.Chains(q.Chain, d.now()); err != nil {
		with.state.VerifiedChains, with.broken = nil, fmt.Errorf("the certificate is not verified: %w", err)
	}
	return with, nil
}
