package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// What the words of a policy must be. The Caddyfile's reader asks, which can tell the
// line, and provisioning once more, for configurations in JSON.

// moduleLanguage is the module's name; empty if there is none.
func (p *Policy) moduleLanguage() string {
	var module struct {
		Language string `json:"language"`
	}
	if err := json.Unmarshal(p.PolicyRaw, &module); err != nil {
		return ""
	}
	return module.Language
}

// nameAt is what a policy is called that has as many before it.
func (p *Policy) nameAt(before int) string {
	if p.Name != "" {
		return p.Name
	}
	return fmt.Sprintf("%s-%d", p.moduleLanguage(), before+1)
}

// untaken refuses a name that a policy before has, be it by default.
func untaken(name string, before []*Policy) error {
	for i, p := range before {
		if p.nameAt(i) == name {
			return fmt.Errorf("name %s: must be unique in the workspace; policy %d has it already", name, i+1)
		}
	}
	return nil
}

func (p *Policy) checkOn() error { return subset("on", p.On, verify.Operations) }

func (p *Policy) checkText() error {
	if p.Text == "" {
		return nil
	}
	if err := verify.CheckPolicyText(p.Text); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	return nil
}

func (p *Policy) checkCode() error {
	if verify.PolicyCodes[p.Code] == 0 && p.Code != "" {
		return fmt.Errorf("code %q: must be unapproved_software_statement or invalid_client_metadata", p.Code)
	}
	return nil
}

func (p *Policy) checkTimeout() error {
	switch {
	case p.Timeout < 0:
		return errors.New("timeout: must be positive")
	case p.timeout() > verify.MaxPolicyTime:
		return fmt.Errorf("timeout: must be at most %v, because a TPP waits for the answer", verify.MaxPolicyTime)
	}
	return nil
}

// checkReads refuses a policy that reads what is never there when it is asked. A
// language that does not say what it reads is taken at its word.
func (p *Policy) checkReads() error {
	reader, ok := p.policy.(verify.Reader)
	if !ok || slices.Contains(p.On, verify.OperationCreate) || slices.Contains(p.On, verify.OperationUpdate) {
		return nil
	}
	for _, name := range []string{"registration", "request", "software"} {
		if reader.Reads(name) {
			return fmt.Errorf("on %s: it reads %s, which is empty on read and delete; read client.metadata for what is registered, or ask on create and update", strings.Join(p.On, " "), name)
		}
	}
	return nil
}
