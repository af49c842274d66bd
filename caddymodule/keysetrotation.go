package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// AddKey adds a key to the file of the keyset: gateways that read it open what the key has
// sealed, and seal with the present one. It returns the key's id and the file.
func (a *App) AddKey() (id uint32, file string, err error) { return a.changeKeyset(registry.AddKey) }

// PromoteKey makes the key that was added the one that seals.
func (a *App) PromoteKey() (id uint32, file string, err error) {
	return a.changeKeyset(registry.PromoteKey)
}

func (a *App) changeKeyset(change func([]byte) ([]byte, uint32, error)) (id uint32, file string, err error) {
	if file, err = a.keysetFileName(); err != nil {
		return 0, "", err
	}
	// A link to a file stays one.
	if file, err = filepath.EvalSymlinks(file); err != nil {
		return 0, "", fmt.Errorf("keyset: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, "", fmt.Errorf("keyset: %w", err)
	}
	if user, is := rootBeside(info); is {
		return 0, "", fmt.Errorf("%s belongs to user %s, who could not open what root writes: run this as that user, with sudo -u %s -H", file, user, user)
	}
	text, err := readAtMost(file, maxKeyset)
	if err != nil {
		return 0, "", fmt.Errorf("keyset: %w", err)
	}
	changed, id, err := change(text)
	if err != nil {
		return 0, "", fmt.Errorf("keyset %s: %w", file, err)
	}
	return id, file, replaceFile(file, changed, info.Mode().Perm())
}

// keysetFileName is the file that the keyset is read from.
func (a *App) keysetFileName() (string, error) {
	if a.Keyset == "" {
		return keysetName(), nil
	}
	name, ok := strings.CutPrefix(a.Keyset, "{file.")
	if !ok {
		return "", fmt.Errorf("the keyset is in %s, and no file: change it where it is kept, with tinkey", a.Keyset)
	}
	return filepath.Abs(strings.TrimSuffix(name, "}"))
}

// replaceFile replaces a file. Whoever reads it, and a power failure, finds the one before
// or this one.
func replaceFile(name string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removed(f.Name())) }()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(name))
}

// useKeyset gives an open store the keyset of a configuration that is loaded beside it. A
// file that is missing leaves it as it is: the next start says so.
func (p *pooled) useKeyset(ctx context.Context, text string, log *slog.Logger) error {
	k, err := keysetFile{name: keysetName(), log: log}.read(text)
	if err != nil {
		return fmt.Errorf("keyset: %w", err)
	}
	if k == nil {
		return nil
	}
	err = p.UseKeyset(ctx, k)
	if errors.Is(err, registry.ErrForeignKeyset) {
		return fmt.Errorf("the keyset changed while the store is open, and lacks keys that have sealed what the store holds: put them back, or the keyset of before: %w", err)
	}
	return err
}
