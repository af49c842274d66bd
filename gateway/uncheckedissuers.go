package gateway

import (
	"crypto/x509"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// What operators are told of revocation, beside the line of each request.

// Both count since the process began, over reloads.
var (
	revokedCertificates = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_openbanking_dcr_revoked_certificates_total",
		Help: "Requests with a client certificate that is revoked, or whose CA is revoked; all were refused.",
	}, []string{"workspace"})
	uncheckedCertificates = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_openbanking_dcr_unchecked_certificates_total",
		Help: "Requests with a client certificate for whose issuer the gateway has no current CRL, by outcome: passed (crl_mode soft) or refused (strict).",
	}, []string{"workspace", "outcome"})
)

// uncheckedIssuers are the CAs of which it was said that their certificates are not
// checked: once, until they are again.
type uncheckedIssuers struct {
	some  atomic.Int32
	mu    sync.Mutex
	said  map[string]string // why, by the issuer's name
	lines map[string]issuerLines
}

// issuerLines are those about one CA in an hour: certificates of one that is covered and one
// that is not, in turn, would be two lines for each pair of requests.
type issuerLines struct {
	since time.Time
	n     int
}

const maxIssuerLines = 10

// may tells whether there is one more line about a CA now.
func (u *uncheckedIssuers) may(name string, now time.Time) bool {
	l := u.lines[name]
	if l.n == 0 || now.Sub(l.since) >= time.Hour {
		l = issuerLines{since: now}
	}
	if u.lines == nil || len(u.lines) > maxUncheckedIssuers {
		u.lines = map[string]issuerLines{}
	}
	l.n++
	u.lines[name] = l
	return l.n <= maxIssuerLines
}

// maxUncheckedIssuers bounds the memory. There are as many as the trust_pool leads to.
const maxUncheckedIssuers = 64

func (u *uncheckedIssuers) tell(log *slog.Logger, of *verify.Unchecked, strict bool, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	name, why := string(of.Certificate.RawIssuer), of.Why.Error()
	if u.said[name] == why || len(u.said) >= maxUncheckedIssuers && u.said[name] == "" {
		return
	}
	if u.said == nil {
		u.said = map[string]string{}
	}
	u.said[name] = why
	u.some.Store(int32(len(u.said)))
	if !u.may(name, now) {
		return
	}
	log = log.With(slog.String("issuer", dn.SubjectText(of.Certificate.RawIssuer)), slog.String("reason", why))
	const cure = "name the CRL of this issuer with crl, or see why it is not current; "
	if strict {
		log.Warn("cannot check whether client certificates of a CA are revoked, and refuses them", slog.String("cure", cure+"crl_mode soft would let them through"))
		return
	}
	log.Warn("cannot check whether client certificates of a CA are revoked, and lets them through", slog.String("cure", cure+"crl_mode strict would refuse them"))
}

// end is for a certificate that was checked, and all that it depends on.
func (u *uncheckedIssuers) end(log *slog.Logger, cert *verify.Certificate, now time.Time) {
	if u.some.Load() == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	of := cert.Leaf
	for _, ca := range cert.Authorities {
		u.ended(log, of, now)
		of = ca
	}
}

func (u *uncheckedIssuers) ended(log *slog.Logger, of *x509.Certificate, now time.Time) {
	name := string(of.RawIssuer)
	if u.said[name] == "" {
		return
	}
	delete(u.said, name)
	u.some.Store(int32(len(u.said)))
	if !u.may(name, now) {
		return
	}
	log.Info("can check again whether client certificates of a CA are revoked", slog.String("issuer", dn.SubjectText(of.RawIssuer)))
}
