package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// check checks one client, and repairs it where that is asked for. It waits while the AS is
// down, as long as that lasts.
//
// Errors: those that end the job.
func (j *reconcileJob) check(ctx context.Context, c *Client) (*clientResult, error) {
	result := &clientResult{clientID: c.ClientID}
	if !c.Registered() {
		return result, nil
	}
	found, err := j.look(ctx, c)
	if err != nil || found.outcome == "" {
		return result, err
	}
	result.outcome, result.rotated, result.text = found.outcome, found.rotated, found.text
	j.mu.Lock()
	repair, act := j.state.Repair, j.state.Act
	j.mu.Unlock()
	ws, ok := j.r.attached(j.workspace)
	if !ok {
		return result, errNotAttached
	}
	unsettled := found.outcome == Same && c.Unsettled // what a change has left open ends with an update that the AS takes
	if !repair || !found.repairable(ws) && !unsettled {
		return result, nil
	}
	if err := j.limiter.Wait(ctx); err != nil {
		return nil, err
	}
	err = j.r.restoreByOperator(ctx, ws, c.ClientID, act)
	switch {
	case err != nil && unsettled:
		return result, j.r.unrepaired(ctx, c, OtherMetadata, err)
	case err != nil:
		return result, j.r.unrepaired(ctx, c, found.outcome, err)
	case unsettled:
		return result, nil
	}
	again, err := j.look(ctx, c)
	if err != nil {
		return nil, err
	}
	result.repaired = again.outcome == Same
	if again.outcome == Different {
		err = j.r.unrepaired(ctx, c, Different, errNotKept)
	}
	return result, err
}

var (
	errNotAttached = errors.New("the workspace is not configured any more")
	errNotKept     = errors.New("the authorization server has taken the update, and shows other metadata all the same")
)

// look asks the AS about a client until it knows, or gives it up. outcome is empty for a client
// that is not registered any more.
func (j *reconcileJob) look(ctx context.Context, c *Client) (*sight, error) {
	wait, tries := reconcilePause, 0
	for {
		if err := j.limiter.Wait(ctx); err != nil {
			return nil, err
		}
		ws, ok := j.r.attached(j.workspace)
		if !ok {
			return nil, errNotAttached
		}
		found, err := j.r.compare(ctx, ws, c.ID)
		switch {
		case err == nil && found.failed == nil:
			j.waits("")
			return found, nil
		case err == nil:
			err = found.failed
		case !errors.Is(err, errHeld):
			return nil, err
		}
		switch {
		case errors.Is(err, ErrNotAsked):
		case errors.Is(err, errHeld) || ws.Provisioner.Answers(ctx) == nil:
			if tries++; tries == reconcileTries {
				return &sight{outcome: NotChecked, text: err.Error()}, nil
			}
		}
		j.waits(err.Error())
		if !pause(ctx, max(wait, min(refusal.From(err).RetryAfter, maxReconcilePause))) {
			return nil, context.Cause(ctx)
		}
		wait = min(2*wait, maxReconcilePause)
	}
}

// sight is what the AS has of a client, as far as it is known.
type sight struct {
	outcome string
	rotated bool
	text    string
	// failed is why nothing is known.
	failed      error
	differences []Difference
}

// repairable tells whether the AS can be told again. One that has lost the client or its
// registration access token takes a registration only where the client_id is chosen here.
func (s *sight) repairable(ws Workspace) bool {
	return s.outcome == Different || (s.outcome == Missing || s.outcome == Detached) && ws.Provisioner.ChoosesClientID()
}

// What to do about a finding, where the gateway chooses client_ids and where the AS does.
const (
	doRepair   = "repair registers it again under its client_id"
	doDelete   = "the gateway cannot register it again under this client_id: look at the authorization server, and delete the client here, so that its TPP can register again"
	doNewToken = "only the authorization server can replace it: set a new one there if it still has the client; otherwise delete the client here, so that its TPP can register again"
)

// see reads what Read says.
func see(ws Workspace, answer *Comparison, err error) *sight {
	s := &sight{outcome: Same}
	todo := func(otherwise string) string {
		if ws.Provisioner.ChoosesClientID() {
			return doRepair
		}
		return otherwise
	}
	switch {
	case errors.Is(err, ErrMissing):
		s.outcome, s.text = Missing, fmt.Sprintf("%s; %s", err, todo(doDelete))
	case errors.Is(err, ErrDetached):
		s.outcome, s.text = Detached, fmt.Sprintf("%s; %s", err, todo(doNewToken))
	case errors.Is(err, ErrUnreadable):
		s.outcome, s.text = Unreadable, err.Error()
	case err != nil:
		s.failed = err
	case len(answer.Differences) > 0:
		s.outcome, s.differences = Different, bounded(answer.Differences)
	}
	return s
}

