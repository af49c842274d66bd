package badger

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// reader is one snapshot, a read-only transaction.
type reader struct{ txn *badger.Txn }

func (r reader) Get(key string) ([]byte, error) { return get(r.txn, key) }

func (r reader) Scan(prefix, after string, limit int) ([]registry.Entry, error) {
	if limit <= 0 {
		return nil, nil
	}
	var entries []registry.Entry
	err := r.list(prefix, after, func(item *badger.Item) (bool, error) {
		data, err := value(r.txn, item)
		if errors.Is(err, registry.ErrNotFound) {
			return true, nil // Expired while it was read.
		}
		if err != nil {
			return false, err
		}
		entries = append(entries, registry.Entry{Key: string(item.Key()), Value: data, Expires: expires(item)})
		return len(entries) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func (r reader) Keys(prefix, after string, limit int) ([]string, error) {
	if limit <= 0 {
		return nil, nil
	}
	var keys []string
	err := r.list(prefix, after, func(item *badger.Item) (bool, error) {
		keys = append(keys, string(item.Key()))
		return len(keys) < limit, nil
	})
	return keys, err
}

// Sequence is registry.Sequenced's. Commits have no gaps in their numbers, see chainKey.
func (r reader) Sequence() uint64 { return r.txn.ReadTs() }

// list calls f with what a listing has, in order, until it returns false or an error.
func (r reader) list(prefix, after string, f func(*badger.Item) (more bool, err error)) error {
	options := badger.DefaultIteratorOptions
	options.Prefix = []byte(prefix)
	// Prefetching starts a goroutine per entry and reads beyond the limit.
	options.PrefetchValues = false
	// An iterator keeps the files that it reads from, so it does not outlive a page.
	it := r.txn.NewIterator(options)
	defer it.Close()
	for it.Seek(start(prefix, after)); it.Valid(); it.Next() {
		item := it.Item()
		if bytes.HasPrefix(item.Key(), []byte(reservedHere)) {
			continue
		}
		if more, err := f(item); err != nil || !more {
			return err
		}
	}
	return nil
}

// expires is when Badger forgets an entry, zero for never.
func expires(item *badger.Item) time.Time {
	if item.ExpiresAt() == 0 {
		return time.Time{}
	}
	return time.Unix(int64(item.ExpiresAt()), 0)
}

// start is the least key that is greater than after and not before the prefix.
func start(prefix, after string) []byte {
	if after == "" {
		return []byte(prefix)
	}
	return []byte(max(prefix, after+"\x00"))
}

// get returns a copy of the value in the transaction, or registry.ErrNotFound.
func get(txn *badger.Txn, key string) ([]byte, error) {
	if key == "" || strings.HasPrefix(key, reservedHere) {
		return nil, registry.ErrNotFound
	}
	item, err := find(txn, []byte(key))
	if err != nil {
		return nil, err
	}
	return value(txn, item)
}

func find(txn *badger.Txn, key []byte) (*badger.Item, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, registry.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("registry/badger: get: %w", err)
	}
	return item, nil
}

// reads is how often a value that cannot be read is looked up. Twice would do
// for one collection in between; a second one takes many times longer than a read.
const reads = 3

// value copies, because Badger's own bytes are gone with the transaction. An
// empty value is not nil.
//
// Badger hands out no bytes and no error where it cannot read the value log. The
// cause may be the collector, which moved the value and removed its file after
// item was found: then the transaction finds the new place. Else the file is damaged.
func value(txn *badger.Txn, item *badger.Item) ([]byte, error) {
	for range reads {
		data, err := item.ValueCopy([]byte{})
		if err != nil {
			return nil, fmt.Errorf("registry/badger: value: %w", err)
		}
		if len(data) > 0 || item.ValueSize() == 0 {
			return data, nil
		}
		if item, err = find(txn, item.KeyCopy(nil)); err != nil {
			return nil, err
		}
	}
	return nil, ErrDamaged
}
