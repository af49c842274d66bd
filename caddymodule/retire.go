package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// ClientReview is what becomes of clients that are looked at again, once a day.
type ClientReview struct {
	// OnLostTrust is what becomes of a client whose key or certificate was revoked: "report" or
	// "suspend", at most 5 clients or 1 % of them a day. Default: report.
	OnLostTrust string `json:"on_lost_trust,omitempty"`
	// Retire is what becomes of clients that nobody uses. Default: nothing.
	Retire *Retire `json:"retire,omitempty"`
}

// Retire is what becomes of clients that nobody has used for some time.
type Retire struct {
	// Unused is for how long, in whole days, at least 30. Required.
	Unused caddy.Duration `json:"unused"`
	// Then is "report", or "suspend": at most as many a day as OnLostTrust. Required.
	Then string `json:"then"`
}

const (
	reviewReport  = "report"
	reviewSuspend = "suspend"
	oneDay        = 24 * time.Hour
	// leastUnused is less than most TPPs are ever silent.
	leastUnused = 30 * oneDay
)

func (c *ClientReview) check() error {
	if c.OnLostTrust != "" && c.OnLostTrust != reviewReport && c.OnLostTrust != reviewSuspend {
		return fmt.Errorf("on_lost_trust %q: must be report or suspend", c.OnLostTrust)
	}
	r := c.Retire
	switch {
	case r == nil:
		return nil
	case time.Duration(r.Unused) < leastUnused || time.Duration(r.Unused)%oneDay != 0:
		return errors.New("retire unused: must be whole days, at least 30d")
	case r.Then != reviewReport && r.Then != reviewSuspend:
		return fmt.Errorf("retire unused %q: must be report or suspend", r.Then)
	}
	return nil
}

// attach tells the registry.
func (c *ClientReview) attach(ws *registry.Workspace) {
	ws.SuspendLostTrust = c.OnLostTrust == reviewSuspend
	if r := c.Retire; r != nil {
		ws.Retire = registry.Retire{Days: int(time.Duration(r.Unused) / oneDay), Suspend: r.Then == reviewSuspend}
	}
}
