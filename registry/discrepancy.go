package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// The kinds of Discrepancy.
const (
	// AnswerLost: the AS may hold a client that nobody knows. Plain RFC 7591 has no
	// way to find it; where the gateway chooses client_ids there is none of these.
	AnswerLost = "answer_lost"
	// NotDeleted: the AS does not take the registration access token of a client that
	// was deleted here. It may still hold it; it may also have lost it before.
	NotDeleted = "not_deleted"
	// Detached: the same of a client that is active. It works as it did, and cannot be
	// changed any more. It ends by itself when a change succeeds, or with the client.
	Detached = "detached"
	// OtherMetadata: the AS refuses for good what it is to hold of an active client.
	OtherMetadata = "other_metadata"
	// NotRevoked: an operator has given up the revocation of an access token, which the AS
	// takes until it expires. The gateway does not.
	NotRevoked = "not_revoked"
	// Missing, Different and Unreadable are what Reconcile has found of an active client: the
	// AS does not have it, has it otherwise, or gives no answer that tells. Detached is one of
	// its findings too.
	Missing    = "missing"
	Different  = "different"
	Unreadable = "unreadable"
)

var discrepancyKinds = []string{AnswerLost, NotDeleted, Detached, OtherMetadata, NotRevoked, Missing, Different, Unreadable}

// reconcileKinds are those that Reconcile puts on the list, and takes off it again.
var reconcileKinds = []string{Missing, Different, Detached, Unreadable}

// Discrepancy is something that the AS may have otherwise than the registry, and
// that the gateway cannot mend. Operators are shown it until they dismiss it.
type Discrepancy struct {
	Schema    int    `json:"v"`
	Workspace string `json:"workspace"`
	Kind      string `json:"kind"`
	// Registration is the registry's id of the client; of NotRevoked the id of the outbox entry.
	Registration string `json:"registration"`
	// ClientID is empty where it is not known.
	ClientID   string `json:"client_id,omitempty"`
	SoftwareID string `json:"software_id"`
	OrgID      string `json:"org_id"`
	ClientName string `json:"client_name"`
	// Since is seconds since 1970, of the last time that it was noticed.
	Since int64 `json:"since"`
	// Error is what the log said, or what to do.
	Error string `json:"error,omitempty"`
	// Differences are those of a client that is Different, at most maxDifferences.
	Differences []Difference `json:"differences,omitempty"`
}

// Check tells whether there is such a kind.
func (d *Discrepancy) Check() error {
	if !slices.Contains(discrepancyKinds, d.Kind) {
		return fmt.Errorf("kind %q: must be one of %v", d.Kind, discrepancyKinds)
	}
	return nil
}

// maxDiscrepancyError bounds Error.
const maxDiscrepancyError = 500

const discrepancyPrefix = "divergence/"

func (d *Discrepancy) key() string { return key("divergence", d.Workspace, d.Kind, d.Registration) }

func (r *Registry) discrepancy(kind string, c *Client, cause error) *Discrepancy {
	return r.finding(kind, c, errorText(cause))
}

func (r *Registry) finding(kind string, c *Client, text string) *Discrepancy {
	return &Discrepancy{
		Schema: schema, Workspace: c.Workspace, Kind: kind, Registration: c.ID, ClientID: c.ClientID,
		SoftwareID: c.SoftwareID, OrgID: c.OrgID, ClientName: c.ClientName, Since: r.now().Unix(),
		Error: text[:min(len(text), maxDiscrepancyError)],
	}
}

// strayID names a client that the AS has made for a registration in place of another one: of
// several each has an entry.
func strayID(registration, clientID string) string {
	return fmt.Sprintf("%s-%.8x", registration, sha256.Sum256([]byte(clientID)))
}

// put is for a nil discrepancy too.
func (d *Discrepancy) put(w Writer) error {
	if d == nil {
		return nil
	}
	return putRecord(w, d.key(), d)
}

// Discrepancies lists at most limit discrepancies of a workspace ("" for all), and the
// cursor to go on with, empty at the end.
func (r *Registry) Discrepancies(ctx context.Context, workspace, cursor string, limit int) (list []Discrepancy, next string, err error) {
	return page(ctx, r, workspacePrefix("divergence", workspace), cursor, limit, fromJSON[Discrepancy])
}

// Discrepancy returns one, and its entity tag, see Act: Workspace, Kind and Registration name it.
//
// Errors: ErrNotFound.
func (r *Registry) Discrepancy(ctx context.Context, d Discrepancy) (found *Discrepancy, tag string, err error) {
	if err := d.Check(); err != nil {
		return nil, "", err
	}
	err = r.store.View(ctx, func(v Reader) error {
		if found, err = d.read(v); err != nil {
			return err
		}
		tag, err = entityTag(v, d.key())
		return err
	})
	return found, tag, err
}

// read is the discrepancy that has the names of d.
func (d *Discrepancy) read(r getter) (*Discrepancy, error) {
	data, err := r.Get(d.key())
	if err != nil {
		return nil, err
	}
	found := &Discrepancy{}
	if err := json.Unmarshal(data, found); err != nil {
		return nil, fmt.Errorf("registry: unreadable %s: %w", d.key(), err)
	}
	return found, nil
}

// Dismiss takes a discrepancy off the list, for an operator who has looked after it:
// Workspace, Kind and Registration name it. The audit trail has it.
//
// Errors: ErrNotFound for one that is not there; ErrChanged.
func (r *Registry) Dismiss(ctx context.Context, d Discrepancy, act Act) error {
	if err := d.Check(); err != nil {
		return err
	}
	ws, _ := r.attached(d.Workspace)
	return r.store.Update(ctx, func(w Writer) error {
		found, err := d.read(w)
		if err == nil {
			err = act.matches(w, d.key())
		}
		if err != nil {
			return err
		}
		e := &AuditEntry{
			At: r.now(), Change: AuditDismissed, Workspace: d.Workspace, Discrepancy: d.Kind, Act: act,
			Registration: d.Registration, ClientID: found.ClientID, SoftwareID: found.SoftwareID, OrgID: found.OrgID, about: d.Registration,
		}
		return errors.Join(w.Delete(d.key()), putAuditEntry(w, ws, e))
	})
}

// endDiscrepancies takes the discrepancies of a client off the list that a change has ended.
func endDiscrepancies(w Writer, c *Client) error {
	return endKinds(w, c, append([]string{OtherMetadata}, reconcileKinds...))
}

func endKinds(w Writer, c *Client, kinds []string) error {
	for _, kind := range kinds {
		k := (&Discrepancy{Workspace: c.Workspace, Kind: kind, Registration: c.ID}).key()
		found, err := get(w, k)
		if err == nil && found != nil {
			err = w.Delete(k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
