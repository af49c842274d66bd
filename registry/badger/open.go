package badger

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Options of a Store.
type Options struct {
	// Dir is the directory, made with mode 0700 where it does not exist. Badger
	// makes its files with the process's umask, so the directory is what keeps
	// them private; one that others may enter is warned about. Required.
	Dir string
	// Logger gets Badger's errors and warnings, and its chatter as debug
	// messages. Default: silent
	Logger Logger
	// CollectEvery is how often the value log is searched for space to give back.
	// Default: 10 minutes
	CollectEvery time.Duration
	// CollectAfter is after how many bytes that were written it is searched before that: a
	// TPP that replaces large documents writes a gigabyte in ten minutes.
	// Default: 256 MiB
	CollectAfter int64
	// AcceptLoss is the word of an ErrLoss: Open goes on without what is missing. It
	// fits that loss alone; where nothing is missing it does nothing. Default: none
	AcceptLoss string
	// Filling: much is written at once, for instance by a restore. The store takes up to
	// 200 MiB of memory more, demands 1 GiB of room on the disk where it else demands
	// 128 MiB, and writes in two thirds of the time. Default: false
	Filling bool
}

const (
	collectEvery = 10 * time.Minute
	collectAfter = 256 << 20
)

// Open opens the directory, or makes an empty store in it. The error is
// ErrLocked where the directory is held already, ErrReadOnly where it cannot be
// written, ErrFull where the disk has less than 32 MB of room, ErrLoss where the directory
// does not contain what was written, or says what failed.
func Open(o Options) (*Store, error) {
	return open(o, func(*badger.Options) {})
}

// open lets tests shrink what Badger would fill only slowly.
func open(o Options, tune func(*badger.Options)) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("registry/badger: no directory")
	}
	if o.Logger == nil {
		o.Logger = silent{}
	}
	if o.CollectEvery <= 0 {
		o.CollectEvery = collectEvery
	}
	if o.CollectAfter <= 0 {
		o.CollectAfter = collectAfter
	}
	// Absolute, because the process may change its directory while the store is open.
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("registry/badger: %w", err)
	}
	if err := makePrivate(dir, o.Logger); err != nil {
		return nil, err
	}
	if err := tryFile(dir); err != nil {
		return nil, err
	}
	size, err := memtableIn(dir, o.Filling)
	if err != nil {
		return nil, err
	}
	space := space{dir: dir, times: uint64(size / memtable), free: diskRoom, writable: writable, low: &low{logger: o.Logger}}
	if err := space.demand(openRoom); err != nil {
		return nil, err
	}
	state, err := examine(dir, o)
	if err != nil {
		return nil, err
	}
	failure := &failure{}
	tuned := tuning(dir, &filter{Logger: o.Logger, failure: failure})
	tuned.MemTableSize = size
	tune(&tuned)
	db, err := openBadger(tuned)
	if err != nil {
		return nil, openError(dir, err)
	}
	s := &Store{db: db, failure: failure}
	if s.committer, err = state.start(s, space, o.CollectAfter); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.collector = newCollector(s.committer, o.CollectEvery, o.Logger)
	go s.committer.loop()
	go s.collector.loop()
	return s, nil
}

// valueLogFileSize is what one collection rewrites while commits wait: 50 ms, where
// 64 MB took 160. Half of it was live, 12 KB each.
const valueLogFileSize = 16 << 20

// openBadger opens what a process left that was killed while Badger began a new
// file, a memtable and a value log at most: an empty file is an error to Badger,
// once, because it has given it its size by then.
func openBadger(o badger.Options) (db *badger.DB, err error) {
	for range 3 {
		if db, err = badger.Open(o); err == nil || !strings.Contains(err.Error(), "Create a new file") {
			break
		}
	}
	return db, err
}

// tuning is Badger for a registry. Its defaults are for hundreds of gigabytes:
// 2.1 GB of apparent files in an empty store and up to 600 MB of memory. Here an
// empty store is 49 MB apparent, almost all of it holes.
func tuning(dir string, logger badger.Logger) badger.Options {
	o := badger.DefaultOptions(dir)
	o.Logger = logger

	// An answered write survives a power failure; the committer shares the cost.
	o.SyncWrites = true
	// The committer is the only writer, so there is nothing to conflict with.
	o.DetectConflicts = false
	// Counters in expvar that would outlive the store, one set per directory.
	o.MetricsEnabled = false

	// One memtable is written, up to two wait to be flushed.
	o.MemTableSize = memtable
	o.NumMemtables = 2
	o.NumCompactors = 2 // the least that Badger takes
	o.ValueLogFileSize = valueLogFileSize
	// Records of up to 2 KB, their indexes and most audit entries stay beside
	// their keys. Documents (5-100 KB) go to the value log, out of every compaction's way.
	o.ValueThreshold = 4 << 10

	// Without compression blocks are read from the mapped file: no cache to
	// size, and the kernel's page cache is shared and given back under pressure.
	o.Compression = options.None
	o.BlockCacheSize = 0
	// Tables are read through when they are opened or made, and a damaged one is
	// an error then. On each read Badger takes a damaged block for the end of its
	// table: its keys would be not found, and a used token could be used again.
	// Both together would be best, but with that a damaged table is a nil pointer
	// in Badger 4.9.6 (table.go, VerifyChecksum), which ends the process.
	o.ChecksumVerificationMode = options.OnTableRead
	// What is damaged here is an error on read; see value.
	o.VerifyValueChecksum = true
	return o
}

// makePrivate makes the directory, and warns about one that others can read.
func makePrivate(dir string, logger Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("registry/badger: %w", err)
	}
	// Not changed: a volume's owner may have meant it (Kubernetes' fsGroup).
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		logger.Warnf("found the registry's directory %s with mode %04o, which lets others than its owner in; set 0700", dir, mode)
	}
	return nil
}

// openError tells a held directory from other errors. Badger wraps none of its
// causes, so its words are all there is; TestLocked checks them.
func openError(dir string, err error) error {
	if !strings.Contains(err.Error(), "Another process is using this Badger database") {
		return fmt.Errorf("registry/badger: open %s: %w; if a file is damaged or missing, %s", dir, err, restoreIt)
	}
	return lockedError(dir)
}

// lockedError says who holds the directory.
func lockedError(dir string) error {
	// The holder leaves its process id in this file, for humans only.
	holder, readErr := os.ReadFile(filepath.Join(dir, "LOCK"))
	if readErr != nil {
		return fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	if holder := string(bytes.TrimSpace(holder)); holder != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("%w: %s is held by process %s", ErrLocked, dir, holder)
	}
	return fmt.Errorf("%w: %s is held by this very process, under another name, or because it could not be closed yet, which the log says", ErrLocked, dir)
}
