package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// CRLs are the lists that are held of CAs.
type CRLs interface {
	// SignedBy are those that a CA has signed, whose certificate was verified: of each kind
	// the newest. It is called with every request, and must cost nothing.
	SignedBy(ca *x509.Certificate) []*CRL
	// Whole tells whether a list is held of everything that is configured. Where it is, a
	// CA of which none is held is one of which none is configured.
	Whole() bool
}

// RuleCRL is the rule of refusals for the sake of a CRL.
const RuleCRL = "crl"

// retryCRL is what a client should wait for a list: a refresh has been tried by then.
const retryCRL = time.Minute

var (
	errNoCRL    = errors.New("no CRL of its issuer")
	errOtherCRL = errors.New("the CRL of its issuer does not cover it: it is for another distribution point, or for CAs or users only")
	errOldCRL   = errors.New("the CRL of its issuer has ended")
)

// Unchecked is a certificate of which nobody knows whether it was revoked.
type Unchecked struct {
	Certificate *x509.Certificate
	Why         error
}

// Error tells the certificate by serial number and issuer.
func (u *Unchecked) Error() string {
	return fmt.Sprintf("serial %x of %s: %v", u.Certificate.SerialNumber, u.Certificate.Issuer, u.Why)
}

// Refusal is for those who let nobody in unchecked.
func (u *Unchecked) Refusal() *refusal.Error {
	e := refusal.New(refusal.Unavailable, RuleCRL, "client certificate: this server cannot tell now whether it was revoked; try again later").Because(u)
	e.RetryAfter = retryCRL
	return e
}

// CheckRevocation checks the certificate, and those of the CAs between it and the one that
// the site trusts, against the lists of their issuers (RFC 5280 6.3). What is on a list was
// revoked, however old the list is. unchecked is the first certificate that no current
// list covers, nil for none; of a CA's certificate only where a list of its issuer is, or
// may be, configured.
//
// Errors: NoCertificate.
func (c *Certificate) CheckRevocation(lists CRLs, now time.Time) (unchecked *Unchecked, err error) {
	of := c.Leaf
	for i, issuer := range c.Authorities {
		signed := lists.SignedBy(issuer)
		var why error
		switch {
		case len(signed) > 0:
			why = errOtherCRL
		case i == 0, !lists.Whole():
			why = errNoCRL
		}
		for _, l := range signed {
			if l.Revokes(of.SerialNumber) {
				return nil, refuseRevoked(of, i > 0, l)
			}
			switch {
			case !l.Covers(of):
			case l.Current(now):
				why = nil
			case why != nil:
				why = errOldCRL
			}
		}
		if why != nil && unchecked == nil {
			unchecked = &Unchecked{of, why}
		}
		of = issuer
	}
	return unchecked, nil
}

func refuseRevoked(c *x509.Certificate, authority bool, by *CRL) *refusal.Error {
	cause := fmt.Errorf("serial %x of %s is on the CRL %s", c.SerialNumber, c.Issuer, by)
	if authority {
		return refusal.New(refusal.NoCertificate, RuleCRL, "client certificate: the certificate of a CA that it depends on was revoked; connect with a transport certificate of another CA").Because(cause)
	}
	return refusal.New(refusal.NoCertificate, RuleCRL, "client certificate: revoked by the CA that issued it; connect with a current transport certificate of the software").Because(cause)
}
