package registry

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

var (
	// ErrLost is in the chain of a Provisioner's error when the request may have
	// been carried out: the answer was lost, cut, or made no sense.
	ErrLost = errors.New("the authorization server's answer was lost")

	// ErrNoRegistration is in the chain of an error of Create, beside ErrLost, when the AS has
	// answered that it has made a client, and not which.
	ErrNoRegistration = errors.New("the authorization server's answer names no client")

	// ErrTakenBack is in the chain of an error of Create when the AS made a client in another
	// way than it was asked to, or with an answer that cannot be used, and that client was
	// deleted again.
	ErrTakenBack = errors.New("the authorization server's new client was deleted again")

	// ErrDetached is in the chain of an error of Update and Delete when the AS
	// does not take the stored registration access token: it was rotated in an
	// answer that was lost, or the client is gone (RFC 7592 2.1 answers both with 401).
	ErrDetached = errors.New("the authorization server does not take the registration access token")
)

var (
	// ErrMissing is in the chain of an error of Read when the AS has no such client.
	ErrMissing = errors.New("the authorization server does not know this client")

	// ErrUnreadable is in the chain of an error of Read when the AS has answered, and the
	// answer says nothing of the client.
	ErrUnreadable = errors.New("the authorization server's answer cannot be read")

	// ErrNotAsked is in the chain of an error of Read when the gateway has not asked, because
	// the AS is known to be down or too much waits for it.
	ErrNotAsked = errors.New("the authorization server was not asked")
)

// Comparison is what the AS has of a client against what it is to have.
type Comparison struct {
	// Differences are the members of the client metadata (RFC 7591 2) that differ. Members
	// that the AS has added are none.
	Differences []Difference
	// Credentials are the newest: an AS may rotate them with each answer (RFC 7592 2.1).
	Credentials Credentials
}

// Difference is one member that the AS has otherwise than the registry. A list is its JSON
// text; what is not there is empty.
type Difference struct {
	Member string `json:"member"`
	Here   string `json:"here"`
	There  string `json:"there"`
}

// Provisioner makes clients known to one AS. Its calls are bounded in time by
// ctx and by an own limit.
//
// Errors: an *refusal.Error of kind InvalidClientMetadata when the AS refused the
// metadata, of kind Unavailable when the AS certainly did nothing; ErrLost when
// that is not known; ErrDetached.
type Provisioner interface {
	// ChoosesClientID tells whether a new client's ClientID is the gateway's
	// choice. Then Create may be repeated: it gives the same client and new credentials.
	ChoosesClientID() bool
	// Create registers c, with c.ClientID when the gateway chooses. A client that the
	// AS made in another way than it was asked to, and still has, is returned beside the error.
	Create(ctx context.Context, c *Client) (*Provisioned, error)
	// Update replaces the metadata of c.ClientID, with c.Credentials. Credentials that
	// the AS rotated before it failed are returned beside the error.
	Update(ctx context.Context, c *Client) (*Provisioned, error)
	// Read compares what the AS has of c.ClientID with what Update would tell it, with
	// c.Credentials (RFC 7592 2.1). Credentials that the AS rotated before it failed are
	// returned beside the error.
	//
	// Errors: ErrMissing, ErrDetached, ErrUnreadable; Unavailable, with ErrNotAsked where
	// nothing was sent.
	Read(ctx context.Context, c *Client) (*Comparison, error)
	// IsOwn tells whether a client_id is one of the gateway's own clients at the AS.
	IsOwn(clientID string) bool
	// Delete ends c.ClientID at the AS, with c.Credentials. A client that is
	// certainly not there is no error.
	Delete(ctx context.Context, c *Client) error
	// Answers tells whether it is the AS that answers now. What stands in its place, a
	// load balancer without it, may answer 401 or 404 as it does for a client that is gone.
	//
	// Errors: Unavailable.
	Answers(ctx context.Context) error
	// Revokes tells whether there is a client to ask Revoke as. Without one nothing
	// is left for the outbox.
	Revokes(v Revocation) bool
	// Revoke ends an access token at the AS (RFC 7009). An AS that refuses for good
	// gives an *refusal.Error of kind AccessDenied.
	Revoke(ctx context.Context, v Revocation) error
}

// Revocation is an access token that is to end at the AS, and as whom: an AS may
// let nobody but its client revoke a token (RFC 7009 2.1).
type Revocation struct {
	Token string
	// Registration tells a dcr_register token from a management token.
	Registration bool
	// ClientID and Certificate (DER) are the client that presented a management
	// token, or ClientID and Bridge with ClientSecret (Credentials) the client in
	// bridge mode that it belongs to. Empty where neither can be had: then the gateway
	// revokes as itself.
	ClientID             string
	Certificate          []byte
	Bridge, ClientSecret string
	// Organisation is whose token it is, as Client.Organisation; empty where nobody knows.
	Organisation string
}

// Provisioned is what the AS made of a client.
type Provisioned struct {
	// ClientID is the client's, the AS's word.
	ClientID string
	// Metadata is c's, without the scopes, grants and redirect URIs that the AS left out
	// (RFC 7591 3.2.1). What it added is ignored.
	Metadata verify.Metadata
	// Credentials are the newest: an answer may rotate them.
	Credentials Credentials
	// Keys is Client.Keys.
	Keys string
}

// Workspace is one AS issuer with its own clients.
type Workspace struct {
	// Name is the directive's argument, "default/obuk".
	Name        string
	Provisioner Provisioner
	// Reregister is what a POST does that repeats one. Default: another client.
	Reregister Reregister
	// FairShareOff lets one organisation have all registrations that may be at work at
	// once, and all workers of the outbox. Default: false, it has an eighth of each.
	FairShareOff bool
	// AccessTokens are the gateway's own registration access tokens. Default: none.
	AccessTokens *AccessTokens
	// Approval is what an operator must approve before a client may do anything, one of the
	// ApprovalModes. Default: only what policies demand.
	Approval string
	// AuditRetention is how long its changes are kept in the audit trail. Default:
	// DefaultAuditRetention.
	AuditRetention time.Duration
	// StatementRollback accepts a software statement that is older than the newest one
	// that its software has used. Default: false.
	StatementRollback bool
	// ClientsPerSoftware is how many clients one software of a directory may have that are
	// pending or active. Default: 0, no limit.
	ClientsPerSoftware int
	// BytesPerOrganisation is what registrations and updates of one organisation may write
	// in a day (UTC). Default: 0, no limit.
	BytesPerOrganisation int64
	// Trust looks again, once a day, at what clients are trusted for. Default: nil, nobody does.
	Trust TrustChecker
	// SuspendLostTrust suspends clients whose key or certificate was revoked, few in a day.
	// Default: false, they are reported.
	SuspendLostTrust bool
	// Retire is what becomes of clients that nobody uses. Default: nothing.
	Retire Retire
}
