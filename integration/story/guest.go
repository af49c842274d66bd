package story

import (
	"net/http"

	"github.com/caddy-dcr/caddy-dcr/integration/tpp"
)

// Guest is the same stage for another test at the same time: with connections, and with
// secrets that no log may hold, of its own. The TPPs are the same. It is not to be closed;
// CloseIdle ends its connections.
func (s *Stage) Guest(answered func(*http.Request, *tpp.Response)) *Stage {
	guest := *s
	guest.answered, guest.issued, guest.clients = answered, s.Secrets(), map[string]*tpp.Client{}
	for _, software := range []*tpp.Software{s.Acme, s.Other, s.Stranger} {
		guest.clients[software.SoftwareID] = software.Client(guest.ClientOptions())
	}
	guest.anonymous = tpp.NewClient(guest.ClientOptions())
	return &guest
}
