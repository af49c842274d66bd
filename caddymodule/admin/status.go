package admin

import (
	"runtime"
	"time"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Status is how the gateway is.
type Status struct {
	Workspaces []WorkspaceStatus `json:"workspaces"`
	// ClientsCounted: the clients are counted. They are not in the seconds after a start.
	ClientsCounted bool        `json:"clients_counted"`
	Store          StoreStatus `json:"store"`
	Version        Version     `json:"version"`
	// ConfigurationHash names what is configured: see caddymodule.App.
	ConfigurationHash string `json:"configuration_hash"`
	// FourEyes are the changes for which two operators are demanded.
	FourEyes []string `json:"four_eyes"`
}

// Version is that of the program: of this module, of Caddy and of Go. Those that are not known are
// left out.
type Version struct {
	Module string `json:"caddy_dcr,omitempty"`
	Caddy  string `json:"caddy,omitempty"`
	Go     string `json:"go"`
}

// ServerStatus is how an authorization server is, as far as it is known without asking it now.
type ServerStatus struct {
	URL string `json:"url"`
	// Reachable is what the last check in the background has found, at CheckedAt; null before it.
	Reachable *bool     `json:"reachable"`
	CheckedAt time.Time `json:"checked_at,omitzero"`
	Error     string    `json:"error,omitempty"`
	// Breakers are the states of the circuit breakers: closed, open or half-open.
	Breakers map[string]string `json:"circuit_breakers"`
}

// DirectoryStatus is how the jwks_uri of a directory is.
type DirectoryStatus struct {
	Directory  string    `json:"directory"`
	URL        string    `json:"url"`
	FetchedAt  time.Time `json:"fetched_at,omitzero"`
	AgeSeconds int64     `json:"age_seconds,omitempty"`
	// Error is that of the last fetch or, where that has none, of the last check.
	Error     string    `json:"error,omitempty"`
	CheckedAt time.Time `json:"checked_at,omitzero"`
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
	Server        ServerStatus   `json:"authorization_server"`
	// Directories are those whose keys have an address.
	Directories []DirectoryStatus `json:"directories"`
}

// StoreStatus is how the store is.
type StoreStatus struct {
	// FreeBytes is what the disk has left, where the system says; Low that it is so little that
	// somebody should do something.
	FreeBytes *uint64 `json:"free_bytes,omitempty"`
	Low       bool    `json:"low"`
	// SizeBytes is what the store takes on the disk, where the system says.
	SizeBytes *uint64 `json:"size_bytes,omitempty"`
	// Schema is the form of the records, Sequence the number of the last commit, where the engine
	// numbers them.
	Schema   int    `json:"schema"`
	Sequence uint64 `json:"sequence,omitempty"`
	// Unconfirmed: the store was restored, or has lost something, and no operator has
	// confirmed the epoch yet.
	Unconfirmed bool `json:"unconfirmed"`
}

// status reads no record of the store and asks no server, so that it has an answer at once.
func (c *call) status() (any, error) {
	if _, err := c.query(nil); err != nil {
		return nil, err
	}
	counts, complete := c.registry.ClientCounts(c.app.Workspaces())
	backlogs, err := c.registry.BacklogCounts(c.r.Context())
	if err != nil {
		return nil, err
	}
	s := Status{Workspaces: []WorkspaceStatus{}, ClientsCounted: complete, ConfigurationHash: c.app.ConfigurationHash(), FourEyes: nonNil(c.app.FourEyes), Version: Version{Go: runtime.Version()}}
	s.Version.Module, s.Version.Caddy = caddymodule.Version()
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
		w.Server, w.Directories = c.servers(n.Workspace)
		s.Workspaces = append(s.Workspaces, w)
	}
	s.Store, err = c.storeStatus()
	return s, err
}

func (c *call) storeStatus() (s StoreStatus, err error) {
	free, low, known := c.registry.Room()
	if s = (StoreStatus{Low: low, Unconfirmed: c.registry.Epoch().Unconfirmed(), Schema: registry.StoreSchema}); known {
		s.FreeBytes = &free
	}
	if size, known := c.registry.Size(); known {
		s.SizeBytes = &size
	}
	s.Sequence, err = c.registry.Sequence(c.r.Context())
	return s, err
}

// servers is how those of a workspace are.
func (c *call) servers(workspace string) (server ServerStatus, directories []DirectoryStatus) {
	as, from := c.app.Status(workspace)
	server = ServerStatus{URL: as.URL, CheckedAt: utc(as.Checked), Breakers: as.Breakers}
	if !as.Checked.IsZero() {
		reachable := as.Failed == nil
		server.Reachable = &reachable
	}
	if as.Failed != nil {
		server.Error = as.Failed.Error()
	}
	directories = []DirectoryStatus{}
	for _, d := range from {
		one := DirectoryStatus{Directory: d.Directory, URL: d.Keys.URL, FetchedAt: utc(d.Keys.Fetched), CheckedAt: utc(d.Checked)}
		if !d.Keys.Fetched.IsZero() {
			one.AgeSeconds = int64(time.Since(d.Keys.Fetched).Seconds())
		}
		switch {
		case d.Keys.Failed != nil:
			one.Error = d.Keys.Failed.Error()
		case d.Failed != nil:
			one.Error = d.Failed.Error()
		}
		directories = append(directories, one)
	}
	return server, directories
}
