package caddymodule

import (
	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// provisionTrustCheck makes what looks again at the workspace's clients; nothing with checks off,
// because it fetches.
func (h *Handler) provisionTrustCheck() {
	if h.explains || h.app.Checks == "off" {
		return
	}
	t := &gateway.TrustCheck{Rules: &h.rules, Fresh: map[string]gateway.FreshKeys{}, CRLs: h.crls, Trust: h.transportTrust, Now: h.now}
	for _, s := range h.SoftwareStatements {
		t.Fresh[s.Issuer] = s.fresh
	}
	h.trustCheck = t
}

// freshKeys fetches what a directory publishes apart from what requests use.
func (s *SoftwareStatement) freshKeys(client *jwks.Client, hosts []string) (f gateway.FreshKeys) {
	if s.JWKSURI != "" {
		f.Directory = func() verify.KeySource { return jwks.NewSource(client, s.JWKSURI, nil) }
	}
	f.Software = jwks.NewSources(client, hosts, nil).Apart
	if s.RevokedKeys {
		f.Revoked = jwks.NewRevokedSources(client, hosts, nil).Apart
	}
	return f
}

// reviews tells the registry how clients are looked at again.
func (h *Handler) reviews(ws *registry.Workspace) {
	h.ClientReview.attach(ws)
	if h.trustCheck != nil {
		ws.Trust = h.trustCheck
	}
}
