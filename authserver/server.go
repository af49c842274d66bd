// Package authserver is everything that the gateway says to the bank's
// authorization server (AS): reading its discovery document, asking about access
// tokens and ending them, and making clients known to it by RFC 7591 and 7592.
//
// Every URL that the AS names counts by path and query only: the origin is the
// configured one, so that an AS that names its public address is still asked
// where the operator said.
package authserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// Timeout is what one exchange with the AS may take.
const Timeout = 10 * time.Second

// How the AS writes a DN: Options.DNFormat.
const (
	RFC4514 = "rfc4514" // with short names
	OpenSSL = "openssl" // as openssl -nameopt RFC2253 prints it
	Go      = "go"      // as Go's crypto/x509/pkix.Name prints it
)

// Who decides on access tokens: Options.Validate.
const (
	Introspection = "introspection" // the AS (RFC 7662)
	JWT           = "jwt"           // their signature (RFC 9068)
)

// How clients authenticate at the AS: Options.TokenEndpointAuth.
const (
	Auto   = "auto"   // native where the AS lists the client's method, else bridge
	Native = "native" // the client at the AS itself
	Bridge = "bridge" // the client at the gateway, and the gateway at the AS with a secret
)

// Documents keeps the last good discovery document over restarts.
type Documents interface {
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, document []byte) error
}

// Options of a Server.
type Options struct {
	// URL is where the gateway reaches the AS: https, with the issuer's path. Required.
	URL string
	// Client makes the requests. Required.
	Client *jwks.Client
	// ClientID and ClientSecret are the gateway's own client at the AS
	// (client_secret_basic). Default: none, then access tokens must be JWTs.
	ClientID, ClientSecret string
	// RegistrarID and RegistrarSecret are the client that registration tokens
	// belong to. Default: ClientID and ClientSecret.
	RegistrarID, RegistrarSecret string
	// InitialAccessToken authorizes registrations (RFC 7591 3). Default: none is sent.
	InitialAccessToken string
	// SendStatement tells the AS the software statement too. Default: false, no AS
	// needs it: the metadata say what the gateway made of it.
	SendStatement bool
	// ClientIDHeader carries the client_id that the gateway chooses. Default: the AS chooses.
	ClientIDHeader string
	// TokenEndpointAuth is Auto, Native or Bridge. Default: Auto.
	TokenEndpointAuth string
	// BridgeMethod is ClientSecretBasic or ClientSecretPost, how the gateway
	// authenticates in bridge mode. Default: the first of them that the AS lists.
	BridgeMethod string
	// Keys are the software's, for an AS that is told them in place of where they are
	// (keys inline). Default: nil, it is told jwks_uri.
	Keys func(ctx context.Context, c *registry.Client) ([]verify.Key, error)
	// Supports are lists that stand for those of the AS's discovery document. Default:
	// none, the document counts.
	Supports map[string][]string
	// BindsTokens: the gateway binds access tokens to certificates where the AS does
	// not. Default: false.
	BindsTokens bool
	// ClientCertificate is how the AS is told of a client's certificate. Default: RFC 9440.
	ClientCertificate verify.CertificateHeader
	// Secrets are what Client sends with every request and no log may show. Default: none.
	Secrets []string
	// DNFormat is RFC4514, OpenSSL or Go. Default: RFC4514.
	DNFormat string
	// Validate is Introspection or JWT. Default: Introspection with a ClientID, else JWT. With
	// the default an AS without an introspection endpoint means JWT; where Introspection is
	// written, no token is accepted there (Unavailable).
	Validate string
	// IntrospectionEndpoint and RevocationEndpoint are those of an AS that does not name them
	// in its discovery document: a path, or a URL of the AS's own origin (ReadEndpoint). They
	// are asked in the place of those that it names, and are not published. Default: the
	// document counts.
	IntrospectionEndpoint, RevocationEndpoint string
	// TokenAudience are the values of which the aud of a JWT access token must hold one
	// (RFC 9068 4). Default: the issuer and RegistrationEndpoint.
	TokenAudience []string
	// RegistrationEndpoint is where clients register, as it is published for this issuer.
	// Default: nil, the issuer alone is the audience.
	RegistrationEndpoint func(issuer string) string
	// Supported is what registrations may ask for as far as the AS can do it. Required.
	Supported verify.SupportedMetadata
	// PassErrors tells TPPs the AS's own words about metadata that it refuses, cut and
	// without addresses. Default: false, they are told which metadata those words name.
	PassErrors bool
	// FairShareOff lets one organisation have all exchanges at once, and alone bring the
	// gateway to leave the AS in peace. Default: false, it has an eighth of them.
	FairShareOff bool
	// Documents keeps the discovery document, of this AS alone. Default: it is fetched before the first use.
	Documents Documents
	// KeptKeys keeps the AS's keys over restarts. Default: they are not kept.
	KeptKeys jwks.Keeper
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger. Default: none.
	Logger *slog.Logger
}

