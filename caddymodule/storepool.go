package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// Engine is a guest module of openbanking_dcr.stores: a place for the registry.
type Engine interface {
	// Key names what can be open only once, for instance an absolute directory.
	// Configurations whose engines have the same key share one open store.
	Key() string
	// Open opens it. ctx is for reading values, its end closes nothing.
	Open(ctx context.Context, log *slog.Logger) (registry.Store, error)
}

// pooled is an open registry.
type pooled struct{ *registry.Registry }

// opening is what the configuration says of the store, beside its engine.
type opening struct{ keyset, restored, keysetLost string }

func open(ctx context.Context, engine Engine, o opening, log *slog.Logger) (*pooled, error) {
	keyset := keysetFile{keysetName(), o.keysetLost, log}
	sealer, err := keyset.read(o.keyset)
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	store, err := engine.Open(ctx, log)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if sealer, err = keyset.beside(ctx, store, sealer); err != nil {
		return nil, errors.Join(fmt.Errorf("keyset: %w", err), store.Close())
	}
	r, err := registry.Open(ctx, registry.Options{Store: store, Sealer: sealer, Restored: o.restored, KeysetLost: o.keysetLost, Logger: log})
	if errors.Is(err, registry.ErrForeignKeyset) {
		err = keyset.foreign(ctx, store, o.keyset != "", err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("registry: %w", err), store.Close())
	}
	return &pooled{r}, nil
}

// keysetName is the file of the keyset that nobody configured.
func keysetName() string { return filepath.Join(dataDirectory(), "keyset.json") }

// dataDirectory is where things are that nobody configured.
func dataDirectory() string { return filepath.Join(caddy.AppDataDir(), "openbanking_dcr") }
