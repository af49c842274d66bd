package registry

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/dn"
)

// schema is written into every record; a record with a higher number was
// written by a newer version and is not touched.
const schema = 1

// schemaWithSecret is that of the record of a client with a secret of its own.
const schemaWithSecret = 2

// Status is where a client is in its life.
type Status string

const (
	// Pending is written before the AS is called. Not yet a client for anyone.
	Pending Status = "pending"
	// Active is a client that both systems of record know.
	Active Status = "active"
	// AwaitingApproval is one that both know too, and that may do nothing but manage its
	// registration until an operator has let it in (Approve). A version that does not know
	// this status takes the client for one that was deleted.
	AwaitingApproval Status = "awaiting_approval"
	// Deleting is a client that may do nothing any more; the AS has yet to forget it.
	Deleting Status = "deleting"
	// Deleted is what is left: the client_id, so that it is never taken for one
	// that the registry does not know. Never in a record.
	Deleted Status = "deleted"
)

// Client is one registration: everything that the guard and GET need. The
// software statement is not in it (see Registry.Document).
type Client struct {
	Schema int `json:"v"`
	// ID is the registration's own id (UUID v4), Workspace the workspace it belongs to.
	ID        string `json:"id"`
	Workspace string `json:"workspace"`
	Status    Status `json:"status"`
	// Unsettled: the client awaits approval, and the AS may hold other metadata than this
	// record: of a change that is under way, or whose end is not known.
	Unsettled bool `json:"unsettled,omitempty"`
	// Approved: what this record says was let in before. The client waits for the end of
	// Unsettled alone, and is active then.
	Approved bool `json:"approved,omitempty"`
	// Counted: the software's record counts it while it is pending. A version that did
	// not count has left it out. Of an active client nothing: each of them is counted.
	Counted bool `json:"counted,omitempty"`
	// ClientID is the AS's. Empty while pending, unless the gateway chooses it.
	ClientID string `json:"client_id,omitempty"`
	// SoftwareID, OrgID, ClientName and Directory (its iss) come from the software statement.
	SoftwareID string `json:"software_id"`
	OrgID      string `json:"org_id"`
	ClientName string `json:"client_name"`
	Directory  string `json:"directory"`
	// IssuedAt and UpdatedAt are seconds since 1970.
	IssuedAt  int64 `json:"issued_at"`
	UpdatedAt int64 `json:"updated_at,omitempty"`
	// Metadata is what it is registered with.
	Metadata verify.Metadata `json:"metadata"`
	// MetadataDigest names what the last accepted request asked for, before the AS narrowed it.
	MetadataDigest string `json:"asked,omitempty"`
	// Subject is the DER of the DN that may use and manage it: with tls_client_auth
	// the one that authenticates it, otherwise that of the certificate that
	// registered it. Empty where no such certificate was seen: then the DN's text counts.
	Subject []byte `json:"subject,omitempty"`
	// SubjectFrom is the NotBefore of the certificate that has this DN, seconds since
	// 1970; 0 when none was seen.
	SubjectFrom int64 `json:"subject_from,omitempty"`
	// Thumbprint is x5t#S256 of the certificate that registered it. Empty when none was demanded.
	Thumbprint string `json:"thumbprint,omitempty"`
	// CertificateExpires is the NotAfter of that certificate, StatementExpires the exp of the
	// software statement, seconds since 1970. 0 where there is none, and for a client that was
	// last changed by a version that did not keep them.
	CertificateExpires int64 `json:"certificate_expires,omitempty"`
	StatementExpires   int64 `json:"statement_expires,omitempty"`
	// JWKSURI is the statement's software_jwks_endpoint; ClientURI, LogoURI,
	// PolicyURI and TOSURI its other software_* addresses.
	JWKSURI string `json:"jwks_uri,omitempty"`
	// Keys names the set of the software's keys that the AS was told; empty where it
	// fetches them itself.
	Keys string `json:"keys,omitempty"`
	// RevokedJWKSURI is its software_jwks_revoked_endpoint.
	RevokedJWKSURI string `json:"revoked_jwks_uri,omitempty"`
	ClientURI      string `json:"client_uri,omitempty"`
	LogoURI        string `json:"logo_uri,omitempty"`
	PolicyURI      string `json:"policy_uri,omitempty"`
	TOSURI         string `json:"tos_uri,omitempty"`
	// Document names the stored request. Empty for a client that was imported without one, until
	// its first update.
	Document string `json:"document"`
	// ChangeUntil is the end of the lease of a change under way, seconds since
	// 1970; 0 when there is none. Change is who has reserved it.
	Change      string `json:"change,omitempty"`
	ChangeUntil int64  `json:"change_until,omitempty"`
	// Unconfirmed: the AS may hold other metadata than this record, since a change is under way,
	// or has begun and its end is not known. It ends when the AS has what the record says.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// AccessTokens are the gateway's own, the newest first, at most two.
	AccessTokens []accessToken `json:"access_tokens,omitempty"`
	// Secret is the client's own, with which it authenticates here; nil for a client that
	// has none.
	Secret *clientSecret `json:"client_secret,omitempty"`
	// Bridge is the token_endpoint_auth_method by which the gateway is this client at
	// the AS, after the client has authenticated here. Empty: native, the client
	// authenticates at the AS itself. Always that of the Credentials.
	Bridge string `json:"bridge,omitempty"`
	// Sealed are the Credentials, encrypted.
	Sealed []byte `json:"sealed,omitempty"`

	// NewAccessToken is the registration access token that Register or Update has given
	// the client, to be told once. Empty when it has none or keeps the one it has.
	NewAccessToken string `json:"-"`
	// NewSecret is the Secret that Register or Update has given the client, to be told once.
	// Empty when it has none or keeps the one it has.
	NewSecret string `json:"-"`
	// Repeated: the registration was there before. Only in what Registry.Register returns.
	Repeated bool `json:"-"`
	// AskedApproval is why it has begun to await approval. Only in what Registry.Register and
	// Update return where it has.
	AskedApproval []ApprovalReason `json:"-"`
	// Suspended: the operator has suspended it, its software, its organisation or its directory.
	// Only in what Registry.Client and Lookup return.
	Suspended bool `json:"-"`
	// Use is when it was last used, nil where that is not known. Only in what Search and
	// Details return.
	Use *Use `json:"-"`
	// SoftwareStatement is the statement as received, nil when none was demanded.
	// Only in the copy that a Provisioner gets.
	SoftwareStatement []byte `json:"-"`
	// Credentials are what the AS gave the gateway for this client. Only in the
	// copy that a Provisioner gets.
	Credentials Credentials `json:"-"`
}

