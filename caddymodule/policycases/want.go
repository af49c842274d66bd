package policycases

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/verify"
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// Want is a decision. What is left out is not looked at, except Allowed, Fault and Approval.
type Want struct {
	Allowed bool `json:"allowed"`
	// Code and Text are what the TPP is told by the policy itself: not by the words of its
	// block in the Caddyfile.
	Code string `json:"code"`
	Text string `json:"text"`
	// Reason is a part of what the operator reads.
	Reason string `json:"reason"`
	// Fault: the policy cannot decide this input.
	Fault bool `json:"fault"`
	// Approval is a part of the reason why an operator must approve what is allowed; empty
	// where none must.
	Approval string `json:"approval"`
	// Scopes and GrantTypes are what is left of the registration.
	Scopes     []string `json:"scopes"`
	GrantTypes []string `json:"grant_types"`
}

// holds is nil for a decision that is as wanted.
func (w *Want) holds(d verify.Decision, in *verify.PolicyInput) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	differs := func(what string, got, want any) { fault("%s is %s, not %s", what, shown(got), shown(want)) }
	if d.Allowed != w.Allowed {
		differs("allowed", d.Allowed, w.Allowed)
	}
	if failed := d.Fault != nil; failed != w.Fault {
		differs("fault", failed, w.Fault)
	}
	if (d.Approval == "") != (w.Approval == "") || !strings.Contains(d.Approval, w.Approval) {
		differs("approval", d.Approval, w.Approval)
	}
	textTold := false
	if err := d.Error("", ""); err != nil {
		switch {
		case w.Code == "" || err.Code() == w.Code:
		case d.Kind == 0:
			fault("code: the policy has none of its own, so that it is %s, or that of its block in the Caddyfile, which is not tested; the case wants %s", shown(err.Code()), shown(w.Code))
		default:
			differs("code", err.Code(), w.Code)
		}
		told := err.Description
		textTold = w.Text != "" && (d.Text == "" || told != w.Text)
		switch {
		case !textTold:
		case d.Text == "":
			fault("text: the policy has none of its own, so that a TPP reads the text of its block in the Caddyfile, which is not tested; the case wants %s", shown(w.Text))
		case d.Text == w.Text:
			fault("text is %s for a TPP, which reads printable ASCII, %d bytes at most; the policy has %s", shown(told), refusal.MaxDescription, shown(w.Text))
		default:
			differs("text", told, w.Text)
		}
	}
	switch {
	case d.Allowed && in.Registration == nil && (w.Scopes != nil || w.GrantTypes != nil):
		fault("the input has no registration, whose scopes and grant_types could be left")
	case d.Allowed && in.Registration != nil:
		in.Registration.Narrow(d)
		if left := strings.Fields(in.Registration.Scope); w.Scopes != nil && !slices.Equal(left, w.Scopes) {
			differs("scopes", left, w.Scopes)
		}
		if left := in.Registration.GrantTypes; w.GrantTypes != nil && !slices.Equal(left, w.GrantTypes) {
			differs("grant_types", left, w.GrantTypes)
		}
	}
	switch {
	case !strings.Contains(d.Reason, w.Reason):
		fault("reason is %s, without %s", shown(d.Reason), shown(w.Reason))
	case len(faults) > 0 && d.Reason != "" && (!textTold || d.Reason != d.Text):
		fault("the reason: %s", d.Reason)
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// shown is a value as a case writes it.
func shown(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
