package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// reviewWord reads
//
//	on_lost_trust report|suspend
//	retire        unused <duration> report|suspend
func (h *Handler) reviewWord(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "on_lost_trust":
		return oneOf(d, &h.OnLostTrust, reviewReport, reviewSuspend)
	case "retire":
		args := d.RemainingArgs()
		if len(args) != 3 || args[0] != "unused" {
			return d.Err("retire: write retire unused <days> report or suspend, like retire unused 400d report")
		}
		unused, err := caddy.ParseDuration(args[1])
		if err != nil {
			return d.Errf("retire unused %q: must be whole days, at least 30d", args[1])
		}
		h.Retire = &Retire{Unused: caddy.Duration(unused), Then: args[2]}
		return at(d, h.ClientReview.check())
	}
	return unknown(d)
}
