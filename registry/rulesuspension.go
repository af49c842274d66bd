package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// A rule of the configuration may suspend clients. One outage, one wrong list or one wrong
// clock must not stop a bank's business: a rule suspends few clients a day, and reports the
// others.

const (
	// leastStopped is how many clients rules may suspend in a day whatever there are,
	// stoppedShare that they may suspend one of so many.
	leastStopped = 5
	stoppedShare = 100
)

// stopped is how many clients rules have suspended in a workspace on a day, in the store: a
// restart must not multiply it.
type stopped struct {
	Schema int   `json:"v"`
	Day    int64 `json:"day"`
	Count  int   `json:"count"`
}

func stoppedKey(workspace string) string { return key("stopped", workspace) }

// on is the count of a day. A clock that goes back does not begin anew.
func (s stopped) on(day int64) stopped {
	if day > s.Day {
		s.Count = 0
	}
	s.Schema, s.Day = schema, max(day, s.Day)
	return s
}

// gatewayOperator is who suspends by a rule.
func gatewayOperator() Operator { return Operator{Name: "gateway", Known: ByRule} }

// rule is the reason of a suspension.
func (f *Finding) rule(ws *Workspace) string {
	if f.Kind == Unused {
		return fmt.Sprintf("retire unused %dd suspend: %s", ws.Retire.Days, f.Detail)
	}
	return fmt.Sprintf("on_lost_trust suspend: %s: %s", f.Kind, f.Detail)
}

// suspends tells whether a rule of the workspace suspends clients for a finding.
func (ws *Workspace) suspends(kind string) bool {
	if kind == Unused {
		return ws.Retire.Suspend
	}
	return ws.SuspendLostTrust && slices.Contains(lostTrust, kind)
}

// mayStop is how many clients rules may suspend in a day.
func (r *Registry) mayStop(workspace string) int {
	counts, complete := r.ClientCounts([]string{workspace})
	if !complete {
		return leastStopped
	}
	return max(leastStopped, counts[0].ByStatus[Active]/stoppedShare)
}

// errLimited is suspendByRule's where enough clients were suspended on this day.
var errLimited = errors.New("registry: rules have suspended enough clients today")

// suspend suspends a client where a rule says so, once for each finding: an operator who has
// resumed it has decided.
func (p *passing) suspend(ctx context.Context, c *Client, found []Finding) error {
	i := slices.IndexFunc(found, func(f Finding) bool { return f.SuspendedAt == 0 && p.ws.suspends(f.Kind) })
	if i < 0 {
		return nil
	}
	switch done, err := p.r.suspendByRule(ctx, &p.ws, c, found, i); {
	case errors.Is(err, errLimited):
		if !p.limited {
			p.limited = true
			p.r.log.Error("does not suspend more clients today, because rules have suspended as many as they may; look at the findings, and suspend by hand",
				slog.String("workspace", p.ws.Name), slog.Int("limit", p.r.mayStop(p.ws.Name)))
		}
		return nil
	case err != nil:
		return err
	case done:
		p.r.log.Warn("suspends a client by a rule of the configuration", slog.String("workspace", p.ws.Name), slog.String("client_id", c.ClientID),
			slog.String("software_id", c.SoftwareID), slog.String("reason", found[i].rule(&p.ws)))
	}
	return nil
}

// suspendByRule suspends a client for one of its findings, unless it is suspended or was
// deleted or used meanwhile.
func (r *Registry) suspendByRule(ctx context.Context, ws *Workspace, c *Client, found []Finding, i int) (done bool, err error) {
	limit, today := r.mayStop(ws.Name), DayOf(r.now())
	s := &Suspension{Schema: schema, Workspace: ws.Name, Kind: SuspendClient, Value: c.ClientID, Since: r.now().Unix()}
	reason := found[i].rule(ws)
	s.Act = Act{Operator: gatewayOperator(), Reason: reason[:min(len(reason), maxReason)]}
	err = r.store.Update(ctx, func(w Writer) error {
		done = false
		now, err := loadClient(w, ws.Name, c.ID)
		if errors.Is(err, ErrNotFound) || err == nil && !now.Registered() {
			return nil
		}
		if err == nil && found[i].Kind == Unused {
			if now.Use, err = r.useOf(w, now); err == nil && r.unusedSince(now) != r.unusedSince(c) {
				return nil // used since
			}
		}
		if err != nil {
			return err
		}
		if is, err := suspended(w, now); err != nil || is {
			return err
		}
		var count stopped
		if err := readOwn(w, stoppedKey(ws.Name), &count, &count.Schema); err != nil {
			return err
		}
		if count = count.on(today); count.Count >= limit {
			return errLimited
		}
		count.Count++
		after := slices.Clone(found)
		after[i].SuspendedAt = s.Since
		done = true
		return errors.Join(putRecord(w, s.key(), s), r.auditSuspension(w, AuditSuspended, s),
			putRecord(w, stoppedKey(ws.Name), &count), putRecord(w, findingKey(c), findingsOf(now, after)))
	})
	return done && err == nil, err
}
