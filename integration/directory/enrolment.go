package directory

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// Enrolment is what a third-party provider tells the directory about a piece of
// software. Everything has a default.
type Enrolment struct {
	// OrgName is the organisation. Default: Acme Ltd.
	OrgName string
	// OrgID is its id. Default: 18 random base62 characters.
	OrgID string
	// OrganizationIdentifier is in the certificate's subject. Default: PSDGB-FCA-123456.
	OrganizationIdentifier string
	// SoftwareID is the software's id, base62. Default: 22 random characters.
	SoftwareID string
	// SoftwareName is what a customer reads. Default: Acme Accounts.
	SoftwareName string
	// Roles are the software's. Default: AISP and PISP.
	Roles []string
	// RedirectURIs of the software. Default: https://tpp.example/callback.
	RedirectURIs []string
	// TransportKey is the type of key in the transport certificate. Default: RSA2048.
	TransportKey KeyType
	// SigningAlgorithm is PS256 or ES256. Default: PS256.
	SigningAlgorithm jose.SignatureAlgorithm
	// WithoutAlg publishes signing keys without alg, as the Open Banking directory does.
	// Default: false.
	WithoutAlg bool
}

// Software is enrolled software with its first keys. Its fields do not change;
// its methods may be used at once.
type Software struct {
	Enrolment // with the defaults filled in
	// Signing signs registration requests and client assertions.
	Signing Key
	// Transport is the client certificate with its issuing CA.
	Transport tls.Certificate

	directory *Directory
	mu        sync.Mutex
	published []jose.JSONWebKey
	revoked   []jose.JSONWebKey
}

// Enrol makes keys and a transport certificate for new software and publishes
// them. A software id is enrolled once.
func (d *Directory) Enrol(enrolment Enrolment) (*Software, error) {
	e := enrolment
	e.OrgName = cmp.Or(e.OrgName, "Acme Ltd")
	e.OrgID = cmp.Or(e.OrgID, rand.Text()[:18])
	e.OrganizationIdentifier = cmp.Or(e.OrganizationIdentifier, "PSDGB-FCA-123456")
	e.SoftwareID = cmp.Or(e.SoftwareID, rand.Text()[:22])
	e.SoftwareName = cmp.Or(e.SoftwareName, "Acme Accounts")
	e.SigningAlgorithm = cmp.Or(e.SigningAlgorithm, jose.PS256)
	if e.Roles == nil {
		e.Roles = []string{"AISP", "PISP"}
	}
	if e.RedirectURIs == nil {
		e.RedirectURIs = []string{"https://tpp.example/callback"}
	}
	if err := e.checkIDs(); err != nil {
		return nil, err
	}
	s := &Software{Enrolment: e, directory: d}
	var err error
	if s.Signing, err = s.AddSigningKey(e.SigningAlgorithm); err != nil {
		return nil, fmt.Errorf("enrol %s: %w", e.SoftwareID, err)
	}
	if s.Transport, err = s.IssueTransport(TransportOptions{Key: e.TransportKey}); err != nil {
		return nil, fmt.Errorf("enrol %s: %w", e.SoftwareID, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, other := range d.software {
		if other.SoftwareID == s.SoftwareID {
			return nil, fmt.Errorf("enrol %s: it is enrolled already", s.SoftwareID)
		}
	}
	d.software = append(d.software, s)
	return s, nil
}

// checkIDs: ids become paths of URLs and names of files.
func (e *Enrolment) checkIDs() error {
	for _, id := range []string{e.OrgID, e.SoftwareID} {
		for _, r := range id {
			switch {
			case '0' <= r && r <= '9', 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', r == '-':
			default:
				return fmt.Errorf("enrol: id %q has a character that is neither base62 nor a hyphen", id)
			}
		}
	}
	return nil
}

// AddSigningKey makes and publishes one more signing key (PS256 or ES256).
func (s *Software) AddSigningKey(algorithm jose.SignatureAlgorithm) (Key, error) {
	key, err := newKey(algorithm, s.directory.keyring.key)
	if err != nil {
		return Key{}, err
	}
	jwk, err := key.JWK()
	if err != nil {
		return Key{}, err
	}
	if s.WithoutAlg {
		jwk.Algorithm = ""
	}
	s.publish(jwk)
	return key, nil
}

// PublishTransport puts a certificate into the software's JWKS as one for TLS,
// whoever has issued it: what a directory must not do, and a gateway not believe.
func (s *Software) PublishTransport(certificate tls.Certificate) error {
	jwk, err := transportJWK(certificate)
	if err != nil {
		return err
	}
	s.publish(jwk)
	return nil
}

func (s *Software) publish(jwk jose.JSONWebKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = append(s.published, jwk)
}

// Withdraw takes a key out of the software's JWKS, of a transport certificate too.
func (s *Software) Withdraw(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = slices.DeleteFunc(s.published, func(k jose.JSONWebKey) bool { return k.KeyID == kid })
}

// Revoke lists a published key among the software's revoked ones. It stays
// published, as while caches still have it; Withdraw takes it out.
func (s *Software) Revoke(kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.published {
		if k.KeyID == kid {
			s.revoked = append(s.revoked, k)
		}
	}
}

// RevokedJWKS is what the directory publishes as revoked.
func (s *Software) RevokedJWKS() jose.JSONWebKeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return jose.JSONWebKeySet{Keys: append([]jose.JSONWebKey{}, s.revoked...)}
}

// JWKS is what the directory publishes for the software at this moment.
func (s *Software) JWKS() jose.JSONWebKeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return jose.JSONWebKeySet{Keys: slices.Clone(s.published)}
}

// JWKSEndpoint is the URL of JWKS, software_jwks_endpoint in the statement.
func (s *Software) JWKSEndpoint() string {
	return s.directory.URL + s.path("")
}

// path of a JWKS; folder is "" or "revoked/".
func (s *Software) path(folder string) string {
	return "/" + s.OrgID + "/" + folder + s.SoftwareID + ".jwks"
}

func (s *Software) orgPath(folder string) string {
	return "/" + s.OrgID + "/" + folder + s.OrgID + ".jwks"
}
