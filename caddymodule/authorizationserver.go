package caddymodule

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// AuthorizationServer is the bank's AS as the gateway reaches it.
type AuthorizationServer struct {
	// URL is https, with the issuer's path. Paths of endpoints come from the AS's
	// discovery document, the origin is always this one. Required.
	URL string `json:"url"`

	// Client is the gateway's own client at the AS, for introspection and
	// revocation. Default: none, then access tokens must be JWTs.
	Client *Credentials `json:"client,omitempty"`

	// Provision is how clients become known to the AS. Required.
	Provision *Provision `json:"provision,omitempty"`

	// TokenEndpointAuth is how clients authenticate at the AS. native: the AS does that
	// itself, and is handed the certificate. bridge: the gateway does it, and
	// authenticates at the AS in their place, with a secret of which they know nothing.
	// Default: auto, native for clients whose method the AS's discovery document lists,
	// else bridge.
	TokenEndpointAuth string `json:"token_endpoint_auth,omitempty"`

	// BridgeMethod is client_secret_basic or client_secret_post, how the gateway
	// authenticates in bridge mode. Default: the first of them that the AS lists.
	BridgeMethod string `json:"bridge_method,omitempty"`

	// BindAccessTokens has the gateway bind the tokens of its clients to their
	// certificates (RFC 8705 3), at an AS that does not: it remembers for each which
	// certificate it was given to, says so where the AS's introspection goes through
	// it, and compares it with whoever manages a registration. Default: false.
	BindAccessTokens bool `json:"bind_access_tokens,omitempty"`

	// Supports are lists of the AS's discovery document as they should be, where it
	// says less, more or something else than the AS can: grant_types_supported, for
	// instance. Default: none, the document counts.
	Supports map[string][]string `json:"supports,omitempty"`

	// ClientCertificate is the header in which the AS expects the client's
	// certificate. Default: rfc9440, Client-Cert and Client-Cert-Chain.
	ClientCertificate *CertificateHeader `json:"client_certificate,omitempty"`

	// SharedHeader goes with everything that the gateway sends to the AS, so that the
	// AS, or what stands before it, can refuse whoever goes round the gateway.
	// Default: none.
	SharedHeader *SharedHeader `json:"shared_header,omitempty"`

	// TLSClientAuth is the gateway's own certificate, for its own requests to the AS.
	// Default: none.
	TLSClientAuth *KeyPair `json:"tls_client_auth,omitempty"`

	// DNFormat is how the AS writes a DN: rfc4514, openssl (RFC 2253 as openssl
	// prints it) or go (crypto/x509/pkix). Default: rfc4514.
	DNFormat string `json:"dn_format,omitempty"`

	// SAN are the kinds of subject alternative names by which the AS can know a
	// client in place of the DN (RFC 8705 2.1.2): dns, uri, ip, email. Default: none.
	SAN []string `json:"san,omitempty"`

	// IntrospectionEndpoint and RevocationEndpoint are those of an AS that has them and does
	// not name them in its discovery document: a path, or a URL of the AS's own origin. They
	// are guarded as any other and not published. Default: those of the document.
	IntrospectionEndpoint string `json:"introspection_endpoint,omitempty"`
	RevocationEndpoint    string `json:"revocation_endpoint,omitempty"`

	// Validate is who decides on access tokens: introspection (the AS) or jwt (their
	// signature). Default: introspection when a client is configured and the AS has an
	// introspection endpoint, else jwt. Where introspection is written and the AS has no
	// such endpoint, registrations with a token and their management are answered with 503.
	Validate string `json:"validate,omitempty"`

	// TokenAudience are the values of which the aud of an access token must hold one,
	// where tokens are verified by their signature. Default: the issuer and the
	// registration endpoint, as they are published.
	TokenAudience []string `json:"token_audience,omitempty"`

	// ASErrors "pass" tells TPPs the AS's own words about client metadata that it refuses,
	// cut and without addresses. They may name hosts, files and classes of the bank.
	// Default: TPPs are told which client metadata those words name, the log has the words.
	ASErrors string `json:"as_errors,omitempty"`

	// Proxy is the way to the AS, for the gateway's own requests. Default: none, also
	// where the workspace has one.
	Proxy *ForwardProxy `json:"proxy,omitempty"`

	// TrustPoolRaw verifies the AS's certificate, a module of tls.ca_pool.source.
	// Default: the system's roots.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
}

