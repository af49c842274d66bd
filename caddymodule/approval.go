package caddymodule

import (
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Approval is what an operator must approve before a client may do anything, beside what
// policies demand.
type Approval struct {
	// Mode must be manual: an operator approves with the admin API. Required.
	Mode string `json:"mode"`
	// Of is registrations (every new client) or changes (these, and updates that give a client
	// more than it had). Default: registrations.
	Of string `json:"of,omitempty"`
}

// The events of what an operator has decided about a client that awaited approval.
const (
	EventApproved = "openbanking_dcr_approved"
	EventRefused  = "openbanking_dcr_refused"
)

// manualApproval is the one Mode that there is.
const manualApproval = "manual"

// unmarshal reads
//
//	approval manual [registrations|changes]
func (a *Approval) unmarshal(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("approval: write approval manual, or approval manual changes")
	}
	a.Mode = d.Val()
	if d.NextArg() {
		a.Of = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return at(d, a.check())
}

func (a *Approval) check() error {
	switch {
	case a == nil:
		return nil
	case a.Mode != manualApproval:
		return fmt.Errorf("approval %q: must be %s", a.Mode, manualApproval)
	case a.Of != "" && !slices.Contains(registry.ApprovalModes, a.Of):
		return fmt.Errorf("approval %s %q: must be one of %q", manualApproval, a.Of, registry.ApprovalModes)
	}
	return nil
}

// approval is the registry's form.
func (h *Handler) approval() string {
	switch {
	case h.Approval == nil:
		return ""
	case h.Approval.Of == "":
		return registry.ApprovalRegistrations
	}
	return h.Approval.Of
}

// warnOfApproval says what clients cannot do while they wait: they get no token to manage
// their registrations with.
func (h *Handler) warnOfApproval() {
	if h.Approval != nil && h.RegistrationAccessToken == nil && !h.explains {
		doubt(h.doubtful(), "cannot let clients that await approval read, change or delete their registrations, because registration_access_token is off",
			"approval-without-access-token", "openbanking_dcr "+h.Workspace+"/approval", "write registration_access_token, unless a TPP that has made a mistake is to wait until an operator refuses its client")
	}
}
