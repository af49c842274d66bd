package caddymodule

import (
	"encoding/json"
	"errors"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/gateway"
)

// ProxyCertificate takes client certificates from a load balancer in front of this
// site that ends TLS. It counts only on connections from trusted_proxies (an option of
// Caddy's servers) that carried no client certificate themselves.
type ProxyCertificate struct {
	CertificateHeader
	// TrustPoolRaw verifies the certificate once more, a module of tls.ca_pool.source:
	// what a load balancer takes for verified is its own affair. Required.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	certificate *gateway.ProxyCertificate
}

func (p *ProxyCertificate) provision(ctx caddy.Context) error {
	if p == nil {
		return nil
	}
	header, err := p.CertificateHeader.read()
	if err != nil {
		return err
	}
	if p.TrustPoolRaw == nil {
		return errors.New("trust_pool is missing: the certificates that the load balancer hands on are verified again")
	}
	roots, err := trustPool(ctx, p, p.TrustPoolRaw)
	if err != nil {
		return err
	}
	p.certificate, err = gateway.NewProxyCertificate(header, roots)
	return err
}
