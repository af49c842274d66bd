package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// knownCertificate is the newest certificate of a client that is known: the one that it was
// last seen with, or else the one of its registration. What it has replaced says nothing of it.
type knownCertificate struct {
	serial, caSPKI string
	// anchor is the subject of the trusted CA, empty where that is not known.
	anchor  string
	expires int64
}

func newestCertificate(c *registry.Client, registered *verify.PolicyCertificate) (k knownCertificate, known bool) {
	if c.Use != nil && c.Use.Certificate != nil {
		s := c.Use.Certificate
		return knownCertificate{s.Serial, s.CASPKI, s.Anchor, s.Expires}, true
	}
	if registered == nil {
		return k, false
	}
	k = knownCertificate{serial: registered.Serial, expires: registered.NotAfter.Unix()}
	if len(registered.CASPKI) > 0 {
		k.caSPKI = registered.CASPKI[0]
	}
	if len(registered.CASPKI) == 1 { // else the trusted CA is one above the issuer, whose name is not kept
		k.anchor = registered.Issuer
	}
	return k, true
}

// checkCertificate looks at the client's certificate.
func (t *TrustCheck) checkCertificate(ctx context.Context, c *registry.Client, registered *verify.PolicyCertificate, r *registry.TrustResult) {
	cert, known := newestCertificate(c, registered)
	if !known {
		return
	}
	if cert.expires != 0 && t.Now().Unix() > cert.expires {
		finding(r, registry.CertificateExpired, "serial %s expired at %s", cert.serial, time.Unix(cert.expires, 0).UTC().Format(time.RFC3339))
	}
	t.checkCRLs(cert, r)
	if t.anchors == nil {
		t.readAnchors(ctx)
	}
	switch {
	case cert.anchor == "" || t.anchors == nil:
		r.Unknown = append(r.Unknown, registry.CANotTrusted)
	case !t.anchors[canonical(cert.anchor)]:
		finding(r, registry.CANotTrusted, "the trust_pool of the site does not have %s", refusal.ForLog(cert.anchor))
	}
}

func (t *TrustCheck) checkCRLs(cert knownCertificate, r *registry.TrustResult) {
	if t.CRLs == nil {
		return
	}
	serial, ok := serialOf(cert.serial)
	if !ok || cert.caSPKI == "" {
		r.Unknown = append(r.Unknown, registry.CertificateRevoked)
		return
	}
	by, known := t.CRLs.Revokes(cert.caSPKI, serial)
	switch {
	case by != nil:
		finding(r, registry.CertificateRevoked, "serial %s is on the CRL %s", cert.serial, by)
	case !known:
		r.Unknown = append(r.Unknown, registry.CertificateRevoked)
	}
}

// readAnchors finds out which CAs the site trusts. The roots of the system do not tell.
func (t *TrustCheck) readAnchors(ctx context.Context) {
	t.anchors = nil
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return
	}
	trust, err := t.Trust(r)
	if err != nil || trust.Roots == nil {
		return
	}
	subjects := trust.Roots.Subjects() //lint:ignore SA1019 it lacks the system's roots alone
	if len(subjects) == 0 {
		return
	}
	t.anchors = map[string]bool{}
	for _, der := range subjects {
		if name, err := dn.ParseSubject(der); err == nil {
			t.anchors[name.Canonical()] = true
		}
	}
}
