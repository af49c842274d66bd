package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/badger"
)

func init() {
	caddy.RegisterModule(BadgerStore{})
}

// BadgerStore keeps the registry in a directory of this machine. The directory
// is exclusive: one Caddy at a time.
type BadgerStore struct {
	// Directory is created when missing, for Caddy's user only. Placeholders may
	// be used. Default: openbanking_dcr/store in Caddy's data directory.
	Directory string `json:"directory,omitempty"`

	absolute string
}

// CaddyModule returns the module's name.
func (BadgerStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "openbanking_dcr.stores.badger", New: func() caddy.Module { return new(BadgerStore) }}
}

// Provision settles the directory. Nothing is opened or made.
func (b *BadgerStore) Provision(caddy.Context) error {
	directory := filepath.Join(dataDirectory(), "store")
	if b.Directory != "" {
		var err error
		if directory, err = caddy.NewReplacer().ReplaceOrErr(b.Directory, true, true); err != nil {
			return fmt.Errorf("directory: %w", err)
		}
	}
	var err error
	b.absolute, err = filepath.Abs(directory)
	return err
}

// UnmarshalCaddyfile reads
//
//	store badger [<directory>]
func (b *BadgerStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		b.Directory = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		return d.Errf("store badger: unknown word %q", d.Val())
	}
	return nil
}

// Key is the absolute directory.
func (b *BadgerStore) Key() string { return "badger:" + b.absolute }

// Open opens the directory.
func (b *BadgerStore) Open(_ context.Context, log *slog.Logger) (registry.Store, error) {
	return badger.Open(badger.Options{Dir: b.absolute, Logger: printf{log}})
}

// printf lets Badger, which formats its messages itself, write to a slog.Logger.
type printf struct{ *slog.Logger }

func (l printf) Errorf(format string, args ...any) { l.Error(fmt.Sprintf(format, args...)) }
func (l printf) Warnf(format string, args ...any)  { l.Warn(fmt.Sprintf(format, args...)) }
func (l printf) Debugf(format string, args ...any) { l.Debug(fmt.Sprintf(format, args...)) }

// Interface guards.
var (
	_ Engine                = (*BadgerStore)(nil)
	_ caddy.Provisioner     = (*BadgerStore)(nil)
	_ caddyfile.Unmarshaler = (*BadgerStore)(nil)
)
