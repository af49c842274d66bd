// Package engine holds what every registry.Store in this product needs and none
// should write twice: the bounded write set of one update, and the watchers.
package engine

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// ErrEmptyKey is what a Writer returns for a key of no bytes, which no engine can hold.
var ErrEmptyKey = errors.New("registry: empty key")

// Write is what an update does to one key.
type Write struct {
	// Value is the new value. Nil when Deleted.
	Value []byte
	// Expires is when the engine may forget the key; zero means never.
	Expires time.Time
	// Expiring tells that Expires counts: PutExpiring with a zero time has expired long ago.
	Expiring bool
	// Deleted removes the key.
	Deleted bool
}

// Buffer collects the writes of one update and enforces the limits of the
// contract, registry.MaxUpdateKeys and registry.MaxUpdateBytes. The zero value
// is empty and ready. It is for one goroutine at a time.
type Buffer struct {
	writes map[string]Write
	bytes  int
	// err is the first refusal. It is kept, because an update that was refused a
	// write must not commit the others even where its function ignores the error.
	err error
}

// Put sets the key for good. The value is kept, not copied. The error is
// registry.ErrTooLarge or ErrEmptyKey.
func (b *Buffer) Put(key string, value []byte) error {
	return b.write(key, Write{Value: notNil(value)})
}

// PutExpiring sets the key and lets the engine forget it after expires. Value and errors as in Put.
func (b *Buffer) PutExpiring(key string, value []byte, expires time.Time) error {
	return b.write(key, Write{Value: notNil(value), Expires: expires, Expiring: true})
}

// Delete removes the key. It counts as a written key of its own length. Errors as in Put.
func (b *Buffer) Delete(key string) error {
	return b.write(key, Write{Deleted: true})
}

// Refuse makes the update fail with err even where its function ignores it, and
// returns err. Engines with rules of their own use it.
func (b *Buffer) Refuse(err error) error {
	if b.err == nil {
		b.err = err
	}
	return err
}

func (b *Buffer) write(key string, w Write) error {
	if key == "" {
		return b.Refuse(ErrEmptyKey)
	}
	old, again := b.writes[key]
	size, count := b.bytes+len(w.Value)-len(old.Value), len(b.writes)
	if !again {
		size, count = size+len(key), count+1
	}
	if count > registry.MaxUpdateKeys {
		return b.Refuse(fmt.Errorf("%w: more than %d keys", registry.ErrTooLarge, registry.MaxUpdateKeys))
	}
	if size > registry.MaxUpdateBytes {
		return b.Refuse(fmt.Errorf("%w: %d bytes, the limit is %d", registry.ErrTooLarge, size, registry.MaxUpdateBytes))
	}
	if b.writes == nil {
		b.writes = make(map[string]Write)
	}
	b.writes[key], b.bytes = w, size
	return nil
}

// Get returns a copy of the buffered value. known tells that the update has
// written the key; then the error is nil, or registry.ErrNotFound after Delete.
// Without known, the answer is the engine's to find.
func (b *Buffer) Get(key string) (value []byte, known bool, err error) {
	w, known := b.writes[key]
	if !known {
		return nil, false, nil
	}
	if w.Deleted {
		return nil, true, registry.ErrNotFound
	}
	return notNil(bytes.Clone(w.Value)), true, nil
}

// Err is the first refusal, or nil. A Buffer with an error must not be committed.
func (b *Buffer) Err() error { return b.err }

// Len is the number of different keys written.
func (b *Buffer) Len() int { return len(b.writes) }

// Bytes is the sum of the keys and values written.
func (b *Buffer) Bytes() int { return b.bytes }

// All yields the last write of every key, in no order. The values are the
// buffer's own: whoever takes them must not change them.
func (b *Buffer) All() iter.Seq2[string, Write] { return maps.All(b.writes) }

// Keys yields the keys written, in no order.
func (b *Buffer) Keys() iter.Seq[string] { return maps.Keys(b.writes) }

// notNil makes an empty value a value.
func notNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
