package caddymodule

import (
	"context"
	"errors"
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
	// AcceptLoss is the word that the gateway asks for when it refuses a store that is
	// damaged or incomplete: it goes on without what is missing. It fits that loss alone,
	// and does nothing where nothing is missing. Default: none
	AcceptLoss string `json:"accept_loss,omitempty"`

	absolute string
	doubts   []Doubt
}

// CaddyModule returns the module's name.
func (BadgerStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "openbanking_dcr.stores.badger", New: func() caddy.Module { return new(BadgerStore) }}
}

// Provision settles the directory and judges it. Nothing is opened or made.
func (b *BadgerStore) Provision(ctx caddy.Context) error {
	if b.AcceptLoss != "" && !badger.ValidAcceptLoss(b.AcceptLoss) {
		return fmt.Errorf("accept_loss: %w", errAcceptLoss)
	}
	var err error
	if b.absolute, err = b.Path(); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	doubts, err := judgeDirectory(b.absolute, thisUser())
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	for _, one := range doubts {
		doubt(doubtful{log: ctx.Slogger(), kept: &b.doubts}, "found wrong permissions on the store's directory", one.check, "apps/openbanking_dcr/store/directory", "install -d -o <Caddy's user> -m 700 "+b.absolute+", and chown what is in it", slog.String("problem", one.problem))
	}
	return nil
}

// Path is the absolute directory, with its placeholders filled in.
func (b *BadgerStore) Path() (string, error) {
	if b.Directory == "" {
		return filepath.Abs(filepath.Join(dataDirectory(), "store"))
	}
	directory, err := caddy.NewReplacer().ReplaceOrErr(b.Directory, true, true)
	if err != nil {
		return "", err
	}
	return filepath.Abs(directory)
}

// UnmarshalCaddyfile reads
//
//	store badger [<directory>] {
//		accept_loss <sequence>-<code>
//	}
func (b *BadgerStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the engine's name
	if d.NextArg() {
		b.Directory = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch word := d.Val(); word {
		case "accept_loss":
			if b.AcceptLoss != "" {
				return d.Errf("store badger: %s is written twice", word)
			}
			if !d.AllArgs(&b.AcceptLoss) {
				return d.ArgErr()
			}
			if !badger.ValidAcceptLoss(b.AcceptLoss) {
				return d.Errf("store badger: accept_loss %q: %v", b.AcceptLoss, errAcceptLoss)
			}
		default:
			return d.Errf("store badger: unknown word %q", word)
		}
	}
	return nil
}

var errAcceptLoss = errors.New("write the word that the gateway's error asks for, such as 1234-0123456789ab")

// Key is the absolute directory.
func (b *BadgerStore) Key() string { return "badger:" + b.absolute }

// Open opens the directory.
func (b *BadgerStore) Open(_ context.Context, log *slog.Logger) (registry.Store, error) {
	return badger.Open(b.options(log))
}

// openToFill opens it for much that is written at once.
func (b *BadgerStore) openToFill(_ context.Context, log *slog.Logger) (registry.Store, error) {
	o := b.options(log)
	o.Filling = true
	return badger.Open(o)
}

func (b *BadgerStore) options(log *slog.Logger) badger.Options {
	return badger.Options{Dir: b.absolute, Logger: printf{log}, AcceptLoss: b.AcceptLoss}
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
