package registry

import (
	"context"
	"errors"
	"time"
)

// Limits of one update function. A function that asks for more fails with
// ErrTooLarge and changes nothing. They are the registry's own needs times
// four, so that every engine (an etcd transaction too) can hold them.
const (
	// MaxUpdateKeys is the number of different keys one update may write.
	MaxUpdateKeys = 64
	// MaxUpdateBytes is the sum of keys and values one update may write.
	MaxUpdateBytes = 512 << 10
)

var (
	// ErrNotFound is what Get returns for a key that has no value. Engines
	// return exactly this error (errors.Is), for deleted keys too. A key whose
	// expiry has passed may be reported as not found or still be returned.
	ErrNotFound = errors.New("registry: not found")

	// ErrTooLarge is what a Writer returns when an update outgrows
	// MaxUpdateKeys or MaxUpdateBytes.
	ErrTooLarge = errors.New("registry: update too large")

	// ErrClosed is what every method of a closed Store returns.
	ErrClosed = errors.New("registry: store is closed")
)

// Store is the transactional key-value engine that a Registry runs on. All
// methods may be called concurrently. Engines are proven by the storetest suite.
//
// Transactions are serializable: there is one order of all updates that
// explains everything that views and updates have read.
type Store interface {
	// View runs f over one consistent snapshot. f must not keep the Reader. A view may take
	// minutes, as a backup's does: it holds up no update and no other view, only Close.
	View(ctx context.Context, f func(Reader) error) error

	// Update runs f and makes its writes durable, all or none, before it
	// returns nil: they survive a killed process and a power failure. f may run
	// more than once, so it must be pure: no side effects but its writes and
	// variables that every run sets anew. An error of f is returned as it is,
	// and nothing is written. ctx ends only the wait for a place in the queue;
	// once f has been accepted, Update returns the known outcome. f must not
	// keep the Writer, and must not call the Store.
	Update(ctx context.Context, f func(Writer) error) error

	// Watch returns a channel that receives a value after a committed update
	// wrote a key with the prefix. Signals are coalesced: one value stands for
	// one or more changes. The channel is closed when ctx ends or the Store is closed.
	Watch(ctx context.Context, prefix string) (<-chan struct{}, error)

	// Close waits for running transactions and releases the engine. Later calls
	// return ErrClosed.
	Close() error
}

// Reader is the view of one snapshot.
type Reader interface {
	// Get returns a copy of the key's value, or ErrNotFound.
	Get(key string) ([]byte, error)
	// Scan returns copies of at most limit entries whose keys begin with prefix
	// and are greater than after, in byte order. An empty after starts at the
	// prefix. Listing goes on with the last key as the next after.
	Scan(prefix, after string, limit int) ([]Entry, error)
	// Keys is Scan without the values. It reads none, so that its cost does not grow with them.
	Keys(prefix, after string, limit int) ([]string, error)
}

// Sequenced is what a Reader says whose engine numbers its commits.
type Sequenced interface {
	// Sequence is the number of the last commit that the snapshot holds.
	Sequence() uint64
}

// Writer is what one update sees: the state before it, plus its own writes. It
// has no Scan: what needs a set inside an update gets a key of its own.
type Writer interface {
	// Get returns a copy of the key's value, own writes included, or ErrNotFound.
	Get(key string) ([]byte, error)
	// Put sets the key for good; an earlier expiry is gone. From here on the value
	// is the store's, and must not be changed: a document is too large to copy.
	Put(key string, value []byte) error
	// PutExpiring is Put, and lets the engine forget the key after expires.
	// Never before; when exactly is the engine's business, so a value that must
	// not be trusted beyond a time carries that time itself. An expires that has
	// already passed writes the value all the same.
	PutExpiring(key string, value []byte, expires time.Time) error
	// Delete removes the key. Deleting what is not there is no error.
	Delete(key string) error
}

// Entry is one key with its value.
type Entry struct {
	Key   string
	Value []byte
	// Expires is when the engine may forget the key, zero for never. An engine that counts
	// in seconds has rounded it up.
	Expires time.Time
}
