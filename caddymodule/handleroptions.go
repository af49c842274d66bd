package caddymodule

import "github.com/caddy-dcr/caddy-dcr/gateway"

// options are what the gateway is made of, once all of the configuration was read.
func (h *Handler) options(limits *gateway.RateLimits, host *caddyHost) gateway.Options {
	as := h.AuthorizationServer
	o := gateway.Options{
		Workspace: h.workspace(), Server: h.as, ServerURL: as.URL, Stores: h.app, Headers: &h.app.own, Host: host, Log: h.log, Now: h.now,
		RegisterPath: h.RegisterPath, IssuerPath: h.issuerPath, MTLSOrigin: h.MTLSOrigin,
		NeedsCertificate: h.needsCertificate(), NeedsToken: h.needsToken(), NeedsEndpointCertificate: h.needsEndpointCertificate(),
		TokenLifetime: h.tokenLifetime(), Rules: h.rules, Version: h.Version, BindCertificate: h.BindCertificate, Match: h.match,
		Trust: h.transportTrust, Cure: proxyCure, CRLs: h.crls, CRLStrict: h.strict(), Limits: limits, Explain: h.Explain == "on",
		RegistrationClosed: h.Registration == "off", ASRegistrationOpen: h.ASRegistration == "passthrough",
		Methods: h.methods(), MethodNotAllowed: h.Management != nil && h.Management.MethodNotAllowed, AnswerRequestClaims: h.AnswerRequestClaims,
		CertificateHeader: h.handedOver, ClientIDHeader: as.Provision.ClientIDHeader, BindAccessTokens: as.BindAccessTokens, InlineKeys: as.inlineKeys(),
		IssuerAudienceOnly: h.AssertionAudience == "issuer", PassOtherBodies: h.OtherBodies == "pass",
		RefuseUnknown: h.UnknownClients.Mode == "refuse", KnownClient: h.UnknownClients.knows,
	}
	if p := h.ClientCertificateHeader; p != nil {
		o.ProxyCertificate = p.certificate
	}
	if s := as.SharedHeader; s != nil {
		o.SharedHeader = gateway.SharedHeader{Name: s.Name, Value: s.value}
	}
	for _, p := range h.Policies {
		o.Policies = append(o.Policies, p.toAsk)
	}
	return o
}