// Server is one AS. All methods may be called concurrently.
type Server struct {
	Options
	origin *url.URL
	log    *slog.Logger
	known  discovery
	// clients are exchanges about clients, tokens those about access tokens, and holding
	// those for strangers who present tokens elsewhere: they must keep nobody from
	// registering. reading are those of Read, of which the registry has a few at once.
	clients, tokens, holding, reading *family
	holders                           *holders
	// given are the endpoints that the operator names.
	given []Endpoint
	// introspectionOnly: it is written that the AS decides on access tokens.
	introspectionOnly bool
	shortcomings      shortcomings
}

// New checks the options. It does not use the network.
func New(o Options) (*Server, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" || u.Host == "" || u.User != nil:
		return nil, fmt.Errorf("%s: must be an https URL", u.Redacted())
	}
	if o.TokenEndpointAuth == "" {
		o.TokenEndpointAuth = Auto
	}
	if modes := []string{Auto, Native, Bridge}; !slices.Contains(modes, o.TokenEndpointAuth) {
		return nil, fmt.Errorf("token_endpoint_auth %q: must be one of %s", o.TokenEndpointAuth, strings.Join(modes, ", "))
	}
	if o.BridgeMethod != "" && !slices.Contains(bridgeMethods, o.BridgeMethod) {
		return nil, fmt.Errorf("token_endpoint_auth method %q: must be one of %s", o.BridgeMethod, strings.Join(bridgeMethods, ", "))
	}
	for name := range o.Supports {
		if !slices.Contains(supported, name) {
			return nil, fmt.Errorf("supports %q: must be one of %s", name, strings.Join(supported, ", "))
		}
	}
	if o.ClientCertificate.Form == "" {
		if o.ClientCertificate, err = verify.NewCertificateHeader(verify.FormRFC9440, ""); err != nil {
			return nil, err
		}
	}
	if o.DNFormat == "" {
		o.DNFormat = RFC4514
	}
	if formats := []string{RFC4514, OpenSSL, Go}; !slices.Contains(formats, o.DNFormat) {
		return nil, fmt.Errorf("dn_format %q: must be one of %s", o.DNFormat, strings.Join(formats, ", "))
	}
	given, err := o.readGiven()
	if err != nil {
		return nil, err
	}
	introspectionOnly := o.Validate == Introspection
	if err := o.readValidate(); err != nil {
		return nil, err
	}
	if strings.ContainsFunc(o.InitialAccessToken, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, errors.New("initial_access_token: it has a blank, a line end or another character that no token has")
	}
	if slices.Contains(o.TokenAudience, "") {
		return nil, errors.New("token_audience: an empty value is no audience")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Options: o, origin: &url.URL{Scheme: u.Scheme, Host: u.Host}, log: o.Logger, given: given, introspectionOnly: introspectionOnly}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.clients, s.tokens, s.holding = newFamily("registration", o.Now, s.log), newFamily("tokens", o.Now, s.log), newFamily("token holders", o.Now, s.log)
	s.reading = newFamily("reconciliation", o.Now, s.log)
	if s.holders, err = newHolders(); err != nil {
		return nil, err
	}
	return s, nil
}

// readValidate checks Validate, and sets its default.
func (o *Options) readValidate() error {
	switch o.Validate {
	case "":
		o.Validate = JWT
		if o.ClientID != "" {
			o.Validate = Introspection
		}
	case JWT:
	case Introspection:
		if o.ClientID == "" {
			return fmt.Errorf("validate %s: needs a client at the authorization server", Introspection)
		}
	default:
		return fmt.Errorf("validate %q: must be %s or %s", o.Validate, Introspection, JWT)
	}
	return nil
}

// Interface guard.
var _ registry.Provisioner = (*Server)(nil)
