package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/caddymodule/policylanguage"
	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Policy is one of the bank's own rules for who is let in: a guest module that decides,
// and what becomes of its decisions. All of a workspace's policies are asked, in their
// order, after every other check; the first denial ends the request.
type Policy struct {
	// PolicyRaw is the module, one of http.openbanking_dcr.policies. It must be a
	// verify.Policy. Required.
	PolicyRaw json.RawMessage `json:"policy" caddy:"namespace=http.openbanking_dcr.policies inline_key=language"`

	// Name is what logs, metrics and events call it, once in a workspace. Default: the
	// language, and its place among the workspace's policies: cel-1.
	Name string `json:"name,omitempty"`

	// On are the operations that it is asked about: create, read, update, delete.
	// Default: create, update.
	On []string `json:"on,omitempty"`

	// Shadow: it is asked, and what it says is only reported. Default: false.
	Shadow bool `json:"shadow,omitempty"`

	// Text is what a TPP is told that it denies, where the decision has no text of its
	// own: printable ASCII, 500 bytes at most. Default: that the bank's policy
	// refuses it, which is also what is told of an input that it cannot decide.
	Text string `json:"text,omitempty"`

	// Code is the error code of its denials, where the decision has none of its own:
	// unapproved_software_statement or invalid_client_metadata. Default: the first.
	Code string `json:"code,omitempty"`

	// Timeout is what one decision may take. Longer is a denial. Default: 50ms. At most 1s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	policy   verify.Policy
	kind     refusal.Kind
	language string
	// file is the policy of files that may change; nil where there are none, and then
	// policy is asked.
	file *rereadPolicy
}

func (h *Handler) provisionPolicies(ctx caddy.Context) error {
	for i, p := range h.Policies {
		if p == nil {
			return fmt.Errorf("policies[%d]: must not be null", i)
		}
		if err := p.provision(ctx, h.Policies[:i], &h.app.files); err != nil {
			return fmt.Errorf("policy %s: %w", p.Name, err)
		}
	}
	return nil
}

func (p *Policy) provision(ctx caddy.Context, before []*Policy, watch *fileWatch) error {
	if p.language = p.moduleLanguage(); p.language == "" {
		return errors.New("must be a module of " + policylanguage.Namespace)
	}
	p.Name = p.nameAt(len(before))
	if len(p.On) == 0 {
		p.On = []string{verify.OperationCreate, verify.OperationUpdate}
	}
	if p.Timeout == 0 {
		p.Timeout = caddy.Duration(verify.DefaultPolicyTime)
	}
	if err := errors.Join(untaken(p.Name, before), p.checkOn(), p.checkText(), p.checkCode(), p.checkTimeout()); err != nil {
		return err
	}
	p.kind = verify.PolicyCodes[p.Code]
	raw, began := p.PolicyRaw, time.Now()
	if err := p.load(ctx); err != nil {
		return err
	}
	return p.watch(ctx, raw, watch, began)
}

// load makes the guest, and checks it.
func (p *Policy) load(ctx caddy.Context) error {
	guest, err := ctx.LoadModule(p, "PolicyRaw")
	if err != nil {
		return err
	}
	var ok bool
	if p.policy, ok = guest.(verify.Policy); !ok {
		return fmt.Errorf("%T must implement verify.Policy", guest)
	}
	return p.checkReads()
}

// timeout as a time.Duration.
func (p *Policy) timeout() time.Duration { return time.Duration(p.Timeout) }

// toAsk is the policy as one request is to ask it.
func (p *Policy) toAsk() *gateway.Policy {
	p = p.inUse()
	return &gateway.Policy{Name: p.Name, Language: p.language, On: p.On, Shadow: p.Shadow, Text: p.Text, Kind: p.kind, Timeout: p.timeout(), Policy: p.policy}
}
