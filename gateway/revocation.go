package gateway

import (
	"context"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// crlClause is where the rules for revocation come from.
const crlClause = "RFC 5280 6.3"

// checkRevoked refuses a certificate that was revoked, and with crl_mode strict one of which
// that is not known. unchecked is why it is not known, nil where it is.
func (g *Gateway) checkRevoked(ctx context.Context, cert *verify.Certificate) (unchecked *verify.Unchecked, err error) {
	if g.options.CRLs == nil || cert == nil {
		return nil, nil
	}
	g.options.CRLs.Ready(ctx)
	unchecked, err = cert.CheckRevocation(g.options.CRLs, g.now())
	switch {
	case err != nil:
		revokedCertificates.WithLabelValues(g.options.Workspace.Name).Inc()
		return nil, err
	case unchecked == nil:
		g.unchecked.end(g.log, cert, g.now())
		return nil, nil
	}
	g.unchecked.tell(g.log, unchecked, g.options.CRLStrict, g.now())
	if g.options.CRLStrict {
		uncheckedCertificates.WithLabelValues(g.options.Workspace.Name, "refused").Inc()
		return unchecked, unchecked.Refusal()
	}
	uncheckedCertificates.WithLabelValues(g.options.Workspace.Name, "passed").Inc()
	return unchecked, nil
}

// notRevoked is checkRevoked for requests to the registration endpoints.
func (d *registrationRequest) notRevoked() error {
	if d.options.CRLs == nil || d.cert == nil {
		return nil
	}
	d.request.trace.Begin("client_certificate", verify.RuleCRL, crlClause, d.request.gateway.shownCRLs())
	unchecked, err := d.request.gateway.checkRevoked(d.request.r.Context(), d.cert)
	if unchecked != nil {
		d.request.note("crl", unchecked.Error())
	}
	if unchecked != nil && err == nil {
		d.request.trace.Conclude(trace.Unknown, unchecked.Error()+passedUnchecked)
	}
	return err
}

const passedUnchecked = "; crl_mode soft lets it through"

// shownCRLs are what a trace has of the lists.
func (g *Gateway) shownCRLs() any {
	return func() any {
		shown := []map[string]string{}
		for _, s := range g.options.CRLs.States() {
			one := map[string]string{"crl": s.From, "this_update": "none is held"}
			if s.Held {
				one["this_update"], one["next_update"] = s.ThisUpdate.UTC().Format(time.RFC3339), s.NextUpdate.UTC().Format(time.RFC3339)
			}
			shown = append(shown, one)
		}
		return shown
	}
}

// publishedTrust is what certificates in a JWKS are verified with: as those of connections,
// and by the CRLs too.
func (d *registrationRequest) publishedTrust() (*verify.TransportTrust, error) {
	trust, err := d.options.Trust(d.request.r)
	if err != nil || d.options.CRLs == nil {
		return trust, err
	}
	trust.Revoked = func(c *verify.Certificate) error {
		d.options.CRLs.Ready(d.request.r.Context())
		unchecked, err := c.CheckRevocation(d.options.CRLs, d.now())
		if err == nil && unchecked != nil && d.options.CRLStrict {
			return unchecked.Refusal()
		}
		return err
	}
	return trust, nil
}
