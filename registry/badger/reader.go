package badger

import (
	"fmt"

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
		data, err := value(item)
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

// value copies, because Badger's own bytes are gone with the transaction. An
// empty value is not nil.
func value(item *badger.Item) ([]byte, error) {
	data, err := item.ValueCopy([]byte{})
	if err != nil {
		return nil, fmt.Errorf("registry/badger: value: %w", err)
	}
	return data, nil
}
