package caddymodule

import (
	"cmp"
	"errors"
	"math"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// StoreShare bounds what one TPP may have of the store. rate_limit bounds requests in
// seconds; what is written stays.
type StoreShare struct {
	// ClientsPerSoftware is how many clients one software of a directory may have. Those
	// above it that are registered stay. -1 switches it off. Default: 20.
	ClientsPerSoftware int `json:"clients_per_software,omitempty"`

	// BytesPerOrganisation is how many bytes registrations and updates of one organisation
	// of a directory may write in a day (UTC). -1 switches it off. Default: 104857600 (100 MiB).
	BytesPerOrganisation int64 `json:"bytes_per_organisation,omitempty"`
}

// unlimited is what "off" is in JSON.
const unlimited = -1

func (s *StoreShare) check() error {
	if s.ClientsPerSoftware < unlimited {
		return errors.New("clients_per_software: must be positive, or -1 for off")
	}
	if s.BytesPerOrganisation < unlimited {
		return errors.New("bytes_per_organisation: must be positive, or -1 for off")
	}
	return nil
}

// attach tells the registry of the limits. Its own default is none.
func (s *StoreShare) attach(ws *registry.Workspace) {
	ws.ClientsPerSoftware = max(cmp.Or(s.ClientsPerSoftware, registry.DefaultClientsPerSoftware), 0)
	ws.BytesPerOrganisation = max(cmp.Or(s.BytesPerOrganisation, registry.DefaultBytesPerOrganisation), 0)
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
		return d.Errf("clients_per_software: must be a number of clients, or off, not %q", text)
	}
	s.ClientsPerSoftware = n
	return nil
}

// bytesPerOrganisation reads <size>|off.
func (s *StoreShare) bytesPerOrganisation(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	if text == "off" {
		s.BytesPerOrganisation = unlimited
		return nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n < 1 || n > math.MaxInt64 {
		return d.Errf("bytes_per_organisation: must be a size like 100MiB, or off, not %q", text)
	}
	s.BytesPerOrganisation = int64(n)
	return nil
}
