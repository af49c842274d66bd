package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile reads, in listener_wrappers of the global option servers,
//
//	openbanking_dcr {
//	    timeout <duration>
//	    at_once <n>
//	}
func (h *Handshakes) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the wrapper's name
	if err := noArgs(d); err != nil {
		return err
	}
	return block(d, func() error {
		switch d.Val() {
		case "timeout":
			return duration(d, &h.Timeout)
		case "at_once":
			var text string
			if err := oneArg(d, &text); err != nil {
				return err
			}
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return d.Errf("at_once %q: must be a positive number", text)
			}
			h.AtOnce = n
			return nil
		}
		return unknown(d)
	})
}

var _ caddyfile.Unmarshaler = (*Handshakes)(nil)