// Bounds of what is kept of differences: bytes of a value, and members.
const (
	maxDifference  = 500
	maxDifferences = 40
)

func bounded(list []Difference) []Difference {
	cut := func(text string) string {
		if len(text) > maxDifference {
			text = text[:maxDifference] + "..."
		}
		return strings.ToValidUTF8(text, "")
	}
	list = list[:min(len(list), maxDifferences)]
	for i := range list {
		list[i].Here, list[i].There = cut(list[i].Here), cut(list[i].There)
	}
	return list
}

// compare asks the AS once about a client, and lists what differs. Meanwhile the client is
// leased, as to a change: the answer may replace the credentials.
//
// Errors: errHeld while a change is under way; those of the store.
func (r *Registry) compare(ctx context.Context, ws Workspace, id string) (*sight, error) {
	c, found, err := r.leaseToCompare(ctx, ws, id)
	if err != nil || c == nil {
		return found, err
	}
	before := *c
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), Deadline)
	defer cancel()
	var answer *Comparison
	if found == nil {
		answer, err = ws.Provisioner.Read(asking, c)
		found = see(ws, answer, err)
		// A load balancer without the AS behind it answers as an AS does that has lost the client.
		if found.failed == nil && found.outcome != Same && found.outcome != Different {
			if err := ws.Provisioner.Answers(asking); err != nil {
				found = &sight{failed: err}
			}
		}
	}
	after := *c
	if answer != nil && answer.Credentials != before.Credentials {
		found.rotated = true
		if err := r.seal(&after, answer.Credentials); err != nil {
			return nil, err
		}
	}
	return found, r.endComparison(ctx, &before, &after, found)
}

// leaseToCompare takes the lease of a client, or finds out without the AS how it is. No client
// and no error is one that is not registered any more.
func (r *Registry) leaseToCompare(ctx context.Context, ws Workspace, id string) (c *Client, found *sight, err error) {
	now, holder := r.now(), "reconcile "+uuid.NewString()
	err = r.store.Update(ctx, func(w Writer) (err error) {
		found = nil
		c, err = loadClient(w, ws.Name, id)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && !c.Registered():
			c, found = nil, &sight{}
			return nil
		case err != nil:
			return err
		case c.changing(now):
			return errChanging()
		}
		if err := r.unseal(c); err != nil { // with a keyset that was lost
			found = see(ws, nil, fmt.Errorf("%w: %w", ErrDetached, err))
		} else if c.Credentials.RegistrationAccessToken == "" {
			found = see(ws, nil, fmt.Errorf("%w: it gave none", ErrDetached))
		}
		c.Change, c.ChangeUntil = holder, leaseEnd(now).Unix()
		return putClient(w, c)
	})
	return c, found, err
}

// endComparison lets go of the client, and makes the list of discrepancies say what was found.
func (r *Registry) endComparison(ctx context.Context, before, after *Client, found *sight) error {
	return r.transactDetached(ctx, func(w Writer) error {
		c, err := heldBy(w, before, before.Change)
		if err != nil {
			return err
		}
		c.Bridge, c.Sealed, c.Change, c.ChangeUntil = after.Bridge, after.Sealed, "", 0
		if err := putClient(w, c); err != nil || found.failed != nil {
			return err
		}
		if found.outcome == Same {
			return endDiscrepancies(w, c)
		}
		if err := endKinds(w, c, reconcileKinds); err != nil {
			return err
		}
		d := r.finding(found.outcome, c, found.text)
		d.Differences = found.differences
		return d.put(w)
	})
}

// restoreByOperator tells the AS again what a client is registered with, as an update of its
// TPP would, and registers a client again that it has lost where it may be.
func (r *Registry) restoreByOperator(ctx context.Context, ws Workspace, clientID string, act Act) error {
	ch := r.newChange(ws, clientID, Registration{}, AuditRestored)
	ch.audit.Act, ch.restores = Act{Operator: act.Operator, Reason: act.Reason}, true
	return run(ctx, ch)
}

// unrepaired says at a finding why it was not repaired.
func (r *Registry) unrepaired(ctx context.Context, c *Client, kind string, cause error) error {
	return r.transactDetached(ctx, func(w Writer) error {
		now, err := loadClient(w, c.Workspace, c.ID)
		if errors.Is(err, ErrNotFound) || err == nil && !now.Registered() {
			return nil
		}
		if err != nil {
			return err
		}
		d := r.finding(kind, now, "cannot repair this: "+cause.Error())
		var listed Discrepancy
		if err := readOwn(w, d.key(), &listed, &listed.Schema); err != nil {
			return err
		}
		d.Differences = listed.Differences
		return d.put(w)
	})
}
