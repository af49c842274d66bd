package caddymodule

import (
	"errors"
)

// Switches turn parts of a workspace off, each in words of its own.
type Switches struct {
	// Registration "off" refuses new clients; everything registered goes on.
	// Default: on.
	Registration string `json:"registration,omitempty"`

	// Management says what clients may do with their registrations. Default: everything.
	Management *Management `json:"management,omitempty"`

	// ASRegistration "passthrough" leaves the AS's own registration endpoint open
	// to everybody who can reach this site. Default: hidden.
	ASRegistration string `json:"as_registration,omitempty"`

	// EndpointCertificate says whether every client of the registry presents its
	// certificate where clients authenticate (token, PAR, device authorization, backchannel
	// authentication, introspection and revocation), as FAPI 1 Advanced demands: required,
	// or optional, then only one that authenticates with it. Clients of others are not
	// asked for it. Default: required, and optional where ClientCertificate is off.
	EndpointCertificate string `json:"endpoint_certificate,omitempty"`

	// UnknownClients is what the guard does with client_ids that the registry does not know.
	// Default: they pass.
	UnknownClients *UnknownClients `json:"unknown_clients,omitempty"`

	// OtherBodies is what happens where clients authenticate to a body that is no form in
	// UTF-8, or has a Content-Encoding: refuse, with 415, or pass. Passing are JSON objects,
	// and forms in ISO 8859-1, ISO 8859-15, windows-1252 or ASCII, of clients that
	// authenticate with Basic and nothing else and that the registry does not know. The AS is
	// not told their certificate. Default: refuse.
	OtherBodies string `json:"other_bodies,omitempty"`

	// AssertionAudience is what the aud of a client assertion may name: endpoints, the issuer
	// or an endpoint where clients authenticate, as RFC 7523 allows; or issuer, that alone
	// (RFC 10070). An assertion with typ client-authentication+jwt always names the issuer
	// alone. Default: endpoints.
	AssertionAudience string `json:"assertion_audience,omitempty"`

	// NoSoftwareStatement switches protection 3 off: no statement is demanded, and
	// none is looked at. Default: false.
	NoSoftwareStatement bool `json:"no_software_statement,omitempty"`

	// Unprotected says that all four protections may be off. Default: false.
	Unprotected bool `json:"unprotected,omitempty"`

	// Unguarded is what requests of the site may reach without passing this directive.
	// Default: nothing that sends them on.
	Unguarded *Unguarded `json:"unguarded,omitempty"`
}

// Management is what clients may do with their registrations.
type Management struct {
	// Methods are those that are on: GET, PUT, DELETE. Default: none.
	Methods []string `json:"methods,omitempty"`
	// MethodNotAllowed answers the others with 405 and Allow at once. Default: false,
	// 401 to whoever is not the client and 403 to the client.
	MethodNotAllowed bool `json:"method_not_allowed,omitempty"`
}

// manageable are the methods that a client may have.
var manageable = []string{"GET", "PUT", "DELETE"}

// methods are those that are on.
func (s *Switches) methods() []string {
	if s.Management == nil {
		return manageable
	}
	return s.Management.Methods
}

func (s *Switches) checkSwitches() error {
	switch {
	case s.Registration != "" && s.Registration != "off":
		return errors.New("registration: must be off, or left out")
	case s.ASRegistration != "" && s.ASRegistration != "passthrough":
		return errors.New("as_registration: must be passthrough, or left out")
	case s.EndpointCertificate != "" && s.EndpointCertificate != "required" && s.EndpointCertificate != "optional":
		return errors.New("endpoint_certificate: must be required or optional, not " + s.EndpointCertificate)
	case s.OtherBodies != "" && s.OtherBodies != "refuse" && s.OtherBodies != "pass":
		return errors.New("other_bodies: must be refuse or pass, not " + s.OtherBodies)
	case s.AssertionAudience != "" && s.AssertionAudience != "issuer" && s.AssertionAudience != "endpoints":
		return errors.New("assertion_audience: must be issuer or endpoints, not " + s.AssertionAudience)
	case s.Management == nil:
		return nil
	}
	return subset("management", s.Management.Methods, manageable)
}

// checkProtections refuses what would leave registrations to anybody: each
// protection may be off, but something must tie a request to its sender.
func (h *Handler) checkProtections() error {
	signed := h.SignedRequestBody == nil || !h.SignedRequestBody.Off
	statement := !h.NoSoftwareStatement
	switch {
	case h.ClientCertificate != "" && h.ClientCertificate != "off":
		return errors.New("client_certificate: must be off, or left out, not " + h.ClientCertificate)
	case statement && len(h.SoftwareStatements) == 0:
		return errors.New("software_statement is missing: name a directory whose statements are accepted, or write software_statement off")
	case !statement && len(h.SoftwareStatements) > 0:
		return errors.New("software_statement off: must not be combined with a directory")
	case !signed && (h.SignedRequestBody.JWKS != "" || h.SignedRequestBody.JWKSURI != ""):
		return errors.New("signed_request_body off: must not be combined with jwks or jwks_uri")
	case !statement && signed && (h.SignedRequestBody == nil || h.SignedRequestBody.JWKS == "" && h.SignedRequestBody.JWKSURI == ""):
		return errors.New("signed_request_body: must have jwks <file> or jwks_uri <url> where software_statement is off, or be off")
	case !statement && !signed && !h.needsCertificate() && !h.needsToken() && !h.Unprotected:
		return errors.New("all four protections are off, so that anybody can register; if that is meant, write unprotected")
	case h.Unprotected && (statement || signed || h.needsCertificate() || h.needsToken()):
		return errors.New("unprotected: must be left out, unless all four protections are off")
	case len(h.BindCertificate) > 0 && (!statement || !h.needsCertificate()):
		return errors.New("bind_certificate: needs a client certificate and a software statement, and one of them is off")
	case statement && !signed && len(h.BindCertificate) == 0:
		return errors.New("signed_request_body off: whoever has seen a software statement could register with it; tie it to the client certificate with bind_certificate")
	}
	return nil
}

// needsEndpointCertificate tells whether every client of the registry presents its
// certificate where clients authenticate.
func (h *Handler) needsEndpointCertificate() bool {
	return h.EndpointCertificate == "required" || h.EndpointCertificate == "" && h.needsCertificate()
}
