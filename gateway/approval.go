package gateway

import (
	"log/slog"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/trace"
)

// EventAwaitingApproval is the event of a client that has begun to await approval.
const EventAwaitingApproval = "openbanking_dcr_awaiting_approval"

// beginApproval begins, for a trace, what the workspace demands of every new client.
func (d *registrationRequest) beginApproval() {
	if mode := d.options.Workspace.Approval; mode != "" {
		d.request.trace.Begin("approval", registry.RuleApproval, "the bank's configuration", nil)
		d.request.trace.Conclude(trace.NeedsApproval, "approval manual "+mode)
	}
}

// approvalOf is what a decision adds to why a registration needs approval.
func approvalOf(p *Policy, decision verify.Decision) (reasons []registry.ApprovalReason) {
	if decision.Approval != "" {
		reasons = append(reasons, registry.ApprovalReason{Policy: p.Name, Reason: cut(decision.Approval, longestReason)})
	}
	return reasons
}

// awaits tells operators of a client that has begun to await approval.
func (d *registrationRequest) awaits(c *registry.Client) {
	if len(c.AskedApproval) == 0 {
		return
	}
	q := d.request
	q.note("status", string(c.Status))
	attributes := []slog.Attr{slog.String("client_id", c.ClientID), slog.String("software_id", cut(c.SoftwareID, longestID)), slog.String("org_id", cut(c.OrgID, longestID)),
		slog.String("operation", q.operation), slog.String("support_code", q.supportCode()), slog.Any("reasons", c.AskedApproval)}
	q.gateway.log.LogAttrs(q.r.Context(), slog.LevelInfo, "waits for an operator to approve a client", attributes...)
	data := map[string]any{"workspace": c.Workspace}
	for _, a := range attributes {
		data[a.Key] = a.Value.Any()
	}
	d.options.Host.Emit(EventAwaitingApproval, data)
}
