package badger

import (
	"fmt"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
	"github.com/caddy-dcr/caddy-dcr/registry/engine"
)

const (
	// maxKeySize is Badger's, in bytes.
	maxKeySize = 65000
	// reserved begins the keys that Badger keeps for itself.
	reserved = "!badger!"
	// entryOverhead is what Badger adds to keys and values when it measures a
	// transaction, in bytes: 10 for the version and 2 for marks, or 14 with a
	// pointer into the value log. Rounded up.
	entryOverhead = 32
)

// batch is what goes to disk in one commit. Its transaction is the state that
// the next update reads: the updates before it over Badger's snapshot.
type batch struct {
	txn     *badger.Txn
	updates []*update
	// turns counts the updates that had their turn, answered here or not.
	turns int
	// count and size are the entries and bytes that the transaction holds.
	count, size int64
	// broken is why the transaction must not be committed: half an update is in it.
	broken error
}

func (c *committer) newBatch() *batch {
	return &batch{txn: c.db.NewTransaction(true)}
}

// limit is how much one batch takes, in entries and bytes.
type limit struct{ count, size int64 }

// limitOf leaves a quarter of what Badger takes unused, since the measure is an
// estimate and a transaction that is too big is refused whole. Values in the
// value log count in full, which Badger does not: it also bounds how long the
// first of a batch waits for the last.
func limitOf(db *badger.DB) limit {
	return limit{count: db.MaxBatchCount() * 3 / 4, size: db.MaxBatchSize() * 3 / 4}
}

// allows tells whether the buffer fits into b.
func (l limit) allows(b *batch, buffer *engine.Buffer) bool {
	return b.count+int64(buffer.Len()) <= l.count && b.size+measure(buffer) <= l.size
}

func measure(buffer *engine.Buffer) int64 {
	return int64(buffer.Bytes()) + int64(buffer.Len())*entryOverhead
}

// add puts the writes of an update into the transaction.
func (b *batch) add(u *update) {
	b.updates = append(b.updates, u)
	b.count += int64(u.buffer.Len())
	b.size += measure(&u.buffer)
	for key, write := range u.buffer.All() {
		if err := b.set([]byte(key), write); err != nil {
			b.broken = err
		}
	}
}

func (b *batch) set(key []byte, w engine.Write) error {
	if w.Deleted {
		return b.txn.Delete(key)
	}
	return b.txn.SetEntry(&badger.Entry{Key: key, Value: w.Value, ExpiresAt: expiry(w)})
}

// expiry is Badger's: seconds since 1970, 0 for never. Badger forgets at the
// beginning of that second, and the contract says never before.
func expiry(w engine.Write) uint64 {
	if !w.Expiring {
		return 0
	}
	rounded := w.Expires.Add(time.Second - 1)
	return uint64(max(rounded.Unix(), 1))
}

// writer is what one update sees: its own buffer over the batch.
type writer struct {
	*engine.Buffer
	before *batch
}

func (w *writer) Get(key string) ([]byte, error) {
	if value, known, err := w.Buffer.Get(key); known {
		return value, err
	}
	return get(w.before.txn, key)
}

func (w *writer) Put(key string, value []byte) error {
	if err := w.check(key); err != nil {
		return err
	}
	return w.Buffer.Put(key, value)
}

func (w *writer) PutExpiring(key string, value []byte, expires time.Time) error {
	if err := w.check(key); err != nil {
		return err
	}
	return w.Buffer.PutExpiring(key, value, expires)
}

func (w *writer) Delete(key string) error {
	if err := w.check(key); err != nil {
		return err
	}
	return w.Buffer.Delete(key)
}

// check refuses what Badger would refuse only in the batch, at everybody's cost.
func (w *writer) check(key string) error {
	switch {
	case len(key) > maxKeySize:
		return w.Refuse(fmt.Errorf("%w: a key of %d bytes, the limit is %d", registry.ErrTooLarge, len(key), maxKeySize))
	case strings.HasPrefix(key, reserved), strings.HasPrefix(key, reservedHere):
		return w.Refuse(fmt.Errorf("registry/badger: keys with %q and %q are reserved", reserved, reservedHere))
	}
	return nil
}
