package caddymodule

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler is one workspace: an authorization server (AS) behind this site, with
// its own settings and clients. It guards the whole site, so it must come before
// everything that answers.
type Handler struct {
	// Workspace is the name, without a leading slash: default/obuk. Required.
	Workspace string `json:"workspace"`

	// RegisterPath is where clients register.
	// Default: /<workspace>/openbankinguk/dcr/v<version>/register.
	RegisterPath string `json:"register_path,omitempty"`

	// MTLSOrigin is where clients connect with certificates, when that is another
	// site with this directive's workspace behind it: https://matls.bank.example. It
	// is published for registration and in mtls_endpoint_aliases (RFC 8705 5).
	// Default: the issuer's origin.
	MTLSOrigin string `json:"mtls_origin,omitempty"`

	// AuthorizationServer is the bank's AS. Required.
	AuthorizationServer *AuthorizationServer `json:"authorization_server,omitempty"`

	// Audience are the values of which a request's aud must hold one: the bank's
	// id at the directory. The issuer is always one of them. Default: the issuer only.
	Audience []string `json:"audience,omitempty"`

	// ClientCertificate is protection 1, a client certificate on every call.
	// "off" switches it off. Default: on.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// ClientCertificateHeader takes client certificates from a load balancer in front.
	// Default: none, they are those of the TLS connection.
	ClientCertificateHeader *ProxyCertificate `json:"client_certificate_header,omitempty"`

	// AccessToken is protection 2, a token with scope dcr_register that registers once.
	// Default: on.
	AccessToken *AccessToken `json:"access_token,omitempty"`

	// SoftwareStatements is protection 3: the directories whose software statements
	// are accepted. At least one is required, unless NoSoftwareStatement.
	SoftwareStatements []*SoftwareStatement `json:"software_statements,omitempty"`

	// SignedRequestBody is protection 4. Default: on, with the keys of the
	// statement's software_jwks_endpoint.
	SignedRequestBody *SignedRequestBody `json:"signed_request_body,omitempty"`

	// Proxy is the way to everything that the gateway fetches for this workspace, but for
	// the AS, which has a proxy of its own. Default: none; that of the environment never.
	Proxy *ForwardProxy `json:"proxy,omitempty"`

	// RateLimit is how often one TPP may ask the registration endpoints.
	// Default: 100 requests, and as many more in each 10s.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`

	// FairShare "off" lets one organisation have all that may be at work at once: places for
	// registrations, exchanges with the AS, workers of the outbox. It is for load tests with
	// one organisation, and for a bank with one TPP. Default: an organisation has an eighth.
	FairShare string `json:"fair_share,omitempty"`

	// Reregister is what a POST does that repeats one. Default: it makes another client.
	Reregister *Reregister `json:"reregister,omitempty"`

	// Approval has an operator approve clients. Default: none must.
	Approval *Approval `json:"approval,omitempty"`

	// RegistrationAccessToken offers registration access tokens (RFC 7592). Default:
	// off, clients manage their registrations with tokens of the AS.
	RegistrationAccessToken *RegistrationAccessToken `json:"registration_access_token,omitempty"`

	// AnswerRequestClaims answers POST, GET and PUT with iss, iat, exp, aud and jti of the
	// request that the client is registered with, too: the official OpenAPI files require them,
	// and TPPs that validate answers by these miss them. Default: they do not come back, they
	// are no client metadata (RFC 7591 3.2.1).
	AnswerRequestClaims bool `json:"answer_request_claims,omitempty"`

	// Policies are the bank's own rules for who is let in; all must allow. Default: none.
	Policies []*Policy `json:"policies,omitempty"`

	// Explain "on" keeps, for a week, what was checked of requests at the registration
	// endpoints, and at those of the AS, that were refused: for operators who have their
	// support code. See registry.KeepExplanation for how many. Default: off, only what a
	// policy in shadow would have refused is kept.
	Explain string `json:"explain,omitempty"`

	// AuditRetention is how long accepted changes are kept in the audit trail, at least a
	// day. Default: 400 days.
	AuditRetention caddy.Duration `json:"audit_retention,omitempty"`

	ClientReview
	RequestHeaders
	RegistrationRules
	Revocation
	StoreShare
	Switches

	app *App
	as  *authserver.Server
	// serverKeys are the keys of the authorization server.
	serverKeys keySets
	rules      verify.RequestRules
	// handedOver is how the AS is told of a certificate.
	handedOver verify.CertificateHeader
	issuerPath string
	hosts      []string // of the site, see ownHosts
	log        *slog.Logger
	ctx        caddy.Context
	// gateway serves what this configures.
	gateway *gateway.Gateway
	// trustCheck looks again at clients, nil where nothing does.
	trustCheck *gateway.TrustCheck
	// source is the configuration as it came, for whoever explains a request (apart).
	source json.RawMessage
	// explains: this handler serves nothing, and is only asked. at stands for its clock
	// then, zero for now.
	explains bool
	at       time.Time
}

// AccessToken configures protection 2.
type AccessToken struct {
	// Off switches it off. Default: false.
	Off bool `json:"off,omitempty"`
	// Client is the AS's client that the registration tokens belong to. With it the
	// gateway can end a token that registered, at an AS that lets nobody else do
	// so. Default: the gateway's own client.
	Client *Credentials `json:"client,omitempty"`
	// Lifetime is how long a token is good at most at the AS. After a restore or an accepted
	// loss one that does not say when it was issued (iat) is refused for that long, because
	// it may have registered before. Default: 24h.
	Lifetime caddy.Duration `json:"token_lifetime,omitempty"`
}

// Credentials of a client of the AS.
type Credentials struct {
	// ID is its client_id.
	ID string `json:"id"`
	// Secret must be a placeholder: {env.X} or {file.X}.
	Secret string `json:"secret"`
}

// CaddyModule returns the module's name.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.openbanking_dcr", New: func() caddy.Module { return new(Handler) }}
}

// workspaceName is one or more path segments that need no escaping.
var workspaceName = regexp.MustCompile(`^[a-z0-9][a-z0-9._~-]*(/[a-z0-9][a-z0-9._~-]*)*$`)

// Provision reads and checks the whole configuration. It reads files, and
// nothing else: no store, no network.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	if h.source, err = json.Marshal(h); err != nil { // modules lose their configuration when they are loaded
		return err
	}
	if err := h.provision(ctx); err != nil {
		return fmt.Errorf("openbanking_dcr %s: %w", h.Workspace, err)
	}
	return nil
}

// workspace is the configuration as the registry needs it.
func (h *Handler) workspace() registry.Workspace {
	ws := registry.Workspace{
		Name: h.Workspace, Provisioner: h.as, Reregister: h.reregister(), AccessTokens: h.RegistrationAccessToken.accessTokens(),
		AuditRetention: time.Duration(h.AuditRetention), FairShareOff: h.FairShare == "off",
		StatementRollback: h.StatementRollback == "allow", Approval: h.approval(),
	}
	h.StoreShare.attach(&ws)
	h.reviews(&ws)
	return ws
}

// needsCertificate and needsToken are protections 1 and 2.
func (h *Handler) needsCertificate() bool { return h.ClientCertificate != "off" }
func (h *Handler) needsToken() bool       { return h.AccessToken == nil || !h.AccessToken.Off }

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
