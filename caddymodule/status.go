package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/verify/jwks"
)

// ServerStatus is how the authorization server of a workspace is, as far as it is known without
// asking it now.
type ServerStatus struct {
	URL string
	// Checked is when it was last tried in the background, zero for never (checks off). Failed is
	// what was wrong then, nil where it answered as it must.
	Checked time.Time
	Failed  error
	// Breakers are the states of its circuit breakers, by what they are for.
	Breakers map[string]string
}

// DirectoryStatus is how the jwks_uri of a directory is, as far as it is known without asking it
// now.
type DirectoryStatus struct {
	// Directory is the iss of its statements.
	Directory string
	// Keys are those in use.
	Keys jwks.State
	// Checked and Failed are those of ServerStatus.
	Checked time.Time
	Failed  error
}

// Status is how the servers of a workspace are. It asks nobody.
func (a *App) Status(workspace string) (server ServerStatus, directories []DirectoryStatus) {
	for _, h := range a.workspaces {
		if h.Workspace != workspace || h.as == nil {
			continue
		}
		server = ServerStatus{URL: h.AuthorizationServer.URL, Breakers: h.as.Breakers()}
		server.Checked, server.Failed = a.lastCheck(workspace, "authorization_server", "")
		for _, s := range h.SoftwareStatements {
			for _, set := range s.sets {
				if set.kind != KeysOfDirectory {
					continue
				}
				for _, source := range set.all() {
					d := DirectoryStatus{Directory: s.Issuer, Keys: source.State()}
					d.Checked, d.Failed = a.lastCheck(workspace, "directory", source.URL())
					directories = append(directories, d)
				}
			}
		}
	}
	return server, directories
}

// lastCheck is the last outcome of a check in the background: of a URL ("" for any).
func (a *App) lastCheck(workspace, name, url string) (at time.Time, failed error) {
	c := a.checksAtWork()
	if c == nil || c.of[workspace] == nil {
		return at, nil
	}
	for _, one := range c.of[workspace].all() {
		if one.name != name || url != "" && one.url != url {
			continue
		}
		if last := one.last.Load(); last != nil {
			return last.at, last.err
		}
	}
	return at, nil
}

// ConfigurationHash names the configuration of the app and of all workspaces: SHA-256, in hex, of
// the JSON as it was configured. Placeholders are in it, and not what they stand for.
func (a *App) ConfigurationHash() string {
	h := sha256.New()
	h.Write(a.source)
	for _, w := range a.workspaces {
		h.Write([]byte("\n")) // which no line of the JSON has
		h.Write(w.source)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// modulePath is this module's.
const modulePath = "github.com/caddy-dcr/caddy-dcr"

// Version is that of this module in this binary, and Caddy's. Empty where the binary does not say.
func Version() (module, server string) {
	server, _ = caddy.Version()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", server
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path != modulePath {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		return m.Version, server
	}
	return "", server
}