// Provision configures RFC 7591 and 7592 towards the AS.
type Provision struct {
	// Method is rfc7591, the only one.
	Method string `json:"method"`
	// InitialAccessToken is the AS's. Must be a placeholder. Default: none is sent.
	InitialAccessToken string `json:"initial_access_token,omitempty"`
	// ClientIDHeader is the header in which the gateway proposes the client_id. At
	// an AS that honours it a registration can be repeated safely. Default: none,
	// the AS chooses.
	ClientIDHeader string `json:"client_id_header,omitempty"`
	// Keys is inline where the AS is told the software's keys (jwks) in place of their
	// address (jwks_uri), because it has no way out, or needs an alg in each, which the gateway
	// adds. The gateway tells it again when they change. Default: the address.
	Keys string `json:"keys,omitempty"`
	// SendStatement tells the AS the software statement too. Default: false.
	SendStatement bool `json:"send_software_statement,omitempty"`
}

func (c *AuthorizationServer) inlineKeys() bool { return c.Provision != nil && c.Provision.Keys != "" }

func (h *Handler) provisionAuthorizationServer(ctx caddy.Context, accept verify.SupportedMetadata) error {
	c := h.AuthorizationServer
	if err := h.readIssuerPath(); err != nil {
		return err
	}
	if err := c.checkWords(); err != nil {
		return err
	}
	for _, kind := range c.SAN {
		accept.SubjectNames = append(accept.SubjectNames[:len(accept.SubjectNames):len(accept.SubjectNames)], "tls_client_auth_san_"+kind)
	}
	kept := h.app.keptKeysOf("authorization_server", c.URL, trustName(c.TrustPoolRaw))
	roots, err := trustPool(ctx, c, c.TrustPoolRaw)
	if err != nil {
		return err
	}
	if h.handedOver, err = c.ClientCertificate.read(); err != nil {
		return fmt.Errorf("client_certificate header: %w", err)
	}
	if err := c.SharedHeader.provision(); err != nil {
		return err
	}
	own, err := c.TLSClientAuth.load(&h.app.files)
	if err != nil {
		return err
	}
	if err := c.Proxy.provision(ctx); err != nil {
		return err
	}
	// The operator wrote the address, so that a private one is right.
	client := jwks.NewClient(c.Proxy.options(jwks.Options{
		Roots: roots, Certificate: own, Header: c.SharedHeader.fields(), PrivateRanges: true, Timeout: authserver.Timeout, MaxConnections: authserver.MaxExchanges,
		LeftOut: newLeftOutKeys(h.log, "authorization_server").tell,
	}, hostOf(c.URL)))
	if c.TLSClientAuth != nil {
		c.TLSClientAuth.replaced = client.CloseIdle // connections have the certificate of before
	}
	o := authserver.Options{
		URL: c.URL, Client: client,
		Secrets:        c.SharedHeader.secrets(),
		ClientIDHeader: c.Provision.ClientIDHeader, SendStatement: c.Provision.SendStatement, DNFormat: c.DNFormat, Validate: c.Validate,
		IntrospectionEndpoint: c.IntrospectionEndpoint, RevocationEndpoint: c.RevocationEndpoint,
		TokenAudience: c.TokenAudience, RegistrationEndpoint: h.registerURL,
		TokenEndpointAuth: c.TokenEndpointAuth, BridgeMethod: c.BridgeMethod,
		ClientCertificate: h.handedOver, Supports: c.Supports, BindsTokens: c.BindAccessTokens, Supported: accept, Logger: h.log, Documents: documents{h}, KeptKeys: kept, Now: h.now,
		FairShareOff: h.FairShare == "off", PassErrors: c.ASErrors == "pass",
	}
	if c.inlineKeys() {
		o.Keys = h.inlineKeys
	}
	if err := h.resolveSecrets(&o); err != nil {
		return err
	}
	h.as, err = authserver.New(o)
	h.serverKeys = keySets{KeysOfServer, "", kept, h.serverKeySources}
	return err
}

