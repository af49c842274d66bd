package registry

import (
	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
)

// DefaultClientsPerSoftware is how many clients a software may have where nothing is
// said: TPPs register one, and a few more for tests and brands.
const DefaultClientsPerSoftware = 20

// admits refuses another client of a software that has as many as it may have. Those
// that are there stay, also where they are more: an earlier version had no limit.
func (s *software) admits(ws Workspace) error {
	if ws.ClientsPerSoftware <= 0 || s.Clients < ws.ClientsPerSoftware {
		return nil
	}
	return refusal.New(refusal.AccessDenied, "clients_per_software",
		"software_statement: this software has %d clients here, and may have at most %d; delete clients that you no longer need first, or use one of them", s.Clients, ws.ClientsPerSoftware)
}
