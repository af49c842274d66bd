// Package caddymodule is the gateway as Caddy sees it: an app that holds the
// store over reloads, and a handler that configures a gateway and guards a whole
// site with it.
package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/gateway"
	"github.com/caddy-dcr/caddy-dcr/registry"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds what all workspaces share. It is summoned by the handlers: nobody
// has to configure it.
type App struct {
	// StoreRaw is the engine that the registry runs on, a module of
	// openbanking_dcr.stores.
	// Default: badger, in the folder openbanking_dcr/store of Caddy's data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=openbanking_dcr.stores inline_key=engine"`

	// Keyset is a Tink keyset in JSON (AEAD) that encrypts the AS's credentials in
	// the store. Must be a placeholder: {env.X} or {file.X}.
	// Default: generated beside an empty store, openbanking_dcr/keyset.json in Caddy's
	// data directory, readable by Caddy's user only. Back it up with the store.
	Keyset string `json:"keyset,omitempty"`

	// KeysetLost gives the store another keyset, where its own is lost for good: the id that
	// the error of the start names, which counts once. Default: none.
	KeysetLost string `json:"keyset_lost,omitempty"`

	// Restored declares that the store was put back from a copy, by a label that the store
	// has not seen yet, the date for instance. At the first start with it what was issued up
	// to then counts as used, and clients that the registry does not know are refused until
	// an operator confirms. Default: none.
	Restored string `json:"restored,omitempty"`

	// Checks "off" has the gateway try nothing by itself. Default: the authorization
	// servers, the directories' jwks_uri and the gateway's own clients are tried when the
	// configuration starts and every five minutes, and the log says what is wrong.
	Checks string `json:"checks,omitempty"`

	// AdminHosts are the names, beside localhost and IP addresses, under which the admin API of
	// the gateway is used without TLS: lower case, without a port. A name of another site that
	// leads here (DNS rebinding) is refused. Default: none.
	AdminHosts []string `json:"admin_hosts,omitempty"`

	// FourEyes are the changes over the admin API for which two operators are demanded, who are
	// known by their certificates at Caddy's remote admin endpoint: delete (a client), resume (what
	// is suspended), approve (a client). The first call proposes, that of another operator within 24
	// hours confirms. Default: none.
	FourEyes []string `json:"four_eyes,omitempty"`

	// source is the configuration as it came: modules lose theirs when they are loaded.
	source json.RawMessage
	engine Engine
	doubts []Doubt
	keyset string
	ctx    caddy.Context
	log    *slog.Logger

	mu         sync.Mutex
	workspaces []*Handler
	// own are the headers of all workspaces: a site may have several.
	own gateway.HeaderFilter
	// users are the requests at work, and the app itself between Start and Cleanup.
	users    int
	started  bool
	gone     bool // Cleanup was called
	registry *registry.Registry
	giveBack []func()
	// opening is there while somebody opens the store, and is closed then.
	opening chan struct{}
	// keeping are the key sets that are to be written.
	keeping keeping
	// files are those that the configuration names.
	files fileWatch
	// importing is held while a file of clients is received and imported.
	importing sync.Mutex
	// checks are at work between Start and Stop.
	checks *checking
}

// CaddyModule returns the module's name.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "openbanking_dcr", New: func() caddy.Module { return new(App) }}
}

// Provision reads the configuration. The store is not opened before Start:
// caddy validate provisions too, beside a running server.
func (a *App) Provision(ctx caddy.Context) (err error) {
	if a.source, err = json.Marshal(a); err != nil {
		return err
	}
	a.ctx, a.log = ctx, ctx.Slogger()
	a.files.log = a.log
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"engine":"badger"}`)
	}
	engine, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	a.engine = engine.(Engine)
	if a.keyset, err = secret("keyset", a.Keyset); err != nil {
		return err
	}
	if err := errors.Join(checkLabel(a.Restored), a.checkKeyset(), a.checkChecks(), checkAdminHosts(a.AdminHosts), registry.CheckFourEyes(a.FourEyes)); err != nil {
		return err
	}
	return a.offerMetrics()
}

// Start opens the store, or shares the one that is open.
func (a *App) Start() error {
	if len(a.workspaces) == 0 {
		return nil // options without a directive: nothing to keep
	}
	r, err := a.Enter()
	if err != nil {
		return err
	}
	a.tellEpoch(r.Epoch())
	a.mu.Lock()
	a.started = true
	a.mu.Unlock()
	go a.files.run(a.ctx)
	a.startCRLs()
	a.startChecks()
	return nil
}

// Stop ends the checks. The requests of this configuration go on after it.
func (a *App) Stop() error {
	a.cancelChecks()
	return nil
}

// Workspaces are the names of those that are configured.
func (a *App) Workspaces() (names []string) {
	for _, h := range a.workspaces {
		names = append(names, h.Workspace)
	}
	return names
}

// join adds a workspace. Two that could answer one request are an error.
func (a *App) join(h *Handler) error {
	for _, other := range a.workspaces {
		switch {
		case other.Workspace == h.Workspace:
			return fmt.Errorf("workspace %s is configured twice (a site with several addresses on different ports counts several times)", h.Workspace)
		case gateway.Within(other.issuerPath, h.issuerPath) || gateway.Within(h.issuerPath, other.issuerPath):
			return fmt.Errorf("workspaces %s and %s overlap: their issuers are under the same path (%s, %s)", other.Workspace, h.Workspace, other.issuerPath, h.issuerPath)
		}
	}
	a.workspaces = append(a.workspaces, h)
	return nil
}

// secret resolves a configured secret. It must be a placeholder, so that the
// value is never in a configuration that Caddy shows or saves. Unset is an error.
func secret(name, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	if err := mustBePlaceholder(name, value); err != nil {
		return "", err
	}
	v, err := caddy.NewReplacer().ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if v = strings.TrimRight(v, "\r\n"); v == "" {
		return "", fmt.Errorf("%s: %s is empty", name, value) // and not as if nothing was configured
	}
	return v, nil
}

func mustBePlaceholder(name, value string) error {
	inner, ok := strings.CutPrefix(value, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if ok && closed && !strings.ContainsAny(inner, "{}") && (strings.HasPrefix(inner, "env.") || strings.HasPrefix(inner, "file.")) {
		return nil
	}
	return fmt.Errorf("%s must be a placeholder, {env.NAME} or {file.path}, so that the secret is not kept in the configuration", name)
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
