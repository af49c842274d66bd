package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
)

var (
	// ErrImportBusy is Import's while the file of another one is received or worked on.
	ErrImportBusy = errors.New("another file is being imported: wait for its end, or end it")
	// ErrNoRoom is Import's where the disk has no room for the file.
	ErrNoRoom = errors.New("the disk of the store is nearly full: free space first")
)

// The events of an import that has come to its end, and of one that was undone: how many clients
// it has written, or removed, and which it is.
const (
	EventImported     = "openbanking_dcr_imported"
	EventImportUndone = "openbanking_dcr_import_undone"
)

// ImportOptions say how Import goes about it.
type ImportOptions struct {
	// Write writes the clients. Default: false, the file is checked alone.
	Write bool
	// Workspace and Act are those of registry.ClientImport.
	Workspace string
	Act       registry.Act
}

// Import checks a file of clients, and writes them if it has no error, see
// registry.Registry.Import. The file is kept on the store's disk meanwhile, without a name and
// for this process alone, so that what is written is what was checked.
//
// Errors: ErrStoreNotOpen, ErrImportBusy, ErrNoRoom, those of body, clientfile.ErrTooLarge, and
// those of registry.Registry.Import, of which ErrImportFaults comes with the report.
func (a *App) Import(ctx context.Context, body io.Reader, o ImportOptions) (*registry.ImportReport, error) {
	r, open := a.EnterOpen()
	if !open {
		return nil, ErrStoreNotOpen
	}
	defer a.Leave()
	if !a.importing.TryLock() {
		return nil, ErrImportBusy
	}
	defer a.importing.Unlock()
	file, err := a.spool(ctx, r, body)
	if err != nil {
		return nil, err
	}
	defer file.Close() // and then it is gone
	in := registry.ClientImport{From: file, Workspace: o.Workspace, Act: o.Act, Rules: a.importRules(ctx)}
	if o.Write {
		return r.Import(ctx, in)
	}
	return r.CheckImport(ctx, in)
}

// spoolStep is after how many bytes it is looked whether there is still room.
const spoolStep = 16 << 20

// spool keeps a body in a file that has no name any more: nothing is left of it in any case.
func (a *App) spool(ctx context.Context, r *registry.Registry, body io.Reader) (file *os.File, err error) {
	dir := os.TempDir()
	if b, ok := a.engine.(*BadgerStore); ok {
		dir = b.absolute
	}
	if file, err = os.CreateTemp(dir, "import-*.tmp"); err != nil {
		return nil, fmt.Errorf("keeping the file: %w", err)
	}
	err = os.Remove(file.Name())
	for n := int64(spoolStep); err == nil && n == spoolStep; {
		if _, low, known := r.Room(); known && low {
			err = ErrNoRoom
			break
		}
		n, err = io.CopyN(file, body, spoolStep)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		if at, seekErr := file.Seek(0, io.SeekCurrent); seekErr != nil {
			err = errors.Join(err, seekErr)
		} else if at > clientfile.MaxFile {
			err = fmt.Errorf("%w: it has more than %d bytes; make several of it", clientfile.ErrTooLarge, clientfile.MaxFile)
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// askForMetadata is how long an import waits for what the AS supports. Without it an import
// goes by what is configured.
const askForMetadata = 10 * time.Second

func (a *App) importRules(ctx context.Context) map[string]registry.ImportRules {
	ctx, cancel := context.WithTimeout(ctx, askForMetadata)
	defer cancel()
	rules := map[string]registry.ImportRules{}
	for _, h := range a.workspaces {
		one := registry.ImportRules{NoDirectory: h.rules.NoStatement, Supported: h.as.Supported, ClientsPerSoftware: h.workspace().ClientsPerSoftware}
		for _, issuer := range h.rules.Issuers {
			one.Directories = append(one.Directories, issuer.Name)
		}
		if m, err := h.as.Metadata(ctx); err == nil {
			one.Supported = m.Supported
		}
		rules[h.Workspace] = one
	}
	return rules
}
