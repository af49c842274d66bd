package admin

import (
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Status is how the gateway is.
type Status struct {
	Workspaces []WorkspaceStatus `json:"workspaces"`
	// ClientsCounted: the clients are counted. They are not in the seconds after a start.
	ClientsCounted bool        `json:"clients_counted"`
	Store          StoreStatus `json:"store"`
}

// WorkspaceStatus is how one workspace is.
type WorkspaceStatus struct {
	Workspace string                  `json:"workspace"`
	Clients   map[registry.Status]int `json:"clients"`
	// Waiting is how many entries of the outbox wait, Oldest since when, seconds since 1970;
	// Discrepancies how many there are of each kind.
	Waiting       int            `json:"waiting"`
	Oldest        int64          `json:"oldest,omitempty"`
	Discrepancies map[string]int `json:"discrepancies"`
}

// StoreStatus is how the store is.
type StoreStatus struct {
	// FreeBytes is what the disk has left, where the system says; Low that it is so little that
	// somebody should do something.
	FreeBytes *uint64 `json:"free_bytes,omitempty"`
	Low       bool    `json:"low"`
	// Unconfirmed: the store was restored, or has lost something, and no operator has
	// confirmed the epoch yet.
	Unconfirmed bool `json:"unconfirmed"`
}

// status needs no look at the store, so that it has an answer at once.
func (c *call) status() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	counts, complete := c.registry.ClientCounts(c.app.Workspaces())
	backlogs, err := c.registry.BacklogCounts(c.r.Context())
	if err != nil {
		return nil, err
	}
	s := Status{Workspaces: []WorkspaceStatus{}, ClientsCounted: complete}
	for _, n := range counts {
		w := WorkspaceStatus{Workspace: n.Workspace, Clients: n.ByStatus, Discrepancies: map[string]int{}}
		for _, b := range backlogs {
			if b.Workspace == n.Workspace {
				w.Waiting, w.Oldest = b.Waiting, b.Oldest
				for kind, n := range b.Discrepancies {
					w.Discrepancies[kind] = n
				}
			}
		}
		s.Workspaces = append(s.Workspaces, w)
	}
	free, low, known := c.registry.Room()
	if s.Store = (StoreStatus{Low: low, Unconfirmed: c.registry.Epoch().Unconfirmed()}); known {
		s.Store.FreeBytes = &free
	}
	return s, nil
}
