// Package forgetfulstore is a guest of Caddy that keeps the registry in memory,
// so that the load tests can tell what the disk costs. Only the gateway of the
// tests has it: a bank whose registry forgets would let every token register
// again.
package forgetfulstore

import (
	"context"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/memory"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module keeps the registry until the last configuration that uses it ends.
type Module struct{}

// CaddyModule returns the module's name.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "openbanking_dcr.stores.memory", New: func() caddy.Module { return new(Module) }}
}

// UnmarshalCaddyfile reads
//
//	store memory
func (*Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("store memory: unknown word %q", d.Val())
	}
	return nil
}

// Key is the same for all: a process has one.
func (*Module) Key() string { return "memory" }

// Open returns an empty store.
func (*Module) Open(context.Context, *slog.Logger) (registry.Store, error) {
	return memory.Open(memory.Options{}), nil
}

// Interface guards.
var (
	_ caddymodule.Engine    = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
)
