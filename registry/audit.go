package registry

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
)

// AuditEntry is a change of a client that was made, or of a suspension, recorded in the
// transaction that made it: there is neither without the other.
type AuditEntry struct {
	Schema int `json:"v"`
	// ID is the entry's own, for whoever copies the trail.
	ID        string `json:"id"`
	Workspace string `json:"workspace"`
	// At is when it was made.
	At time.Time `json:"at"`
	// Change is one of those below.
	Change string `json:"change"`
	// Registration is the record's name here; ClientID, SoftwareID, OrgID and Directory (the
	// issuer of the software statement) are the client's after the change. Of a suspension,
	// the one that it is about is there, and nothing else.
	Registration string `json:"registration,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	SoftwareID   string `json:"software_id,omitempty"`
	OrgID        string `json:"org_id,omitempty"`
	Directory    string `json:"directory,omitempty"`
	// Discrepancy is the kind of the one that was dismissed, Outbox that of the outbox entry
	// that was retried or given up.
	Discrepancy string `json:"discrepancy,omitempty"`
	Outbox      string `json:"outbox,omitempty"`
	// Approval is why the client awaits approval, of AuditAwaitingApproval.
	Approval []ApprovalReason `json:"approval,omitempty"`
	// Reconciliation is the one that has begun or ended; nil for another change.
	Reconciliation *AuditedReconciliation `json:"reconciliation,omitempty"`
	// Act is the operator's, of a change that an operator has made.
	Act
	Origin

	// follows: it comes after an entry of the same moment.
	follows bool
	// about is the client whose history it belongs to; empty for none.
	about string
}

// The changes of an AuditEntry.
const (
	AuditRegistered       = "registered"
	AuditRepeated         = "repeated"          // a POST was answered with the client that is there, and has used up a token or jti
	AuditUpdated          = "updated"           // by PUT, or by a POST where reregister says so
	AuditRenewed          = "renewed"           // a renewed certificate's DN is the client's from now on
	AuditKeysRefreshed    = "keys_refreshed"    // the AS was told the keys of the client's software again
	AuditSecretRotated    = "secret_rotated"    // by an operator
	AuditRestored         = "restored"          // the AS was told again what the client is registered with; keys and secret may be others since
	AuditDeleted          = "deleted"           // recorded when the client can do nothing any more; with a reason by an operator
	AuditSuspended        = "suspended"         // by an operator
	AuditResumed          = "resumed"           // by an operator
	AuditRetried          = "retried"           // an operator has made an outbox entry due at once
	AuditGivenUp          = "given_up"          // an operator has ended an outbox entry; a discrepancy has what may be left at the AS
	AuditDismissed        = "dismissed"         // an operator has looked after a discrepancy
	AuditConfirmed        = "confirmed"         // an operator has looked after a restore or an accepted loss, see Epoch
	AuditImported         = "imported"          // by an operator, from a file: the AS had the client before
	AuditImportUndone     = "import_undone"     // by an operator, who has undone the import of the client
	AuditReconcileStarted = "reconcile_started" // by an operator, also one that goes on with the last one
	AuditReconcileEnded   = "reconcile_ended"   // it has come to its end, or an operator or the gateway has ended it before
	AuditStoreRestored    = "store_restored"    // the store was restored from a backup: what comes between this entry and the one before is lost
)

// Origin is what an AuditEntry has of the request that asked for the change. It is empty
// for what an operator or the gateway itself does.
type Origin struct {
	// SupportCode is the request's x-fapi-interaction-id. Its sender chooses it.
	SupportCode string `json:"support_code,omitempty"`
	// Certificate is x5t#S256 of the certificate that it came with.
	Certificate string `json:"certificate,omitempty"`
	// WouldRefuse are the policies in shadow that would have refused it.
	WouldRefuse []Objection `json:"would_refuse,omitempty"`
}

// Objection is what a policy in shadow has against a request.
type Objection struct {
	Policy string `json:"policy"`
	Reason string `json:"reason"`
}

// DefaultAuditRetention is how long an AuditEntry is kept.
const DefaultAuditRetention = 400 * 24 * time.Hour

// putAudit records a change of a client, of which e has what the client does not tell. It takes the time in the transaction, not before
// it: entries come in the order of their keys, and who reads on from the last one that
// was there misses none.
func (r *Registry) putAudit(w Writer, ws Workspace, e AuditEntry, c *Client) error {
	e.At, e.Workspace, e.Registration, e.about = r.now(), c.Workspace, c.ID, c.ID
	if e.follows {
		e.At = e.At.Add(time.Nanosecond)
	}
	e.ClientID, e.SoftwareID, e.OrgID, e.Directory = c.ClientID, c.SoftwareID, c.OrgID, c.Directory
	return putAuditEntry(w, ws, &e)
}

// auditSuspension records the beginning or the end of one.
func (r *Registry) auditSuspension(w Writer, change string, s *Suspension) error {
	ws, _ := r.attached(s.Workspace)
	e := &AuditEntry{At: r.now(), Change: change, Workspace: s.Workspace, Act: s.Act}
	switch s.Kind {
	case SuspendClient:
		e.ClientID = s.Value
		id, err := get(w, key("id", s.Workspace, s.Value))
		if err != nil {
			return err
		}
		e.about = string(id)
	case SuspendSoftware:
		e.SoftwareID = s.Value
	case SuspendOrganisation:
		e.OrgID = s.Value
	case SuspendDirectory:
		e.Directory = s.Value
	}
	return putAuditEntry(w, ws, e)
}

func putAuditEntry(w Writer, ws Workspace, e *AuditEntry) error {
	if err := e.confirm(w); err != nil {
		return err
	}
	e.Schema, e.ID, e.At = schema, uuid.NewString(), e.At.UTC()
	retention := ws.AuditRetention
	if retention == 0 {
		retention = DefaultAuditRetention
	}
	entry, expires := auditTime(e.Workspace, e.At)+"/"+e.ID, e.At.Add(retention)
	if err := putExpiringRecord(w, entry, e, expires); err != nil || e.about == "" {
		return err
	}
	newestFirst := fmt.Sprintf("%016x/%s", math.MaxInt64-max(e.At.UnixNano(), 0), e.ID)
	return w.PutExpiring(historyPrefix(e.Workspace, e.about)+newestFirst, []byte(entry), expires)
}

// historyPrefix is where the changes of one client are listed, the newest first: each is the key
// of an entry of the audit trail.
func historyPrefix(workspace, registration string) string {
	return key("history", workspace, registration) + "/"
}

// auditTime is what the keys of the entries of one moment begin with.
func auditTime(workspace string, at time.Time) string {
	return fmt.Sprintf("%s/%016x", key("audit", workspace), max(at.UnixNano(), 0))
}

// Audit lists at most limit changes of a workspace since a time, the oldest first, and the
// cursor to go on with, empty at the end. A cursor counts instead of since, which is a
// time from 1970 to 2261. An empty workspace stands for all, one after the other, and
// takes no since.
func (r *Registry) Audit(ctx context.Context, workspace string, since time.Time, cursor string, limit int) ([]AuditEntry, string, error) {
	if cursor == "" && workspace != "" && !since.IsZero() {
		cursor = auditTime(workspace, since)
	}
	return page(ctx, r, workspacePrefix("audit", workspace), cursor, limit, fromJSON[AuditEntry])
}
