package policycases

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
)

// Want is a decision. What is left out is not looked at, except Allowed.
type Want struct {
	Allowed bool `json:"allowed"`
	// Code and Text are what the TPP is told.
	Code string `json:"code"`
	Text string `json:"text"`
	// Reason is a part of what the operator reads.
	Reason string `json:"reason"`
	// Fault: the policy cannot decide this input.
	Fault bool `json:"fault"`
	// Scopes and GrantTypes are what is left of the registration.
	Scopes     []string `json:"scopes"`
	GrantTypes []string `json:"grant_types"`
}

func (w *Want) holds(d verify.Decision, in *verify.PolicyInput) error {
	var faults []string
	differs := func(what string, got, want any) {
		faults = append(faults, fmt.Sprintf("%s is %v, not %v", what, got, want))
	}
	if d.Allowed != w.Allowed {
		differs("allowed", d.Allowed, w.Allowed)
	}
	if fault := d.Fault != nil; fault != w.Fault {
		differs("fault", fault, w.Fault)
	}
	if !strings.Contains(d.Reason, w.Reason) {
		differs("reason", d.Reason, w.Reason)
	}
	if err := d.Error("", ""); err != nil {
		if w.Code != "" && err.Code() != w.Code {
			differs("code", err.Code(), w.Code)
		}
		if w.Text != "" && d.Text != w.Text {
			differs("text", d.Text, w.Text)
		}
	}
	switch {
	case d.Allowed && in.Registration == nil && (w.Scopes != nil || w.GrantTypes != nil):
		faults = append(faults, "the input has no registration, whose scopes and grant_types could be left")
	case d.Allowed && in.Registration != nil:
		in.Registration.Narrow(d)
		if left := strings.Fields(in.Registration.Scope); w.Scopes != nil && !slices.Equal(left, w.Scopes) {
			differs("scopes", left, w.Scopes)
		}
		if left := in.Registration.GrantTypes; w.GrantTypes != nil && !slices.Equal(left, w.GrantTypes) {
			differs("grant_types", left, w.GrantTypes)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	if d.Reason != "" {
		faults = append(faults, "the reason: "+d.Reason)
	}
	return errors.New(strings.Join(faults, "; "))
}
