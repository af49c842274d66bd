package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// keysetFile is where the keyset is that nobody configured. It is made once, beside an
// empty store: one that is made in place of another reads nothing of what that has sealed.
type keysetFile struct {
	name string
	// lost is the id of the store's binding, where the operator has accepted that the
	// keyset is lost for good.
	lost string
	log  *slog.Logger
}

// maxKeyset bounds what is read: a keyset with a hundred keys has 20 KB.
const maxKeyset = 1 << 20

// read is the configured keyset, or the one in the file; nil where there is no file.
func (f keysetFile) read(text string) (*registry.Keyset, error) {
	if text != "" {
		return registry.ReadKeyset([]byte(text))
	}
	stored, err := readAtMost(f.name, maxKeyset)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	what := "is damaged"
	if len(bytes.TrimSpace(stored)) == 0 {
		what = "is empty"
	}
	k, err := registry.ReadKeyset(stored)
	if err != nil {
		return nil, fmt.Errorf("%s %s: put back the one that was backed up with the store; where there is none, move it away and start once more: %w", f.name, what, err)
	}
	return k, nil
}

// beside is the keyset for a store: the one that was read or, for an empty store that has
// none, a new one.
func (f keysetFile) beside(ctx context.Context, store registry.Store, k *registry.Keyset) (*registry.Keyset, error) {
	empty, err := registry.Empty(ctx, store)
	switch {
	case err != nil:
		return nil, err
	case k != nil && empty:
		f.log.Warn("found an empty store although its keyset existed before; on a first start with a configured keyset this is right, otherwise check that the store's directory is the right one and its volume is mounted")
		return k, nil
	case k != nil:
		return k, nil
	case !empty:
		id, err := registry.BindingID(ctx, store)
		if err != nil {
			return nil, err
		}
		if id == f.lost {
			break
		}
		return nil, fmt.Errorf("%s is missing, and the store is not empty: put back the file that was backed up with the store, look whether its volume is mounted, or write the option keyset; a new one could not read what the store holds. Where it is lost for good, write the option keyset_lost %s", f.name, id)
	}
	return f.generate()
}

// generate makes a keyset and writes it, durably, before anything is sealed with it. Where
// another process was faster, its keyset counts.
func (f keysetFile) generate() (*registry.Keyset, error) {
	k, text, err := registry.NewKeyset()
	if err != nil {
		return nil, err
	}
	err = writeNew(f.name, text)
	if errors.Is(err, os.ErrExist) {
		if k, err = f.read(""); k == nil && err == nil {
			err = fmt.Errorf("%s came and went", f.name)
		}
		return k, err
	}
	if err != nil {
		return nil, err
	}
	f.log.Warn("generated a keyset; back it up, without it the stored credentials of the authorization server cannot be read", slog.String("file", f.name))
	return k, nil
}

// foreign says what to do with a store that another keyset has sealed.
func (f keysetFile) foreign(ctx context.Context, store registry.Store, configured bool, err error) error {
	which := f.name
	if configured {
		which = "the option keyset"
	}
	id, idErr := registry.BindingID(ctx, store)
	if idErr != nil {
		return errors.Join(err, idErr)
	}
	return fmt.Errorf("%w (%s): put back the keyset that was backed up with this store, or the store that belongs to this keyset; nothing was changed. Where it is lost for good, write the option keyset_lost %s", err, which, id)
}

// writeNew writes a file that must not exist yet, for this user only. It is there whole or
// not at all, also after a power failure.
//
// Errors: os.ErrExist.
func writeNew(name string, data []byte) (err error) {
	made, err := makeDirectory(filepath.Dir(name))
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, removed(f.Name())) }()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, where the file system has them, replaces nothing; rename would.
	if err := os.Link(f.Name(), name); errors.Is(err, os.ErrExist) {
		return err
	} else if err != nil {
		if _, err := os.Lstat(name); err == nil {
			return os.ErrExist
		}
		if err := os.Rename(f.Name(), name); err != nil {
			return err
		}
	}
	for _, dir := range append(made, filepath.Dir(name)) {
		if err := syncDirectory(dir); err != nil {
			return err
		}
	}
	return nil
}

// removed is nil for a file that is gone.
func removed(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// makeDirectory makes a directory with those above it, and names those in which one was
// made: their entries are not durable yet.
func makeDirectory(dir string) (changed []string, err error) {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, os.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		changed = append(changed, filepath.Dir(at))
	}
	return changed, os.MkdirAll(dir, 0o700)
}

func syncDirectory(dir string) error {
	if runtime.GOOS == "windows" { // has no such call
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