// Credentials let the gateway manage one client at the AS. They never leave
// the gateway and are stored encrypted.
type Credentials struct {
	// RegistrationAccessToken is the bearer token of RFC 7592.
	RegistrationAccessToken string `json:"registration_access_token,omitempty"`
	// RegistrationPath is path and query of registration_client_uri; its origin is never used.
	RegistrationPath string `json:"registration_path,omitempty"`
	// Bridge is Client.Bridge, and ClientSecret what the gateway authenticates with.
	// Both are empty for a client that authenticates at the AS itself.
	Bridge       string `json:"bridge,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

// TokenEndpointAuth is native or bridge.
func (c *Client) TokenEndpointAuth() string {
	if c.Bridge != "" {
		return "bridge"
	}
	return "native"
}

// Organisation names those who share what one TPP may have at once: the organisation in
// the directory or, where no statement tells that, whoever has the certificate. Empty
// where neither is known.
func (c *Client) Organisation() string {
	switch {
	case c.OrgID != "":
		return key("organisation", c.Directory, c.OrgID)
	case c.Thumbprint != "":
		return key("certificate", c.Thumbprint)
	}
	return ""
}

// organisation is that of the client that the request is for.
func (in Registration) organisation() string {
	c := &Client{}
	if s := in.Request.Statement; s != nil && !s.None {
		c.Directory, c.OrgID = s.Issuer.Name, s.OrgID
	}
	if in.Certificate != nil {
		c.Thumbprint = in.Certificate.Thumbprint
	}
	return c.Organisation()
}

// tagged are the keys whose state the entity tag of a client names.
func (c *Client) tagged() []string { return append([]string{clientKey(c)}, c.suspensionKeys()...) }

// DN is Subject or, without it, the registered text; nil when there is neither.
func (c *Client) DN() (dn.Name, error) {
	if len(c.Subject) > 0 {
		return dn.ParseSubject(c.Subject)
	}
	if c.Metadata.TLSClientAuthSubjectDN == "" {
		return nil, nil
	}
	return dn.Parse(c.Metadata.TLSClientAuthSubjectDN)
}

// changing tells whether a change has reserved the client.
func (c *Client) changing(now time.Time) bool {
	return c.Change != "" && now.Unix() < c.ChangeUntil
}

func readClient(data []byte) (*Client, error) {
	var c Client
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("registry: unreadable client record: %w", err)
	}
	if c.Schema > schemaWithSecret {
		return nil, fmt.Errorf("registry: client record of schema %d, this version knows %d: run the newer version", c.Schema, schemaWithSecret)
	}
	return &c, nil
}
