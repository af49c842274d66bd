// Package authserverprocess runs the real authorization servers of the
// end-to-end tests and of the demo, each in a process of its own, and drives
// their control listener: what they were asked, whom they know, and faults at
// their network edge.
package authserverprocess

import "net/http"

// A Kind names one of the authorization servers.
type Kind string

const (
	GoOIDC       Kind = "go-oidc"       // integration/gooidc
	OIDCProvider Kind = "oidc-provider" // integration/oidcprovider, on Node.js

	// Glewlwyd is Debian's server in C behind integration/glewlwyd. It is not one
	// of Kinds, because it cannot do all that the other two do: it registers no
	// client for tls_client_auth, names clients itself (ClientIDHeader), fetches
	// a jwks_uri by the system's roots only (JWKSCA), takes no certificate from a
	// header (TrustClientCertHeader), and its access tokens are JWTs, by default too
	// (AccessTokens), signed with a key that it makes (SigningKey). The issuer needs a
	// path of at least two segments. Start returns debianpackage.ErrNoApt on a system
	// that is not like Debian; the first start fetches the packages.
	Glewlwyd Kind = "glewlwyd"
)

// Kinds are the authorization servers of table tests.
var Kinds = []Kind{GoOIDC, OIDCProvider}

// Config is the file that all servers read; those of Kinds differ in nothing that
// is written here. File names are PEM files.
type Config struct {
	// Listen is the TLS address. Default: 127.0.0.1:0.
	Listen string `json:"listen,omitempty"`
	// TLSCert and TLSKey are the server's certificate. Required: plain HTTP is not offered.
	TLSCert string `json:"tls_cert"`
	TLSKey  string `json:"tls_key"`
	// ClientCA are roots for direct mTLS, which is never required. Default: no certificate is asked for.
	ClientCA string `json:"client_ca,omitempty"`

	// Issuer is the public URL with its path, as clients see it through the gateway.
	Issuer string `json:"issuer"`
	// Prefix is the path under which the server is mounted, "/default/obuk".
	Prefix string `json:"prefix"`

	// InitialAccessToken is what POST {prefix}/{registration endpoint} demands.
	InitialAccessToken string `json:"initial_access_token"`
	// ClientIDHeader names the header in which the gateway chooses a client_id.
	// The same POST repeated gives the same client and a new registration token.
	// Default: ids are the server's own.
	ClientIDHeader string `json:"client_id_header,omitempty"`

	// GatewayID may introspect every token (client_secret_basic).
	GatewayID     string `json:"gateway_id"`
	GatewaySecret string `json:"gateway_secret"`
	// RegistrarID gets tokens of scope dcr_register (client_credentials, client_secret_basic).
	RegistrarID     string `json:"registrar_id"`
	RegistrarSecret string `json:"registrar_secret"`

	// JWKSCA are the roots for fetching a client's jwks_uri. Default: the system's.
	JWKSCA string `json:"jwks_ca,omitempty"`
	// TrustClientCertHeader takes the certificate from RFC 9440 Client-Cert and from
	// nowhere else. Default: from the TLS connection only.
	TrustClientCertHeader bool `json:"trust_client_cert_header,omitempty"`
	// LockHeader and LockSecret: whoever comes without this header gets 403. Default: nobody does.
	LockHeader string `json:"lock_header,omitempty"`
	LockSecret string `json:"lock_secret,omitempty"`
	// LockMTLS ends the handshake with whoever has no certificate of ClientCA.
	LockMTLS bool `json:"lock_mtls,omitempty"`
	// AccessTokens are "opaque" or "jwt" (at+jwt, PS256). Default: opaque.
	AccessTokens string `json:"access_tokens,omitempty"`
	// SigningKey is the RSA key of PS256 signatures, PEM PKCS #8. Start gives each server
	// one that no other has, and never the one that is here: a server that is started with
	// the Config of an earlier one has another key. Default: the server makes one.
	SigningKey string `json:"signing_key,omitempty"`

	// Admin opens the control listener and records every request; off for load tests.
	Admin bool `json:"admin,omitempty"`
	// ControlListen is its plain HTTP address. Default: 127.0.0.1:0.
	ControlListen string `json:"control_listen,omitempty"`

	// StopAtStdinEnd ends the server with the process that started it. Start sets it.
	StopAtStdinEnd bool `json:"stop_at_stdin_end,omitempty"`
}

// Ready is the one line that a server writes to stdout, when it accepts connections.
type Ready struct {
	Listen  string `json:"listen"`
	Control string `json:"control,omitempty"`
}

// A Request is one that the server saw, in order of arrival.
type Request struct {
	Method string `json:"method"`
	// Target is the request target as it came, with or without a host.
	Target string      `json:"target"`
	Path   string      `json:"path"`
	Query  string      `json:"query"`
	Header http.Header `json:"headers"`
	// BodyLength is that of the whole body, Body its first 16 KiB.
	BodyLength int    `json:"body_length"`
	Body       string `json:"body"`
	// Status is what the server or a fault answered; 0 while it has not, or when it dropped the connection before.
	Status int `json:"status"`
}

// A Fault befalls matching requests at the network's edge of the server: it
// holds, then delays, then drops or answers or lets pass, before the server has
// done its work or (After) when the work is done and only the answer is missing.
type Fault struct {
	PathContains string `json:"path_contains,omitempty"`
	// BodyContains is in the requests of one TPP alone, say. The servers that are run from
	// Go know it. Default: every body.
	BodyContains string `json:"body_contains,omitempty"`
	// Method to match. Default: every one.
	Method string `json:"method,omitempty"`
	// Times that it happens. Default: 1. Negative: until ResetFaults.
	Times int `json:"times,omitempty"`

	After bool `json:"after,omitempty"`
	// Hold keeps the request until Release: see WaitHeld.
	Hold    bool `json:"hold,omitempty"`
	DelayMS int  `json:"delay_ms,omitempty"`
	// Drop closes the connection without an answer.
	Drop bool `json:"drop,omitempty"`
	// Status answers in the server's place, with Body (application/json) and Header.
	Status int               `json:"status,omitempty"`
	Body   string            `json:"body,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	// Set changes members of the server's own JSON answer, with After: an AS that
	// made something else than it was asked to.
	Set map[string]any `json:"set,omitempty"`
}
