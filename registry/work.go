package registry

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// The kinds of work that is left for the AS.
const (
	workRevoke  = "revoke"  // end an access token
	workUndo    = "undo"    // end a registration that was cut off while pending
	workDelete  = "delete"  // end a client that the registry has ended
	workRestore = "restore" // tell the AS what a client is registered with
)

// work is one entry of the outbox. It is retried with growing pauses until it is
// done or finally refused.
type work struct {
	key string

	Schema       int    `json:"v"`
	Kind         string `json:"kind"`
	Workspace    string `json:"workspace"`
	Registration string `json:"registration,omitempty"`
	// Org is whose work it is (Client.Organisation); empty where nobody knows, and in
	// entries of earlier versions.
	Org string `json:"org,omitempty"`
	// Holds are the reservations of an undo.
	Holds []string `json:"holds,omitempty"`
	// ID is the entry's own, and the change that a restoration follows.
	ID string `json:"id,omitempty"`
	// Token (sealed) is to be revoked, before anything else that the entry asks for.
	// The next four are those of Revocation. Until is when the token ends, seconds
	// since 1970, 0 for never.
	Token          []byte `json:"token,omitempty"`
	IsRegistration bool   `json:"is_registration,omitempty"`
	ClientID       string `json:"client_id,omitempty"`
	Certificate    []byte `json:"certificate,omitempty"`
	Bridge         string `json:"bridge,omitempty"`
	Until          int64  `json:"until,omitempty"`

	// Since is when the entry was made, Tried the last attempt, seconds since 1970.
	Since     int64  `json:"since,omitempty"`
	Tried     int64  `json:"tried,omitempty"`
	Attempts  int    `json:"attempts,omitempty"`
	LastError string `json:"last_error,omitempty"`
	// Unnamed is how many of the attempts had an answer that names no client.
	Unnamed int `json:"unnamed,omitempty"`
}

// put is for a nil entry too.
func (k *work) put(w Writer) error {
	if k == nil {
		return nil
	}
	k.Schema = schema
	return putRecord(w, k.key, k)
}

// newWork makes an entry that is due at once.
func (r *Registry) newWork(kind, workspace string) *work {
	id, now := uuid.NewString(), r.now()
	return &work{key: outboxKey(now, id), Kind: kind, Workspace: workspace, ID: id, Since: now.Unix()}
}

// final tells whether trying again is of no use: the AS refuses a revocation (RFC
// 7009 2.1 lets it refuse foreign tokens) or its own client's metadata for good,
// has no such client, or the token has ended by itself.
func (k *work) final(err error, now time.Time) bool {
	if k.Kind != workRevoke && k.Kind != workRestore {
		return false
	}
	return k.refused(err) || errors.Is(err, ErrDetached) || k.ended(now)
}

// refused tells whether the AS has said no for good.
func (*work) refused(err error) bool {
	var refused *refusal.Error
	return errors.As(err, &refused) && refused.Kind != refusal.Unavailable
}

// ended tells whether the entry's token has ended by itself.
func (k *work) ended(now time.Time) bool { return k.Until != 0 && now.Unix() >= k.Until }

// errorText is an error for the log and for operators.
func errorText(err error) string { return refusal.From(err).Error() }
