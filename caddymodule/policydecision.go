package caddymodule

import (
	"errors"
	"log/slog"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
)

// maxDecisions is how often a registration is decided anew because the software has got
// another client meanwhile.
const maxDecisions = 8

// decided asks the policies about a registration, and does it as they leave it. c is
// the client of a PUT, nil for a POST.
func (d *dcr) decided(c *registry.Client, in *registry.Registration, do func(registry.Registration) (*registry.Client, error)) (*registry.Client, error) {
	for range maxDecisions {
		one := *in
		if err := d.judgeRegistration(c, &one); err != nil {
			return nil, err
		}
		made, err := do(one)
		if !errors.Is(err, registry.ErrSoftwareChanged) {
			return made, err
		}
	}
	return nil, verify.Refuse(verify.Unavailable, "policy", "other registrations of this software are under way; try again later")
}

// judgeRegistration asks the policies of POST and PUT. What they leave of the metadata
// is in in when it returns.
func (d *dcr) judgeRegistration(c *registry.Client, in *registry.Registration) (err error) {
	operation := verify.OperationCreate
	if c != nil {
		operation = verify.OperationUpdate
	}
	asked := d.policiesFor(operation)
	// With a token that was used up nothing is registered but what that has registered.
	if len(asked) == 0 || in.Spent != nil {
		return nil
	}
	narrowed := *in.Checked
	in.Asked, in.Checked = &in.Checked.Metadata, &narrowed
	look := verify.PolicyInput{Request: in.Request.Claims, SSA: in.Request.Statement.Claims, Registration: &narrowed.Metadata}
	if readBy(asked, "software") {
		software, err := d.store.SoftwareClients(d.r.Context(), d.lent(), *in, c)
		if err != nil {
			return err
		}
		look.Software = &verify.PolicySoftware{Clients: int64(software.Count)}
		if c == nil {
			in.Software = software
		}
	}
	return d.judge(asked, operation, c, &look)
}

// judgeRegistered asks the policies of GET and DELETE.
func (d *dcr) judgeRegistered(operation string, c *registry.Client) (err error) {
	asked := d.policiesFor(operation)
	if len(asked) == 0 {
		return nil
	}
	var look verify.PolicyInput
	if readBy(asked, "ssa") {
		c, request, err := d.store.Document(d.r.Context(), c)
		if err != nil {
			return err
		}
		if _, look.SSA, err = c.Statement(request); err != nil {
			return err
		}
	}
	return d.judge(asked, operation, c, &look)
}

func (h *Handler) policiesFor(operation string) (asked []*Policy) {
	for _, p := range h.Policies {
		if slices.Contains(p.On, operation) {
			asked = append(asked, p)
		}
	}
	return asked
}

func readBy(policies []*Policy, name string) bool {
	return slices.ContainsFunc(policies, func(p *Policy) bool { return verify.Reads(p.policy, name) })
}

// judge asks policies in their order; the first denial ends it.
func (d *dcr) judge(asked []*Policy, operation string, c *registry.Client, in *verify.PolicyInput) error {
	in.Operation, in.Workspace, in.Now, in.Token = operation, d.Workspace, d.now().UTC(), d.token.ForPolicy()
	in.Remote, _ = caddyhttp.GetVar(d.r.Context(), caddyhttp.ClientIPVarKey).(string)
	if d.cert != nil {
		in.Certificate, in.CertificateFault = d.cert.ForPolicy()
	}
	in.Client = c.ForPolicy()
	for _, p := range asked {
		decision := verify.Evaluate(d.r.Context(), p.policy, in, p.timeout())
		switch {
		case in.Registration == nil:
			decision.Kind = verify.AccessDenied // DCR 3.2 has no 400 for GET and DELETE
		case decision.Kind == 0:
			decision.Kind = p.kind
		}
		d.report(p, in, decision)
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
	text := func(o verify.Object, name string) string {
		v, _, err := o.String(name)
		if err != nil {
			return ""
		}
		return cut(v, longestID)
	}
	softwareID, orgID := text(in.SSA, "software_id"), text(in.SSA, "org_id")
	level := slog.LevelInfo
	if said == "failed" {
		level = slog.LevelError
	}
	d.log.LogAttrs(d.r.Context(), level, "policy", slog.String("policy", p.Name), slog.String("mode", mode), slog.String("verdict", said),
		slog.String("reason", decision.Reason), slog.String("operation", in.Operation), slog.String("support_code", d.support),
		slog.String("software_id", softwareID), slog.String("org_id", orgID),
		slog.Any("scopes", few(decision.Scopes)), slog.Any("grant_types", few(decision.GrantTypes)))
	if said == "narrowed" || !d.events.ShouldEmit(policyDenied) {
		return
	}
	d.events.Emit(d.ctx, policyDenied, map[string]any{
		"workspace": d.Workspace, "policy": p.Name, "mode": mode, "verdict": said, "reason": decision.Reason, "operation": in.Operation, "support_code": d.support,
		"software_id": softwareID, "org_id": orgID,
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
