package registry

import (
	"context"
	"errors"
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// A client that awaits approval goes through all of PUT and DELETE as an active one does. An
// update after which an active client must wait makes it wait before the AS is asked, with
// Approved and Unsettled: what the AS may have by then is not used, whatever happens next.
//
//	active -> awaiting       Update, when the change begins (Approved, Unsettled)
//	Unsettled ends           Update, when the change ends: the client awaits approval, or is active where the AS has
//	                         registered nothing that needs it; or active as before, when the AS refuses
//	Unsettled ends           restore: a client that was let in before (Approved) is active again
//	awaiting -> active       Approve, once it is not Unsettled; there is no call of the AS
//	awaiting -> deleting     Refuse, as DELETE

// What an operator must approve in a workspace, beside what policies demand.
const (
	ApprovalRegistrations = "registrations" // every new client
	ApprovalChanges       = "changes"       // these, and updates that give a client more than it had
)

// ApprovalModes are all of them.
var ApprovalModes = []string{ApprovalRegistrations, ApprovalChanges}

// The changes of an AuditEntry that are about approval.
const (
	AuditAwaitingApproval = "awaiting_approval" // follows the registration or the update that is why
	AuditApproved         = "approved"          // by an operator
	AuditRefused          = "refused"           // by an operator, who did not approve it: it is deleted
)

// ApprovalReason is why a client awaits approval, for operators only.
type ApprovalReason struct {
	// Policy is the policy that demands it; empty where the workspace does.
	Policy string `json:"policy,omitempty"`
	Reason string `json:"reason"`
}

// RuleApproval is the rule of a refusal of a client that awaits approval.
const RuleApproval = "approval"

// Awaiting is what is told of a client that awaits approval.
func Awaiting() *refusal.Error {
	return refusal.New(refusal.AccessDenied, RuleApproval, "approval: this client awaits the bank's approval; ask the bank")
}

var (
	// ErrNotAwaiting is Approve's and Refuse's for a client that awaits nothing.
	ErrNotAwaiting = errors.New("this client does not await approval")
	// ErrUnsettled is Approve's for a client of which the AS may hold other metadata than
	// those that the operator has seen.
	ErrUnsettled = errors.New("the authorization server may hold other metadata of this client than you have seen, because the end of a change is not known; " +
		"wait until the outbox has no entry of this client, or repair the client with a reconciliation, and approve it then")
)

// Registered tells whether both systems of record know the client, and neither is to delete
// it. It may still await approval, or be suspended.
func (c *Client) Registered() bool { return c.Status == Active || c.Status == AwaitingApproval }

// letIn tells whether what the record says needs no approval any more.
func (c *Client) letIn() bool { return c.Status == Active || c.Approved }

// Approve lets a client in that awaits it, as it is now. One that is suspended stays so.
//
// Errors: ErrNotFound for a client that is not there; ErrChanged, ErrNotAwaiting,
// ErrUnsettled; Unavailable while a change of the client is under way.
func (r *Registry) Approve(ctx context.Context, workspace, clientID string, act Act) (c *Client, err error) {
	ws, _ := r.attached(workspace)
	err = r.store.Update(ctx, func(w Writer) error {
		if c, err = awaiting(w, workspace, clientID, act, r); err != nil {
			return err
		}
		if c.Unsettled {
			return ErrUnsettled
		}
		c.Status = Active
		return errors.Join(putClient(w, c), indexApproval(w, c, AwaitingApproval), r.putAudit(w, ws, AuditEntry{Change: AuditApproved, Act: act}, c))
	})
	if err != nil {
		return nil, forOperator(err)
	}
	r.log.Info("approves a client", slog.String("workspace", workspace), slog.String("client_id", clientID), slog.String("software_id", c.SoftwareID), slog.String("operator", act.Operator.Name))
	return c, nil
}

// Refuse ends a client that awaits approval, also one that was let in before and has asked
// for more since. It goes as DeleteByOperator has it. It returns the client as it was.
//
// Errors: those of DeleteByOperator; ErrNotAwaiting.
func (r *Registry) Refuse(ctx context.Context, workspace, clientID string, act Act) (*Client, error) {
	ws, _, err := r.activeClient(ctx, workspace, clientID)
	if err != nil {
		return nil, err
	}
	d := &deletion{operation: r.newOperation(ws, Registration{}, AuditRefused)}
	d.audit.Act = act
	d.find = func(w Writer) (*Client, error) { return awaiting(w, workspace, clientID, act, r) }
	if err := forOperator(run(ctx, d)); err != nil {
		return nil, err
	}
	return d.client, nil
}

// awaiting is a client that awaits approval, and that the operator has seen as it is.
func awaiting(w Writer, workspace, clientID string, act Act, r *Registry) (*Client, error) {
	c, err := changeable(w, workspace, clientID, r.now())
	if err != nil {
		return nil, err
	}
	if err := act.matches(w, c.tagged()...); err != nil {
		return nil, err
	}
	if c.Status != AwaitingApproval {
		return nil, ErrNotAwaiting
	}
	return c, nil
}

// asksApproval is why a new client is to await approval; nil where it is not.
func (ws Workspace) asksApproval(in Registration) (reasons []ApprovalReason) {
	if ws.Approval != "" {
		reasons = []ApprovalReason{{Reason: "a new registration"}}
	}
	return append(reasons, in.Approval...)
}

// asksApproval is why a client is to await approval after the change that makes after of it;
// nil where the change needs none.
func (ch *change) asksApproval(after *Client) (reasons []ApprovalReason) {
	if ch.in.Request == nil {
		return nil
	}
	if ch.ws.Approval == ApprovalChanges {
		for _, what := range widened(ch.before, after) {
			reasons = append(reasons, ApprovalReason{Reason: what})
		}
	}
	return append(reasons, ch.in.Approval...)
}

// awaitApproval makes the client wait before the AS is asked: once it has more there, and
// before the last transaction says so here, the client must not be able to use it.
func (ch *change) awaitApproval(w Writer, c *Client) error {
	after := *c
	if ch.in.Request != nil {
		after.describe(ch.in, ch.metadataDigest)
	}
	was := c.Status
	switch {
	case was == AwaitingApproval:
	case len(ch.asksApproval(&after)) > 0:
		c.Status, c.Approved = AwaitingApproval, true
	default:
		return nil
	}
	c.Unsettled = true
	return indexApproval(w, c, was)
}

// completeApproval is what becomes of the client when the AS has taken the change: what it
// has registered counts.
func (ch *change) completeApproval() {
	before, after := ch.before, ch.client
	after.Unsettled, after.Approved = false, false
	reasons := ch.asksApproval(after)
	switch {
	case !before.letIn():
		after.Status = AwaitingApproval
	case len(reasons) > 0:
		after.Status, after.AskedApproval = AwaitingApproval, reasons
	default:
		after.Status = Active
	}
}

// takeBackApproval makes a client what it was before a change that has changed nothing.
func (c *Client) takeBackApproval(w Writer, before *Client) error {
	was := c.Status
	c.Status, c.Unsettled, c.Approved = before.Status, before.Unsettled, before.Approved
	return indexApproval(w, c, was)
}

// settled ends Unsettled: the AS has what the record says.
func (c *Client) settled(w Writer) error {
	was := c.Status
	if c.Approved {
		c.Status = Active
	}
	c.Unsettled, c.Approved = false, false
	return indexApproval(w, c, was)
}

// indexApproval keeps the index of the clients that await approval. was is the Status in the
// record that c replaces.
func indexApproval(w Writer, c *Client, was Status) error {
	entry := indexPrefix(ByApproval, c.Workspace, "") + c.ID
	switch now := c.Status; {
	case was != AwaitingApproval && now == AwaitingApproval:
		return w.Put(entry, []byte{})
	case was == AwaitingApproval && now != AwaitingApproval:
		return w.Delete(entry)
	}
	return nil
}

// auditApproval records that a client has begun to await approval. It follows the entry of
// the change that is why.
func (o *operation) auditApproval(w Writer, c *Client) error {
	if len(c.AskedApproval) == 0 {
		return nil
	}
	return o.r.putAudit(w, o.ws, AuditEntry{Change: AuditAwaitingApproval, Approval: c.AskedApproval, Origin: Origin{SupportCode: o.audit.SupportCode}, follows: true}, c)
}
