package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry/clientfile"
)

// ErrExportRunning is Export's while another one of the same store is made.
var ErrExportRunning = errors.New("an export of this store is being made already: wait for its end, or end it")

// ClientExport says which clients Export writes, and how.
type ClientExport struct {
	// Workspaces are those whose clients are written. Default: all.
	Workspaces []string
	// Secrets writes what the AS gave for the clients, and their own secrets, encrypted with
	// the keyset. Default: none are written.
	Secrets bool
	// Progress is called now and then, from one goroutine. Default: none.
	Progress func(done, total int)
}

// Export writes the active clients of one moment to w, see package registry/clientfile, while
// everything goes on. A file without an error is whole, and one that is not says so.
//
// It ends soon after ctx does, but never before a Write to w has returned.
//
// Errors: ErrExportRunning, ErrClosed, those of w.
func (r *Registry) Export(ctx context.Context, w io.Writer, o ClientExport) (clients int, err error) {
	if !r.exporting.TryLock() {
		return 0, ErrExportRunning
	}
	defer r.exporting.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.running, func() { cancel(ErrClosed) })()

	e := &clientExport{ClientExport: o, r: r, lines: make(chan [][]byte, 1), total: make(chan int, 1)}
	ended := make(chan error, 1)
	go func() {
		defer close(e.lines)
		err := r.store.View(ctx, func(v Reader) error { return e.read(ctx, v) })
		if err != nil {
			cancel(err)
		}
		ended <- err
	}()
	clients, err = e.write(ctx, w)
	if err != nil {
		cancel(err)
	}
	// Whichever came first has ended the other.
	if readErr := <-ended; err != nil || readErr != nil {
		return 0, context.Cause(ctx)
	}
	if e.unreadable > 0 {
		r.log.Warn("exports clients without their secrets, because these do not open with the keyset", slog.Int("clients", e.unreadable))
	}
	return clients, nil
}

// clientExport reads a view on one side and writes on the other, as a backup does.
type clientExport struct {
	ClientExport
	r     *Registry
	total chan int
	lines chan [][]byte
	// unreadable is how many clients have secrets that do not open.
	unreadable int
}

func (e *clientExport) read(ctx context.Context, v Reader) error {
	total := 0
	err := e.each(ctx, v, func(*Client) error { total++; return nil })
	if err != nil {
		return err
	}
	if total > clientfile.MaxClients {
		return fmt.Errorf("registry: there are %d clients, and a file has at most %d: export the workspaces one by one", total, clientfile.MaxClients)
	}
	e.total <- total
	var page [][]byte
	size := 0
	err = e.each(ctx, v, func(c *Client) error {
		line, err := e.line(v, c)
		if err != nil {
			return err
		}
		page, size = append(page, line), size+len(line)
		if size < backupPageBytes {
			return nil
		}
		err = e.send(ctx, page)
		page, size = nil, 0
		return err
	})
	if err == nil && len(page) > 0 {
		err = e.send(ctx, page)
	}
	return err
}

// each calls f for every client that is exported, in the order of the store.
func (e *clientExport) each(ctx context.Context, v Reader, f func(*Client) error) error {
	for after, size := "", minBackupPage; ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		page, err := v.Scan(clientPrefix, after, size)
		if err != nil {
			return err
		}
		for _, entry := range page {
			place := clientPlaceOf(entry.Key, entry.Value)
			if place.status != Active || len(e.Workspaces) > 0 && !slices.Contains(e.Workspaces, place.workspace) {
				continue
			}
			c, err := readClient(entry.Value)
			if err != nil {
				return err
			}
			if err := f(c); err != nil {
				return err
			}
		}
		if len(page) < size {
			return nil
		}
		after, size = page[len(page)-1].Key, nextPage(page)
	}
}

func (e *clientExport) line(v Reader, c *Client) ([]byte, error) {
	l, err := e.r.lineOf(v, c)
	if err != nil {
		return nil, err
	}
	if e.Secrets {
		if err := e.r.sealLine(l, c); err != nil {
			e.unreadable++
		}
	}
	return clientfile.Line(l)
}

func (e *clientExport) send(ctx context.Context, page [][]byte) error {
	stalled := time.NewTimer(backupStall)
	defer stalled.Stop()
	select {
	case e.lines <- page:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stalled.C:
		return errBackupStalled
	}
}

// write ends with the last page. That all of them have come, only read knows.
func (e *clientExport) write(ctx context.Context, w io.Writer) (clients int, err error) {
	var total int
	select {
	case total = <-e.total:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	h := clientfile.Header{Time: e.r.now().UTC().Truncate(time.Second), Workspaces: e.Workspaces, Sealed: e.Secrets}
	if e.Secrets {
		h.KeysetIDs = e.r.sealer.KeyIDs()[:min(1, len(e.r.sealer.KeyIDs()))]
	}
	out, err := clientfile.NewWriter(w, h, total)
	if err != nil {
		return 0, err
	}
	for page := range e.lines {
		for _, line := range page {
			if err := out.Put(line); err != nil {
				return 0, err
			}
		}
		if e.Progress != nil {
			e.Progress(out.Clients(), total)
		}
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return total, out.Close()
}