// serverKeySources are the key sets of the AS that were fetched, one or none.
func (h *Handler) serverKeySources() []*jwks.Source {
	if source := h.as.KeySource(); source != nil {
		return []*jwks.Source{source}
	}
	return nil
}

// inlineKeys are what the AS is told of a client's software.
func (h *Handler) inlineKeys(ctx context.Context, c *registry.Client) ([]verify.Key, error) {
	return gateway.InlineKeys(ctx, h.rules.Issuers, c)
}

// registerURL is where clients register.
func (h *Handler) registerURL(issuer string) string {
	return gateway.RegisterURL(h.MTLSOrigin, issuer, h.RegisterPath)
}

func (h *Handler) resolveSecrets(o *authserver.Options) (err error) {
	if o.InitialAccessToken, err = secret("initial_access_token", h.AuthorizationServer.Provision.InitialAccessToken); err != nil {
		return err
	}
	if o.ClientID, o.ClientSecret, err = h.AuthorizationServer.Client.resolve(); err != nil {
		return err
	}
	if h.AccessToken == nil {
		return nil
	}
	if o.RegistrarID, o.RegistrarSecret, err = h.AccessToken.Client.resolve(); err != nil {
		return fmt.Errorf("access_token: %w", err)
	}
	return nil
}

// checkWords looks at what each word says by itself.
func (c *AuthorizationServer) checkWords() error {
	switch {
	case c.Provision == nil || c.Provision.Method != "rfc7591":
		return errors.New("provision rfc7591 is missing: it is how clients become known to the authorization server")
	case c.Provision.Keys != "" && c.Provision.Keys != "inline":
		return fmt.Errorf("keys %q: must be inline, or left out", c.Provision.Keys)
	case c.ASErrors != "" && c.ASErrors != "pass":
		return fmt.Errorf("as_errors %q: must be pass, or left out", c.ASErrors)
	}
	if err := subset("san", c.SAN, []string{"dns", "uri", "ip", "email"}); err != nil {
		return err
	}
	return c.checkEndpoints()
}

// checkEndpoints refuses what the guard could not hold requests against.
func (c *AuthorizationServer) checkEndpoints() error {
	for _, given := range []struct{ name, text string }{
		{"introspection_endpoint", c.IntrospectionEndpoint}, {"revocation_endpoint", c.RevocationEndpoint},
	} {
		if given.text == "" {
			continue
		}
		target, err := authserver.ReadEndpoint(c.URL, given.text)
		if err == nil {
			_, err = gateway.NormalPath(authserver.NewEndpoint(given.name, target).Path)
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", given.name, given.text, err)
		}
	}
	return nil
}

// ownHeaders are the names that this workspace gives to headers of the gateway.
func (h *Handler) ownHeaders() []string {
	names := slices.Clone(h.handedOver.Names())
	if p := h.ClientCertificateHeader; p != nil {
		names = append(names, p.certificate.Headers()...)
	}
	if s := h.AuthorizationServer.SharedHeader; s != nil {
		names = append(names, s.Name)
	}
	return names
}

func (c *Credentials) resolve() (id, key string, err error) {
	if c == nil {
		return "", "", nil
	}
	if c.ID == "" || c.Secret == "" {
		return "", "", errors.New("client: id and secret are required")
	}
	key, err = secret("client "+c.ID, c.Secret)
	return c.ID, key, err
}

// trustPool loads a guest of tls.ca_pool.source, nil for the system's roots.
func trustPool(ctx caddy.Context, owner any, raw json.RawMessage) (*x509.CertPool, error) {
	if raw == nil {
		return nil, nil
	}
	guest, err := ctx.LoadModule(owner, "TrustPoolRaw")
	if err != nil {
		return nil, fmt.Errorf("trust_pool: %w", err)
	}
	pool := guest.(caddytls.CA).CertPool()
	if pool == nil || pool.Equal(x509.NewCertPool()) {
		return nil, errors.New("trust_pool: it holds no certificate, so that nobody's is verified; look into the file that it names")
	}
	return pool, nil
}
