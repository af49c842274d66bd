package badger

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

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
	options := badger.DefaultIteratorOptions
	options.Prefix = []byte(prefix)
	// Prefetching starts a goroutine per entry and reads beyond the limit.
	options.PrefetchValues = false
	it := r.txn.NewIterator(options)
	defer it.Close()

	var entries []registry.Entry
	for it.Seek(start(prefix, after)); it.Valid() && len(entries) < limit; it.Next() {
		item := it.Item()
		if bytes.HasPrefix(item.Key(), []byte(reservedHere)) {
			continue
		}
		data, err := value(r.txn, item)
		if errors.Is(err, registry.ErrNotFound) {
			continue // Expired while it was read.
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, registry.Entry{Key: string(item.Key()), Value: data})
	}
	return entries, nil
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
