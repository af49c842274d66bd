package gateway

import (
	"errors"
	"slices"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// maxDecisions is how often a registration is decided anew because the software has got
// another client meanwhile.
const maxDecisions = 8

// decided asks the policies about a registration, and does it as they leave it. c is
// the client of a PUT, nil for a POST.
func (d *registrationRequest) decided(c *registry.Client, in *registry.Registration, do func(registry.Registration) (*registry.Client, error)) (*registry.Client, error) {
	steps := d.request.trace.Len()
	for range maxDecisions {
		d.request.trace.Rewind(steps)
		one := *in
		if err := d.judgeRegistration(c, &one); err != nil {
			return nil, err
		}
		one.Origin = d.origin()
		if c == nil {
			d.beginApproval()
		}
		d.beginRegistry()
		made, err := do(one)
		if !errors.Is(err, registry.ErrSoftwareChanged) {
			return made, err
		}
	}
	return nil, refusal.New(refusal.Unavailable, "policy", "other registrations of this software are under way; try again later")
}

// judgeRegistration asks the policies of POST and PUT. What they leave of the metadata
// is in in when it returns.
func (d *registrationRequest) judgeRegistration(c *registry.Client, in *registry.Registration) (err error) {
	operation := verify.OperationCreate
	if c != nil {
		operation = verify.OperationUpdate
	}
	policies := d.request.gateway.policiesFor(operation)
	// With a token that was used up nothing is registered but what that has registered.
	if len(policies) == 0 || in.Spent != nil {
		return nil
	}
	narrowed := *in.Checked
	in.RequestedMetadata, in.Checked, in.Client = &in.Checked.Metadata, &narrowed, c
	look := verify.PolicyInput{Request: in.Request.Claims, SSA: in.Request.Statement.Claims, Registration: &narrowed.Metadata}
	if readBy(policies, "software") {
		d.request.trace.Begin("registry", "software", "what policies read", nil)
		software, err := d.store.SoftwareClients(d.request.r.Context(), d.options.Workspace, *in, c)
		if err != nil {
			return err
		}
		look.Software = &verify.PolicySoftware{Clients: int64(software.Count)}
		if c == nil {
			in.Software = software
		}
	}
	in.Approval, err = d.judge(policies, operation, c, &look)
	return err
}

// judgeRegistered asks the policies of GET and DELETE.
func (d *registrationRequest) judgeRegistered(operation string, c *registry.Client) (err error) {
	policies := d.request.gateway.policiesFor(operation)
	if len(policies) == 0 {
		return nil
	}
	var look verify.PolicyInput
	if readBy(policies, "ssa") {
		d.request.trace.Begin("registry", "ssa", "what policies read", nil)
		c, request, err := d.store.Document(d.request.r.Context(), c)
		if err != nil {
			return err
		}
		if _, look.SSA, err = c.Statement(request); err != nil {
			return err
		}
	}
	_, err = d.judge(policies, operation, c, &look)
	return err
}

func (g *Gateway) policiesFor(operation string) (policies []*Policy) {
	for _, now := range g.options.Policies {
		if p := now(); slices.Contains(p.On, operation) {
			policies = append(policies, p)
		}
	}
	return policies
}

func readBy(policies []*Policy, name string) bool {
	return slices.ContainsFunc(policies, func(p *Policy) bool { return verify.Reads(p.Policy, name) })
}

// judge asks policies in their order; the first denial ends it. approval are those that let a
// registration in on the condition that an operator approves it.
func (d *registrationRequest) judge(policies []*Policy, operation string, c *registry.Client, in *verify.PolicyInput) (approval []registry.ApprovalReason, err error) {
	in.Operation, in.Workspace, in.Now, in.Token = operation, d.options.Workspace.Name, d.now().UTC(), d.token.ForPolicy()
	in.Remote = d.options.Host.ClientIP(d.request.r)
	if d.cert != nil {
		in.Certificate, in.CertificateFault = d.cert.ForPolicy()
	}
	in.Client = c.ForPolicy()
	d.objections = nil
	for _, p := range policies {
		d.beginPolicy(p, in)
		decision := verify.Evaluate(d.request.r.Context(), p.Policy, in, p.Timeout)
		switch {
		case in.Registration == nil:
			decision.Kind = refusal.AccessDenied // DCR 3.2 has no 400 for GET and DELETE
			decision.Approval = ""               // there is nothing to approve
		case decision.Kind == 0:
			decision.Kind = p.Kind
		}
		d.report(p, in, decision)
		d.concludePolicy(p, decision)
		if p.Shadow {
			d.object(p, decision)
			continue
		}
		if err := decision.Error(p.Name, p.Text); err != nil {
			d.request.note("policy", p.Name)
			return nil, err
		}
		if in.Registration != nil {
			in.Registration.Narrow(decision)
		}
		approval = append(approval, approvalOf(p, decision)...)
	}
	return approval, nil
}
