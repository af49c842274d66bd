package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

// StoreSchema is that of all records of a store together: another one means that records
// of an earlier one must be migrated (storeschema.go). A record has a number of its own too.
const StoreSchema = 1

// ErrBackupRunning is Backup's while another one of the same store is made.
var ErrBackupRunning = errors.New("a backup of this store is being made already: wait for its end, or end it")

// errBackupStalled is Backup's where nobody takes what it writes.
var errBackupStalled = fmt.Errorf("registry: the receiver of the backup has taken nothing for %v", backupStall)

const (
	// backupStall is how long a snapshot is held for a receiver that takes nothing.
	backupStall = time.Minute
	// countPage is how many keys are counted at once.
	countPage = 4096
	// Pages of a backup have so many records, and about as many bytes: index entries are
	// empty, and documents have up to 100 KB.
	minBackupPage, maxBackupPage = 16, 256
	backupPageBytes              = 256 << 10
)

// notBackedUp begin the keys that are not in a backup: losses of the engine's own disk,
// which a restore outdates, and what no version reads any more.
var notBackedUp = []string{lossPrefix, "making/"}

// BackupProgress is how far a backup or a restore is.
type BackupProgress struct {
	// Records of Total are done. Some that expire meanwhile may be missing at the end.
	Records, Total int64
	// Bytes of the file are written or read.
	Bytes int64
}

// Backup writes all records of one moment to w, encrypted and authenticated with the
// keyset, while everything goes on: see package registry/backup for the format. A backup
// without an error is whole, and no other is taken by Restore. progress may be nil; it is
// called after each page from this goroutine.
//
// It ends soon after ctx does, but never before a Write to w has returned: a receiver that
// hangs is for the owner of w to stop. The snapshot is given up meanwhile.
//
// Errors: ErrBackupRunning, ErrClosed, those of w.
func (r *Registry) Backup(ctx context.Context, w io.Writer, progress func(BackupProgress)) (*backup.Header, error) {
	if !r.backingUp.TryLock() {
		return nil, ErrBackupRunning
	}
	defer r.backingUp.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(r.running, func() { cancel(ErrClosed) })()

	s := &snapshotReader{registry: r, pages: make(chan []Entry, 1), header: make(chan backup.Header, 1)}
	ended := make(chan error, 1)
	go func() {
		defer close(s.pages)
		err := r.store.View(ctx, func(v Reader) error { return s.read(ctx, v) })
		if err != nil {
			cancel(err)
		}
		ended <- err
	}()
	header, err := s.write(ctx, w, progress)
	if err != nil {
		cancel(err)
	}
	// Whichever came first has ended the other.
	if readErr := <-ended; err != nil || readErr != nil {
		return nil, context.Cause(ctx)
	}
	return header, nil
}

// snapshotReader reads a view on one side, and writes what it has read on the other: one
// encrypts while the other waits for the disk, and one that hangs does not hold the other.
type snapshotReader struct {
	registry *Registry
	header   chan backup.Header
	pages    chan []Entry
}

func (s *snapshotReader) read(ctx context.Context, v Reader) error {
	h, err := s.registry.backupHeader(ctx, v)
	if err != nil {
		return err
	}
	s.header <- *h
	stalled := time.NewTimer(backupStall)
	defer stalled.Stop()
	for after, size := "", minBackupPage; ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		page, err := v.Scan("", after, size)
		if err != nil {
			return fmt.Errorf("registry: reading what comes after %q: %w", after, err)
		}
		if len(page) == 0 {
			return nil
		}
		stalled.Reset(backupStall)
		select {
		case s.pages <- page:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stalled.C:
			return errBackupStalled
		}
		if len(page) < size {
			return nil
		}
		after, size = page[len(page)-1].Key, nextPage(page)
	}
}

// nextPage is how many records the page after this one has.
func nextPage(page []Entry) int {
	bytes := 1
	for _, e := range page {
		bytes += len(e.Key) + len(e.Value)
	}
	return max(minBackupPage, min(maxBackupPage, 2*len(page), len(page)*backupPageBytes/bytes))
}

// write ends with the last page. That all of them have come, only read knows.
func (s *snapshotReader) write(ctx context.Context, w io.Writer, progress func(BackupProgress)) (*backup.Header, error) {
	var h backup.Header
	select {
	case h = <-s.header:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	out, err := backup.NewWriter(w, s.registry.sealer, h)
	if err != nil {
		return nil, err
	}
	for page := range s.pages {
		for _, e := range page {
			if !backedUp(e.Key) {
				continue
			}
			if err := out.Put(backup.Record{Key: e.Key, Value: e.Value, Expires: e.Expires}); err != nil {
				return nil, err
			}
		}
		if progress != nil {
			progress(BackupProgress{Records: out.Records(), Total: h.Records(), Bytes: out.Bytes()})
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &h, out.Close()
}

func backedUp(key string) bool {
	return !slices.ContainsFunc(notBackedUp, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// backupHeader counts what a snapshot holds.
func (r *Registry) backupHeader(ctx context.Context, v Reader) (*backup.Header, error) {
	h := &backup.Header{Schema: StoreSchema, Time: r.now().UTC(), Workspaces: []string{}, Counts: map[string]int64{}}
	if numbered, ok := v.(Sequenced); ok {
		h.Sequence = numbered.Sequence()
	}
	b, err := readBinding(v)
	if err != nil {
		return nil, err
	}
	h.KeysetIDs = sealingKeys(&b, r.sealer)
	for after, full := "", true; full; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		keys, err := v.Keys("", after, countPage)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			after = key
			if backedUp(key) {
				h.Counts[backup.Kind(key)]++
			}
			if rest, ok := strings.CutPrefix(key, clientPrefix); ok {
				addWorkspace(h, rest)
			}
		}
		full = len(keys) == countPage
	}
	return h, nil
}

// addWorkspace adds that of a client's key, which come one workspace after the other.
func addWorkspace(h *backup.Header, rest string) {
	escaped, _, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(escaped)
	if err != nil {
		name = escaped
	}
	if len(h.Workspaces) == 0 || h.Workspaces[len(h.Workspaces)-1] != name {
		h.Workspaces = append(h.Workspaces, name)
	}
}
