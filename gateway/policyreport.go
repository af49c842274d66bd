package gateway

import (
	"cmp"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// policyDecisions counts them since the process began, over reloads.
var policyDecisions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_policy_decisions_total",
	Help: "Decisions of registration policies. mode is enforced or shadow, verdict is allowed, narrowed, approval, denied or failed.",
}, []string{"workspace", "policy", "mode", "verdict"})

// EventPolicyDenied is the event of a denial, also of one that is only reported.
const EventPolicyDenied = "openbanking_dcr_policy_denied"

// verdict is a decision in one word, for logs and metrics.
func verdict(d verify.Decision) string {
	switch {
	case d.Fault != nil:
		return "failed"
	case !d.Allowed:
		return "denied"
	case d.Approval != "":
		return "approval"
	case d.Scopes != nil || d.GrantTypes != nil:
		return "narrowed"
	}
	return "allowed"
}

// What one log line says of whom a decision is about is bounded: bytes, and names.
const (
	longestID  = 80
	mostScopes = 32
)

func few(list []string) []string { return list[:min(len(list), mostScopes)] }

func cut(s string, most int) string {
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// report tells operators of a decision: the metric always, log and event where it is
// not a plain yes. Of a request that is only explained nobody is told.
func (d *registrationRequest) report(p *Policy, in *verify.PolicyInput, decision verify.Decision) {
	if d.explains {
		return
	}
	mode, said := "enforced", verdict(decision)
	if p.Shadow {
		mode = "shadow"
	}
	policyDecisions.WithLabelValues(d.options.Workspace.Name, p.Name, mode, said).Inc()
	if said == "allowed" {
		return
	}
	text := func(o strictjson.Object, name string) string {
		v, _, err := o.String(name)
		if err != nil {
			return ""
		}
		return cut(v, longestID)
	}
	softwareID, orgID := text(in.SSA, "software_id"), text(in.SSA, "org_id")
	attributes := []slog.Attr{slog.String("policy", p.Name), slog.String("mode", mode), slog.String("verdict", said), slog.String("operation", in.Operation),
		slog.String("support_code", d.request.supportCode()), slog.String("software_id", softwareID), slog.String("org_id", orgID)}
	if reason := cmp.Or(decision.Reason, decision.Approval); reason != "" {
		attributes = append(attributes, slog.String("reason", reason))
	}
	if decision.Scopes != nil {
		attributes = append(attributes, slog.Any("scopes", few(decision.Scopes)))
	}
	if decision.GrantTypes != nil {
		attributes = append(attributes, slog.Any("grant_types", few(decision.GrantTypes)))
	}
	log, ctx := d.request.gateway.log, d.request.r.Context()
	if said == "failed" { // an error has a stack trace of Caddy's logger, which tells nothing of a policy
		log.LogAttrs(ctx, slog.LevelWarn, "cannot evaluate a policy", attributes...)
	} else {
		log.LogAttrs(ctx, slog.LevelInfo, "policy", attributes...)
	}
	if decision.Allowed {
		return
	}
	d.options.Host.Emit(EventPolicyDenied, map[string]any{
		"workspace": d.options.Workspace.Name, "policy": p.Name, "mode": mode, "verdict": said, "reason": decision.Reason, "operation": in.Operation, "support_code": d.request.supportCode(),
		"software_id": softwareID, "org_id": orgID,
	})
}
