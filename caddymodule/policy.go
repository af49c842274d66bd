package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/verify"
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
	// own: printable ASCII, 500 bytes at most. Default: that the bank's policy refuses it.
	Text string `json:"text,omitempty"`

	// Code is the error code of its denials, where the decision has none of its own:
	// unapproved_software_statement or invalid_client_metadata. Default: the first.
	Code string `json:"code,omitempty"`

	// Timeout is what one decision may take. Longer is a denial. Default: 50ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	policy verify.Policy
	kind   verify.Kind
}

const policyNamespace = "http.openbanking_dcr.policies"

// policyCodes are the values of Code.
var policyCodes = map[string]verify.Kind{
	"": verify.UnapprovedSoftwareStatement, "unapproved_software_statement": verify.UnapprovedSoftwareStatement,
	"invalid_client_metadata": verify.InvalidClientMetadata,
}

func (h *Handler) provisionPolicies(ctx caddy.Context) error {
	var names []string
	for i, p := range h.Policies {
		if p == nil {
			return errors.New("policy: null is none")
		}
		if err := p.provision(ctx, i+1); err != nil {
			return fmt.Errorf("policy %s: %w", p.Name, err)
		}
		if slices.Contains(names, p.Name) {
			return fmt.Errorf("policy %s: the name is taken", p.Name)
		}
		names = append(names, p.Name)
	}
	return nil
}

func (p *Policy) provision(ctx caddy.Context, place int) error {
	var module struct {
		Language string `json:"language"`
	}
	if err := json.Unmarshal(p.PolicyRaw, &module); err != nil || module.Language == "" {
		return errors.New("no module of " + policyNamespace)
	}
	if p.Name == "" {
		p.Name = fmt.Sprintf("%s-%d", module.Language, place)
	}
	if len(p.On) == 0 {
		p.On = []string{verify.OperationCreate, verify.OperationUpdate}
	}
	if err := subset("on", p.On, verify.Operations); err != nil {
		return err
	}
	if p.Timeout < 0 {
		return errors.New("timeout: must be positive")
	}
	if p.Timeout == 0 {
		p.Timeout = caddy.Duration(verify.DefaultPolicyTime)
	}
	var ok bool
	if p.kind, ok = policyCodes[p.Code]; !ok {
		return fmt.Errorf("code %q: must be unapproved_software_statement or invalid_client_metadata", p.Code)
	}
	if len(p.Text) > verify.MaxDescription || strings.ContainsFunc(p.Text, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
		return fmt.Errorf("text: at most %d characters of printable ASCII, without quotation marks and backslashes (RFC 6749 5.2)", verify.MaxDescription)
	}
	guest, err := ctx.LoadModule(p, "PolicyRaw")
	if err != nil {
		return err
	}
	if p.policy, ok = guest.(verify.Policy); !ok {
		return fmt.Errorf("%T is no verify.Policy", guest)
	}
	return nil
}

// timeout as a time.Duration.
func (p *Policy) timeout() time.Duration { return time.Duration(p.Timeout) }

// unmarshal reads
//
//	policy <language> <argument...> {
//	    name    <name>
//	    on      create|read|update|delete...
//	    shadow
//	    text    <text>
//	    code    unapproved_software_statement|invalid_client_metadata
//	    timeout <duration>
//	    ...     # the language's own words
//	}
func (p *Policy) unmarshal(d *caddyfile.Dispenser) error {
	all := d.NextSegment()
	d = caddyfile.NewDispenser(all)
	d.Next() // policy
	if !d.NextArg() {
		return d.Err("policy: the language is missing, like cel")
	}
	language, own := d.Val(), caddyfile.Segment{d.Token()}
	for d.NextArg() {
		own = append(own, d.Token())
	}
	open := len(own) + 1 // where all has its brace, if it has one
	var words caddyfile.Segment
	err := block(d, func() error {
		if known, err := p.word(d); known {
			return err
		}
		words = append(words, d.NextSegment()...)
		return nil
	})
	if err != nil {
		return err
	}
	if len(words) > 0 {
		own = append(append(append(own, all[open]), words...), all[len(all)-1])
	}
	d = caddyfile.NewDispenser(own)
	d.Next()
	module, err := caddyfile.UnmarshalModule(d, policyNamespace+"."+language)
	if err != nil {
		if language == "rego" && strings.Contains(err.Error(), "not registered") {
			return d.Err("policy rego: not in this build; build Caddy with --with github.com/caddy-dcr/caddy-dcr/caddymodule/rego too")
		}
		return err
	}
	p.PolicyRaw = caddyconfig.JSONModuleObject(module, "language", language, nil)
	return nil
}

// word reads a word that every policy has.
func (p *Policy) word(d *caddyfile.Dispenser) (known bool, err error) {
	switch d.Val() {
	case "name":
		return true, oneArg(d, &p.Name)
	case "on":
		return true, someArgs(d, &p.On)
	case "shadow":
		p.Shadow = true
		return true, noArgs(d)
	case "text":
		return true, oneArg(d, &p.Text)
	case "code":
		return true, oneArg(d, &p.Code)
	case "timeout":
		return true, duration(d, &p.Timeout)
	}
	return false, nil
}
