package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
)

// checkKeyset reads the keyset before the store is opened: the configured one, or the
// file of the one that was generated. That none was generated yet is no error, and that
// this user may not read it is none of caddy validate, which another user may run.
func (a *App) checkKeyset() error {
	file := keysetFile{name: keysetName(), log: a.log}
	_, err := file.read(a.keyset)
	switch {
	case errors.Is(err, fs.ErrPermission):
		doubt(a.doubtful(), "cannot read the keyset as this user", "keyset-not-readable", "apps/openbanking_dcr/keyset", "run the gateway as the user that owns "+file.name,
			slog.String("file", file.name), slog.String("user", thisUser().String()), slog.Any("error", err))
		return nil
	case err != nil && a.keyset != "":
		return fmt.Errorf("keyset %s: %w", a.Keyset, err)
	case err != nil:
		return fmt.Errorf("keyset: %w", err)
	case a.keyset != "":
		return nil
	}
	if info, err := os.Stat(file.name); err == nil && info.Mode().Perm()&0o077 != 0 {
		if _, known := ownerOf(info); known {
			doubt(a.doubtful(), "found a keyset that others than its owner can access", "keyset-open-to-others", "apps/openbanking_dcr/keyset", "chmod 600 "+file.name,
				slog.String("file", file.name), slog.String("mode", fmt.Sprintf("%04o", info.Mode().Perm())))
		}
	}
	return nil
}
