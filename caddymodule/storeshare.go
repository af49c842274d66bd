package caddymodule

import (
	"cmp"
	"errors"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// StoreShare bounds what one TPP may have of the store. rate_limit bounds requests in
// seconds; what is written stays.
type StoreShare struct {
	// ClientsPerSoftware is how many clients one software of a directory may have. Those
	// above it that are registered stay. -1 switches it off. Default: 20.
	ClientsPerSoftware int `json:"clients_per_software,omitempty"`
}

// unlimited is what "off" is in JSON.
const unlimited = -1

func (s *StoreShare) check() error {
	if s.ClientsPerSoftware < unlimited {
		return errors.New("clients_per_software: must be positive, or -1 for off")
	}
	return nil
}

// lend tells the registry of the limits. Its own default is none.
func (s *StoreShare) lend(ws *registry.Workspace) {
	ws.ClientsPerSoftware = max(cmp.Or(s.ClientsPerSoftware, registry.DefaultClientsPerSoftware), 0)
}

// clientsPerSoftware reads <n>|off.
func (s *StoreShare) clientsPerSoftware(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	if text == "off" {
		s.ClientsPerSoftware = unlimited
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return d.Errf("clients_per_software: a number of clients, or off, not %q", text)
	}
	s.ClientsPerSoftware = n
	return nil
}
