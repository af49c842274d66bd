package caddymodule

import (
	"log/slog"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// judge asks the workspace's policies, in their order. What they leave of a
// registration's metadata is in checked when it returns. c is the client of the
// request, nil for a POST; in its fields are left empty what the request has not.
func (d *dcr) judge(operation string, c *registry.Client, in verify.PolicyInput) error {
	var asked []*Policy
	for _, p := range d.Policies {
		if slices.Contains(p.On, operation) {
			asked = append(asked, p)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	in.Operation, in.Workspace, in.Now, in.Token = operation, d.Workspace, d.now().UTC(), d.token.ForPolicy()
	in.Remote, _ = caddyhttp.GetVar(d.r.Context(), caddyhttp.ClientIPVarKey).(string)
	if d.cert != nil {
		in.Certificate, in.CertificateFault = d.cert.ForPolicy()
	}
	in.Client = clientForPolicy(c)
	if in.Registration == nil && slices.ContainsFunc(asked, func(p *Policy) bool { return verify.Reads(p.policy, "ssa") }) {
		if err := d.registeredStatement(c, &in); err != nil {
			return err
		}
	}
	for _, p := range asked {
		decision := verify.Evaluate(d.r.Context(), p.policy, &in, p.timeout())
		switch {
		case in.Registration == nil:
			decision.Kind = verify.AccessDenied // DCR 3.2 has no 400 for GET and DELETE
		case decision.Kind == 0:
			decision.Kind = p.kind
		}
		d.report(p, &in, decision)
		if p.Shadow {
			continue
		}
		if err := decision.Error(p.Name, p.Text); err != nil {
			d.note("policy", p.Name)
			return err
		}
		if in.Registration != nil {
			in.Registration.Narrow(decision)
		}
	}
	return nil
}

// registeredStatement is the SSA that a client was registered with.
func (d *dcr) registeredStatement(c *registry.Client, in *verify.PolicyInput) error {
	c, request, err := d.store.Document(d.r.Context(), c)
	if err == nil {
		_, in.SSA, err = c.Statement(request)
	}
	return err
}

func clientForPolicy(c *registry.Client) *verify.PolicyClient {
	if c == nil {
		return nil
	}
	p := &verify.PolicyClient{
		ClientID: c.ClientID, SoftwareID: c.SoftwareID, OrgID: c.OrgID, ClientName: c.ClientName, Directory: c.Directory,
		IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), UpdatedAt: time.Unix(max(c.IssuedAt, c.UpdatedAt), 0).UTC(), Thumbprint: c.Thumbprint,
	}
	metadata := c.Metadata
	p.Metadata = &metadata
	return p
}

// policyDecisions counts them since the process began, over reloads.
var policyDecisions = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "caddy_openbanking_dcr_policy_decisions_total",
	Help: "Decisions of registration policies. mode is enforced or shadow, verdict is allowed, narrowed, denied or failed.",
}, []string{"workspace", "policy", "mode", "verdict"})

// policyDenied is the event of a denial, also of one that is only reported.
const policyDenied = "openbanking_dcr_policy_denied"

// verdict is a decision in one word, for logs and metrics.
func verdict(d verify.Decision) string {
	switch {
	case d.Fault != nil:
		return "failed"
	case !d.Allowed:
		return "denied"
	case d.Scopes != nil || d.GrantTypes != nil:
		return "narrowed"
	}
	return "allowed"
}

// longestReason bounds what one log line says of a decision.
const longestReason = 2000

// report tells operators of a decision: the metric always, log and event where it is
// not a plain yes.
func (d *dcr) report(p *Policy, in *verify.PolicyInput, decision verify.Decision) {
	mode, said := "enforced", verdict(decision)
	if p.Shadow {
		mode = "shadow"
	}
	policyDecisions.WithLabelValues(d.Workspace, p.Name, mode, said).Inc()
	if said == "allowed" {
		return
	}
	reason := decision.Reason
	if len(reason) > longestReason {
		reason = reason[:longestReason] + "..."
	}
	text := func(o verify.Object, name string) string {
		v, _, err := o.String(name)
		if err != nil {
			return ""
		}
		return verify.Quote(v)
	}
	level := slog.LevelInfo
	if said == "failed" {
		level = slog.LevelError
	}
	d.log.LogAttrs(d.r.Context(), level, "policy", slog.String("policy", p.Name), slog.String("mode", mode), slog.String("verdict", said),
		slog.String("reason", reason), slog.String("operation", in.Operation), slog.String("support_code", d.support),
		slog.String("software_id", text(in.SSA, "software_id")), slog.String("org_id", text(in.SSA, "org_id")),
		slog.Any("scopes", decision.Scopes), slog.Any("grant_types", decision.GrantTypes))
	if said == "narrowed" || !d.events.ShouldEmit(policyDenied) {
		return
	}
	d.events.Emit(d.ctx, policyDenied, map[string]any{
		"workspace": d.Workspace, "policy": p.Name, "mode": mode, "verdict": said, "reason": reason, "operation": in.Operation, "support_code": d.support,
		"software_id": text(in.SSA, "software_id"), "org_id": text(in.SSA, "org_id"),
	})
}

// provisionEvents finds the app that events go to.
func (h *Handler) provisionEvents(ctx caddy.Context) error {
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	h.ctx, h.events = ctx, app.(*caddyevents.App)
	return nil
}
