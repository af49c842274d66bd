package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// checkKeyset reads the keyset before the store is opened: the configured one, or the
// file of the one that was generated. That none was generated yet is no error, and that
// this user may not read it is none of caddy validate, which another user may run.
func (a *App) checkKeyset() error {
	if a.keyset != "" {
		if _, err := registry.ReadKeyset([]byte(a.keyset)); err != nil {
			return fmt.Errorf("keyset %s: %w", a.Keyset, err)
		}
		return nil
	}
	file := filepath.Join(dataDirectory(), "keyset.json")
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		a.log.Warn("the keyset cannot be read by this user; the gateway must run as the one that owns it", slog.String("file", file), slog.String("user", thisUser().String()), slog.Any("error", err))
		return nil
	}
	if _, err := registry.ReadKeyset(text); err != nil {
		return fmt.Errorf("keyset %s: %w; put the one back that was backed up with the store", file, err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		if _, known := ownerOf(info); known {
			a.log.Warn("the keyset is open to others than its owner; take their rights away (chmod 600)", slog.String("file", file), slog.String("mode", fmt.Sprintf("%04o", info.Mode().Perm())))
		}
	}
	return nil
}
