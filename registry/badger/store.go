// Package badger is the default registry.Store: Badger in a directory that one
// process holds. Updates are serial by construction and committed in groups,
// with one sync of the disk for all of a group.
//
// The store knows what it held. Badger takes damage in its log for the end of the log, and
// opens without what came after. So each commit has an entry that names the one before it
// (chain.go), and the file HEAD in the directory names the last one (head.go): it is written
// before a commit's answers, and synced within about a second. Before Badger opens the directory,
// it is read and both are compared with it (inspect.go, follow.go), and the tables against each
// other (links.go). Only the rest of a commit that HEAD does not know of may be cut off. Anything else is an ErrLoss, and nothing is
// changed, unless Options.AcceptLoss names that very loss: then what Badger would misread
// is set aside (setaside.go), and the first commit after it leaves the key
// loss/<sequence>-<code> with {"time":...,"found":...,"committed":...} for the registry.
//
// After a power failure HEAD may be a second old: damage to the commits of that second is
// not told from a commit that was cut off. HEAD's size is durable before the first commit, so
// another size is damage; up to two slots may be torn, and are written anew at the next start.
package badger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

var (
	_ registry.Store     = (*Store)(nil)
	_ registry.Exclusive = (*Store)(nil)
	_ registry.Roomy     = (*Store)(nil)
	_ registry.Sized     = (*Store)(nil)
	_ registry.Sequenced = reader{}
)

var (
	// ErrLocked is what Open returns when another process, or another Store of
	// this process, holds the directory.
	ErrLocked = errors.New("registry/badger: the directory is in use")

	// ErrFailed is what views and updates return after a commit that failed with
	// an input or output error. What the disk then holds is unknown until the
	// directory is opened anew, and answers that may be wrong are not given.
	ErrFailed = errors.New("registry/badger: stopped after a failed commit, look after the disk and restart this process")

	// ErrFull is what Update returns, without having written anything, and Open,
	// when the disk has too little room. Views go on, and updates as soon as there
	// is room again.
	ErrFull = errors.New("registry/badger: too little room on the disk")

	// ErrReadOnly is the same for a directory in which no file can be made.
	ErrReadOnly = errors.New("registry/badger: the directory cannot be written")

	// ErrDamaged is what Get and Scan return for a value that is known and cannot
	// be read, because a file of the value log is damaged or lost.
	ErrDamaged = errors.New("registry/badger: a value is damaged")
)

// Store is the engine. Open makes one.
type Store struct {
	db        *badger.DB
	calls     engine.Calls
	watchers  engine.Watchers
	committer *committer
	collector *collector
	failure   *failure
}

// failure is the first error that stopped the store.
type failure struct{ first atomic.Pointer[error] }

func (f *failure) record(err error) { f.first.CompareAndSwap(nil, &err) }

// err is nil, or ErrFailed with the cause.
func (f *failure) err() error {
	cause := f.first.Load()
	if cause == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrFailed, *cause)
}

// View runs f over one consistent snapshot. It waits for a commit under way, so
// that it sees every update that has returned. While a view lasts, what is replaced or
// deleted after it began stays on the disk, and Badger remembers 50 bytes of each commit
// that others read. The error is f's, or that of a
// ctx that had ended before, or registry.ErrClosed or ErrFailed.
func (s *Store) View(ctx context.Context, f func(registry.Reader) error) error {
	if err := s.calls.Begin(); err != nil {
		return err
	}
	defer s.calls.End()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("registry/badger: view: %w", err)
	}
	txn, err := s.committer.snapshot()
	if err != nil {
		return err
	}
	defer txn.Discard()
	return f(reader{txn})
}

// Update runs f in the caller's goroutine when its turn comes, and returns when
// its writes are on disk together with those of the other updates of the group.
// ctx ends the wait for the turn; after f has begun it counts no more. The error
// is f's, or ctx's, registry.ErrTooLarge, registry.ErrClosed, ErrFull, ErrReadOnly or ErrFailed.
func (s *Store) Update(ctx context.Context, f func(registry.Writer) error) error {
	if err := s.calls.Begin(); err != nil {
		return err
	}
	defer s.calls.End()
	return s.committer.update(ctx, f)
}

// Watch is registry.Store's. The error is registry.ErrClosed.
func (s *Store) Watch(ctx context.Context, prefix string) (<-chan struct{}, error) {
	return s.watchers.Watch(ctx, prefix)
}

// Exclusive is registry.Exclusive's: one process holds the directory.
func (s *Store) Exclusive() {}

// Close refuses new calls, waits for running ones and for the collection of a
// value log file under way, and releases the directory. Called again it returns
// registry.ErrClosed. The directory stays held where it has too little room or
// cannot be written (ErrFull, ErrReadOnly): until that has changed, or the process ends.
func (s *Store) Close() error {
	if err := s.calls.Close(); err != nil {
		return err
	}
	// Watchers end first: somebody who runs may be waiting for one.
	s.watchers.Close()
	s.collector.close()
	s.calls.Wait()
	s.committer.close()
	return errors.Join(s.committer.chain.close(), s.release())
}
