// Package clientfile is the file format in which clients are exported and imported: one JSON
// object on a line (JSON Lines). docs/client-file.schema.json describes it.
//
//	the header    {"format":"openbanking_dcr_clients","version":1,...}
//	a client      {"client_id":"...","software_id":"...","metadata":{...},...}, on each further line
//	the end       {"end":{"clients":2,"sha256":"..."}}
//
// A file whose header has a count must have the end, which has the hash of all bytes before
// it: one that was cut off, or changed, is told from a whole one. A file that somebody wrote by
// hand, or with a script, may leave out both. Nothing of a file is trusted for having the end:
// whoever changes a file can write another one.
package clientfile

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

const (
	// Format is what every header says, Version the version of what this package writes.
	Format  = "openbanking_dcr_clients"
	Version = 1
)

// Bounds of a file. The first two are in bytes.
const (
	MaxFile    = 1 << 30
	MaxLine    = 256 << 10
	MaxClients = 250_000
)

// Header is the first line.
type Header struct {
	// Format and Version are those of above. Required.
	Format  string `json:"format"`
	Version int    `json:"version"`
	// Time is when the clients were as the file has them. Default: not known.
	Time time.Time `json:"time,omitzero"`
	// Workspaces are those that were exported. Default: not known.
	Workspaces []string `json:"workspaces,omitempty"`
	// Count is how many clients there are. With it the file must have its end. Default: nil.
	Count *int `json:"count,omitempty"`
	// Sealed: the lines have secrets, encrypted with one of the keys KeysetIDs of a keyset.
	Sealed    bool     `json:"sealed,omitempty"`
	KeysetIDs []uint32 `json:"keyset_ids,omitempty"`
}

// Client is one line. What is not said to be required may be left out.
type Client struct {
	// ClientID is the AS's. Required.
	ClientID string `json:"client_id"`
	// Workspace is the one that the client belongs to. Default: the import says which.
	Workspace string `json:"workspace,omitempty"`
	// Status is active, the only one that is exported. Default: active.
	Status string `json:"status,omitempty"`
	// Suspended: the client may do nothing. An import suspends it.
	Suspended bool `json:"suspended,omitempty"`
	// SoftwareID, OrgID and Directory (the iss of the software statement) are required. OrgID
	// and Directory are empty where the workspace demands no software statement.
	SoftwareID string `json:"software_id"`
	OrgID      string `json:"org_id"`
	Directory  string `json:"directory"`
	ClientName string `json:"client_name,omitempty"`
	// IssuedAt is when it was registered, UpdatedAt when it was last changed, seconds since
	// 1970. Default: the time of the import; never.
	IssuedAt  int64 `json:"issued_at,omitempty"`
	UpdatedAt int64 `json:"updated_at,omitempty"`
	// Metadata is what it is registered with. Required, with token_endpoint_auth_method.
	Metadata verify.Metadata `json:"metadata"`
	// MetadataDigest, Keys, RevokedJWKSURI and the rest up to TOSURI are as the gateway has
	// them: an export has them. JWKSURI is the software's jwks_uri.
	MetadataDigest string `json:"asked,omitempty"`
	Keys           string `json:"keys,omitempty"`
	JWKSURI        string `json:"jwks_uri,omitempty"`
	RevokedJWKSURI string `json:"revoked_jwks_uri,omitempty"`
	ClientURI      string `json:"client_uri,omitempty"`
	LogoURI        string `json:"logo_uri,omitempty"`
	PolicyURI      string `json:"policy_uri,omitempty"`
	TOSURI         string `json:"tos_uri,omitempty"`
	// Certificate is the client's transport certificate, PEM; X5C the same as in a JWK (RFC
	// 7517 4.7), of which the first one counts. One of them, or the four below, says whose
	// certificate manages the client.
	Certificate string   `json:"certificate,omitempty"`
	X5C         []string `json:"x5c,omitempty"`
	// Subject is the DER of the DN, SubjectFrom the NotBefore of the certificate that has it,
	// Thumbprint x5t#S256 of the certificate that registered, CertificateExpires its NotAfter.
	Subject            []byte `json:"subject,omitempty"`
	SubjectFrom        int64  `json:"subject_from,omitempty"`
	Thumbprint         string `json:"thumbprint,omitempty"`
	CertificateExpires int64  `json:"certificate_expires,omitempty"`
	StatementExpires   int64  `json:"statement_expires,omitempty"`
	// SignedRequest is the registration request as received, SoftwareStatement the statement
	// where there is no request.
	SignedRequest     string `json:"signed_request,omitempty"`
	SoftwareStatement string `json:"software_statement,omitempty"`
	// Bridge is the token_endpoint_auth_method by which the gateway is the client at the AS
	// (bridge mode). Default: the client authenticates at the AS itself, unless it has a secret.
	Bridge string `json:"bridge,omitempty"`
	// Sealed are the secrets of an exported client, encrypted.
	Sealed []byte `json:"sealed,omitempty"`
	// RegistrationAccessToken and RegistrationClientURI (RFC 7592 3) are what the AS has given
	// for the client, ClientSecret is its secret there. They are read, and never written.
	RegistrationAccessToken string `json:"registration_access_token,omitempty"`
	RegistrationClientURI   string `json:"registration_client_uri,omitempty"`
	ClientSecret            string `json:"client_secret,omitempty"`
}

// end is the last line.
type end struct {
	Clients int    `json:"clients"`
	SHA256  string `json:"sha256"`
}

// LineError is what is wrong with one line. The lines after it can be read.
type LineError struct {
	// Line counts from 1.
	Line int
	// ClientID is the line's, empty where it could not be read.
	ClientID string
	Err      error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

var (
	// ErrNoClients is a file that does not begin as one of clients does.
	ErrNoClients = errors.New("this is not a file of clients")
	// ErrNewer is a file of a version that this program does not know.
	ErrNewer = errors.New("the file was made by a newer version: run that version, or a later one")
	// ErrTooLarge is a file that is beyond the bounds.
	ErrTooLarge = errors.New("the file is too large")
	// ErrCutOff is a file that is not whole, or was changed.
	ErrCutOff = errors.New("the file was cut off, or changed")
)
