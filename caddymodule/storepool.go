package caddymodule

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
type pooled struct {
	*registry.Registry
	keyset [sha256.Size]byte
}

func open(ctx context.Context, engine Engine, text string, log *slog.Logger) (*pooled, error) {
	sealer, err := openKeyset(text, filepath.Join(dataDirectory(), "keyset.json"), log)
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	store, err := engine.Open(ctx, log)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	r, err := registry.Open(ctx, registry.Options{Store: store, Sealer: sealer, Logger: log})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("registry: %w", err), store.Close())
	}
	return &pooled{r, sha256.Sum256([]byte(text))}, nil
}

// dataDirectory is where things are that nobody configured.
func dataDirectory() string { return filepath.Join(caddy.AppDataDir(), "openbanking_dcr") }

// openKeyset reads the configured keyset, or the generated one, or generates it.
func openKeyset(text, file string, log *slog.Logger) (*registry.Keyset, error) {
	if text != "" {
		return registry.ReadKeyset([]byte(text))
	}
	stored, err := os.ReadFile(file)
	if err == nil {
		return registry.ReadKeyset(stored)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	k, generated, err := registry.NewKeyset()
	if err != nil {
		return nil, err
	}
	if err := writeNew(file, generated); err != nil {
		return nil, err
	}
	log.Warn("generated a keyset; back it up, without it the stored credentials of the authorization server cannot be read", slog.String("file", file))
	return k, nil
}

// writeNew writes a file that must not exist yet, durably, for this user only.
func writeNew(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}
