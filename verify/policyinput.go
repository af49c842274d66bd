package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/dn"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// The operations that a policy is asked about.
const (
	OperationCreate = "create" // POST
	OperationRead   = "read"   // GET
	OperationUpdate = "update" // PUT
	OperationDelete = "delete" // DELETE
)

// Operations are all of them.
var Operations = []string{OperationCreate, OperationRead, OperationUpdate, OperationDelete}

// PolicyInput is everything that a policy may look at, after all other checks have passed.
// Its JSON is what a policy in Rego sees as input, its names are those of a policy in CEL.
type PolicyInput struct {
	// Operation is one of Operations.
	Operation string `json:"operation"`
	// Workspace is the name of the workspace.
	Workspace string `json:"workspace"`
	// Remote is the IP address that the request came from, as Caddy has it (its
	// trusted_proxies count).
	Remote string `json:"remote"`
	// Now is when the request is decided.
	Now time.Time `json:"now"`
	// Request are the claims of the registration request; on read and delete none.
	Request strictjson.Object `json:"request"`
	// SSA are the claims of the software statement, on read and delete of the one that
	// the client was registered with. None where no statement is demanded.
	SSA strictjson.Object `json:"ssa"`
	// Registration is what the request asks for after all rules, defaults included; on
	// read and delete nil.
	Registration *Metadata `json:"registration"`
	// Certificate is the transport certificate, nil where that protection is off and
	// none was presented.
	Certificate *PolicyCertificate `json:"certificate"`
	// Token is the registration or management token, nil where none was demanded.
	Token *PolicyToken `json:"token"`
	// Client is the stored registration; on create nil.
	Client *PolicyClient `json:"client"`
	// Software is what is registered of the software already.
	Software *PolicySoftware `json:"software"`

	// CertificateFault is why Certificate cannot be read: policies that read it deny.
	CertificateFault error `json:"-"`
}

// PolicyCertificate is a transport certificate as policies see it.
type PolicyCertificate struct {
	// Subject and Issuer are DNs as RFC 4514 text, with short names.
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	// CommonName and OrganizationIdentifier are of the subject; empty where it has
	// none, or several.
	CommonName             string `json:"common_name"`
	OrganizationIdentifier string `json:"organization_identifier"`
	// Serial is the serial number, lower-case hexadecimal.
	Serial string `json:"serial"`
	// Thumbprint is x5t#S256 (RFC 8705 3.1).
	Thumbprint string `json:"thumbprint"`
	// CASPKI are the SHA-256 digests of the public keys (SubjectPublicKeyInfo) of the
	// CAs in the verified chain, base64, the issuing one first.
	CASPKI []string `json:"ca_spki"`
	// PSD2Roles are PSP_AS, PSP_PI, PSP_AI and PSP_IC; none where it is no PSD2
	// certificate (ETSI TS 119 495 5.1).
	PSD2Roles []string `json:"psd2_roles"`
	// NCAName and NCAID are the competent authority, like GB-FCA.
	NCAName string `json:"nca_name"`
	NCAID   string `json:"nca_id"`
	// QWAC: a qualified certificate for website authentication (ETSI EN 319 412-5).
	QWAC bool `json:"qwac"`
	// NotBefore and NotAfter are its validity.
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

// PolicyToken is an access token as policies see it, never the token itself.
type PolicyToken struct {
	// ClientID is the client that it belongs to.
	ClientID string `json:"client_id"`
	// Scopes are the tokens of its scope.
	Scopes []string `json:"scopes"`
	// Claims are those of the introspection answer (RFC 7662) or of the JWT.
	Claims strictjson.Object `json:"claims"`
}

// PolicyClient is a stored registration as policies see it.
type PolicyClient struct {
	ClientID   string `json:"client_id"`
	SoftwareID string `json:"software_id"`
	OrgID      string `json:"org_id"`
	ClientName string `json:"client_name"`
	// Directory is the issuer of its software statement.
	Directory string `json:"directory"`
	// IssuedAt and UpdatedAt are when it was registered, and last changed.
	IssuedAt  time.Time `json:"issued_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// Thumbprint is x5t#S256 of the certificate that registered it.
	Thumbprint string `json:"thumbprint"`
	// Metadata is what it is registered with.
	Metadata *Metadata `json:"metadata"`
}

// PolicySoftware is a software's other registrations as policies see them.
type PolicySoftware struct {
	// Clients is how many clients of the workspace it has, those being made now
	// included; not the one that the request is about, or repeats. At most 100.
	Clients int64 `json:"clients"`
}

// ForPolicy is the certificate as policies see it. It is read once.
//
// Errors: of statements that cannot be read, see QCStatements.
func (c *Certificate) ForPolicy() (*PolicyCertificate, error) {
	c.policy.Do(func() { c.forPolicy, c.policyFault = c.readForPolicy() })
	return c.forPolicy, c.policyFault
}

func (c *Certificate) readForPolicy() (*PolicyCertificate, error) {
	issuer, err := dn.ParseSubject(c.Leaf.RawIssuer)
	if err != nil {
		return nil, fmt.Errorf("the certificate's issuer: %w", err)
	}
	q, err := c.QCStatements()
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	p := &PolicyCertificate{
		Subject: c.Subject.String(), Issuer: issuer.String(), Serial: hex.EncodeToString(c.Leaf.SerialNumber.Bytes()),
		Thumbprint: c.Thumbprint, QWAC: q.QWAC(), NotBefore: c.Leaf.NotBefore.UTC(), NotAfter: c.Leaf.NotAfter.UTC(),
		PSD2Roles: []string{}, CASPKI: []string{},
	}
	if p.CommonName, err = c.Subject.Single("2.5.4.3", "CN"); err != nil {
		p.CommonName = ""
	}
	if p.OrganizationIdentifier, err = c.OrganizationIdentifier(); err != nil {
		p.OrganizationIdentifier = ""
	}
	if q.PSD2 != nil {
		p.PSD2Roles, p.NCAName, p.NCAID = append(p.PSD2Roles, q.PSD2.Roles...), q.PSD2.NCAName, q.PSD2.NCAID
	}
	for _, ca := range c.Authorities {
		p.CASPKI = append(p.CASPKI, SPKIDigest(ca))
	}
	return p, nil
}

// SPKIDigest is the SHA-256 of a certificate's SubjectPublicKeyInfo, base64, by which
// CAs are pinned (RFC 7469 2.4).
func SPKIDigest(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// ForPolicy is the token as policies see it; nil for nil.
func (t *AccessToken) ForPolicy() *PolicyToken {
	if t == nil {
		return nil
	}
	return &PolicyToken{ClientID: t.ClientID, Scopes: t.Scopes, Claims: t.Claims}
}
