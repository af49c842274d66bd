package caddymodule

import (
	"crypto/tls"
	"errors"
	"fmt"
)

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
	case errors.Is(err, errNoClientAuth):
		with.broken = errNoClientAuth
		return with, nil
	case err != nil:
		return with, err
	}
	if with.state.VerifiedChains, err = trust.Chains(q.Chain, d.now()); err != nil {
		with.state.VerifiedChains, with.broken = nil, fmt.Errorf("the certificate is not verified: %w", err)
	}
	return with, nil
}
