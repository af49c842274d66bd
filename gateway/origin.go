package gateway

import (
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What the registry's audit trail has of a request that is accepted.

// longestReason is how much of a policy's reason that is, in bytes.
const longestReason = 500

// object notes what a policy in shadow has against the request.
func (d *registrationRequest) object(p *Policy, decision verify.Decision) {
	if !decision.Allowed {
		d.objections = append(d.objections, registry.Objection{Policy: p.Name, Reason: cut(decision.Reason, longestReason)})
	}
}

func (d *registrationRequest) origin() registry.Origin {
	from := registry.Origin{SupportCode: d.request.supportCode(), WouldRefuse: d.objections}
	if d.cert != nil {
		from.Certificate = d.cert.Thumbprint
	}
	return from
}
