// Package gateway is what happens to one HTTP request: registration, the guard of the
// authorization server's endpoints, and what is passed on. It knows nothing of the server
// that it runs in but Host.
//
// A request goes through it in this order: target.go makes one form of the request target,
// scrub.go removes forged headers, paths.go tells what the path is for, then serve.go,
// registration.go, guard.go or endpointchecks.go answers, or the next handler does.
package gateway

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-dcr/caddy-dcr/authserver"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/crl"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Options are what the gateway of one workspace is made of. Nothing of them changes while
// it serves.
type Options struct {
	// Workspace is the registry's part of it: name, AS, limits. Required.
	Workspace registry.Workspace
	// Server is the AS, ServerURL its address as configured, for texts. Required.
	Server    *authserver.Server
	ServerURL string
	// Stores hold the registry open. Required.
	Stores Stores
	// Headers are removed from every request. Required. All workspaces of a site share them.
	Headers *HeaderFilter
	// Host is the server that the gateway runs in. Required.
	Host Host
	// Cure is what can be done about the cause of a refusal, for the log; empty where nothing
	// is known. Default: nothing is said.
	Cure func(cause error) string
	// Log is the workspace's. Required.
	Log *slog.Logger
	// Now is the clock of all checks. Required.
	Now func() time.Time

	// RegisterPath is where clients register, IssuerPath the path of the AS's issuer, both in
	// normal form. MTLSOrigin is where clients connect with certificates, empty for the
	// issuer's origin.
	RegisterPath, IssuerPath, MTLSOrigin string

	// NeedsCertificate and NeedsToken are protections 1 and 2, NeedsEndpointCertificate that
	// every client of the registry presents a certificate where clients authenticate.
	NeedsCertificate, NeedsToken, NeedsEndpointCertificate bool
	// TokenLifetime is how long a registration token without iat is good at most.
	TokenLifetime time.Duration
	// Rules, Version, BindCertificate and Match are what registrations are checked against.
	Rules           verify.RequestRules
	Version         verify.Version
	BindCertificate []string
	Match           dn.Match
	// Trust is what client certificates of the site of a request are verified with. Required.
	Trust func(*http.Request) (*verify.TransportTrust, error)
	// ProxyCertificate takes client certificates from a load balancer, nil for none.
	ProxyCertificate *ProxyCertificate
	// CRLs hold client certificates against revocation lists, nil for none. With CRLStrict a
	// certificate of whose CA none is current is refused.
	CRLs      *crl.Set
	CRLStrict bool
	// Limits bound the requests of one TPP, nil for no bounds.
	Limits *RateLimits
	// Policies are the bank's own, each as it is to be asked now.
	Policies []func() *Policy
	// Explain keeps what was checked of refused requests.
	Explain bool

	// RegistrationClosed refuses new clients, ASRegistrationOpen passes the AS's own
	// registration endpoint on.
	RegistrationClosed, ASRegistrationOpen bool
	// Methods are those by which clients manage registrations; MethodNotAllowed answers the
	// others with 405.
	Methods          []string
	MethodNotAllowed bool
	// AnswerRequestClaims answers registrations with claims of the request, too.
	AnswerRequestClaims bool

	// CertificateHeader is how the AS is told of a client's certificate.
	CertificateHeader verify.CertificateHeader
	// SharedHeader goes with all that is sent to the AS; none without a name.
	SharedHeader SharedHeader
	// ClientIDHeader is removed from every request, empty for none.
	ClientIDHeader string
	// BindAccessTokens binds the tokens of clients to their certificates.
	BindAccessTokens bool
	// InlineKeys tells the AS the keys of a client's software again when they change.
	InlineKeys bool
	// IssuerAudienceOnly takes client assertions for the issuer alone.
	IssuerAudienceOnly bool
	// PassOtherBodies lets bodies pass that are no forms, of clients that the registry does not
	// know and that authenticate with Basic alone.
	PassOtherBodies bool
	// RefuseUnknown refuses client_ids that neither the registry nor KnownClient knows.
	RefuseUnknown bool
	KnownClient   func(clientID string) bool
}

// Policy is one of the bank's own rules for who is let in, and what becomes of its decisions.
type Policy struct {
	Name, Language string
	// On are the operations that it is asked about.
	On []string
	// Shadow: what it decides is only reported.
	Shadow bool
	// Text and Kind are those of a denial that has none of its own.
	Text string
	Kind refusal.Kind
	// Timeout is what one decision may take. Longer is a denial.
	Timeout time.Duration
	Policy  verify.Policy
}

// SharedHeader is a header with a secret that only the gateway and the AS know.
type SharedHeader struct{ Name, Value string }

// Stores holds the registry open.
type Stores interface {
	// Enter holds it open until Leave.
	Enter() (*registry.Registry, error)
	// EnterOpen is Enter where it is open anyway.
	EnterOpen() (*registry.Registry, bool)
	Leave()
}

// Host is the server that a gateway runs in.
type Host interface {
	// ClientIP is the address of the sender of a request, behind trusted proxies too; empty
	// where it is not known.
	ClientIP(*http.Request) string
	// FromTrustedProxy tells whether a request came on a connection of a trusted proxy.
	FromTrustedProxy(*http.Request) bool
	// Value and SetValue are of one request, for all workspaces of its site.
	Value(r *http.Request, name string) any
	SetValue(r *http.Request, name string, value any)
	// Again is a request that was passed on, and is to be passed on once more.
	Again(*http.Request) *http.Request
	// Failed tells whether the next handler has given up on a request without an answer. Then
	// the host answers it.
	Failed(*http.Request) bool
	// Emit tells whoever listens of an event.
	Emit(event string, data map[string]any)
	// LogsAccess tells whether there is an access log for a request, AddToAccessLog adds to it.
	LogsAccess(*http.Request) bool
	AddToAccessLog(*http.Request, []slog.Attr)
}

// Gateway answers what is the workspace's of requests, and passes the rest on.
type Gateway struct {
	options Options
	next    http.Handler
	log     *slog.Logger

	table     atomic.Pointer[table]
	renewals  singleflight.Group
	refreshed *lru.Cache[string, time.Time]
	cache     guardCache
	owners    owners
	unchecked uncheckedIssuers
}

// New serves what is the workspace's before next.
func New(o Options, next http.Handler) (*Gateway, error) {
	refreshed, err := newRefreshed()
	return &Gateway{options: o, next: next, log: o.Log, refreshed: refreshed}, err
}

// now is the clock of the gateway's checks.
func (g *Gateway) now() time.Time { return g.options.Now() }
