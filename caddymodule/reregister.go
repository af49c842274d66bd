package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Reregister is what a POST does that repeats one, with the same software,
// certificate and metadata: a TPP whose answer was lost sends one.
type Reregister struct {
	// Mode is allow (it makes another client), return (it is answered with the
	// registration that is there), update (as return; with other metadata it updates
	// that registration) or reject (it is refused). Required.
	Mode string `json:"mode"`
	// Window is how long after the registration. Default: 24h.
	Window caddy.Duration `json:"window,omitempty"`
}

// checkReregister refuses what would let anybody who has seen a software statement
// and a signed request find somebody else's registration.
func (h *Handler) checkReregister() error {
	r := h.Reregister
	switch {
	case r == nil:
		return nil
	case !slices.Contains(registry.ReregisterModes, r.Mode):
		return fmt.Errorf("reregister %q: must be one of %q", r.Mode, registry.ReregisterModes)
	case r.Window < 0 || r.Window > 0 && r.Mode == registry.ReregisterAllow:
		return errors.New("reregister: window must be positive, and must be left out with allow")
	case r.Mode != registry.ReregisterAllow && !h.needsCertificate():
		return fmt.Errorf("reregister %s: needs client certificates, and client_certificate is off: they tell one TPP from another", r.Mode)
	case r.Mode != registry.ReregisterAllow && h.NoSoftwareStatement:
		return fmt.Errorf("reregister %s: needs software statements, and software_statement is off: they tell one software from another", r.Mode)
	}
	return nil
}

// reregister is the registry's form.
func (h *Handler) reregister() registry.Reregister {
	if h.Reregister == nil {
		return registry.Reregister{}
	}
	return registry.Reregister{Mode: h.Reregister.Mode, Window: time.Duration(h.Reregister.Window)}
}
