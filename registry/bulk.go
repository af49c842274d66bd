package registry

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// bulk writes many records in updates that run side by side, each with as much as one may
// have or a little less: there is no order between them, and an end that is not complete is
// the caller's to tell. It is for one goroutine.
type bulk struct {
	ctx     context.Context
	store   Store
	group   *errgroup.Group
	entries []bulkEntry
	bytes   int
}

type bulkEntry struct {
	Entry
	deleted bool
}

const (
	// bulkUpdates run side by side, and share the syncs of the disk.
	bulkUpdates = 64
	bulkKeys    = MaxUpdateKeys
	bulkBytes   = MaxUpdateBytes / 2
)

func newBulk(ctx context.Context, s Store) *bulk {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(bulkUpdates)
	return &bulk{ctx: ctx, store: s, group: group}
}

func (b *bulk) put(e Entry) error { return b.add(bulkEntry{Entry: e}) }

func (b *bulk) delete(key string) error {
	return b.add(bulkEntry{Entry: Entry{Key: key}, deleted: true})
}

func (b *bulk) add(e bulkEntry) error {
	size := len(e.Key) + len(e.Value)
	if len(b.entries) > 0 && (len(b.entries) == bulkKeys || b.bytes+size > bulkBytes) {
		b.flush()
	}
	b.entries, b.bytes = append(b.entries, e), b.bytes+size
	return context.Cause(b.ctx)
}

// flush waits while as many updates run as may.
func (b *bulk) flush() {
	entries := b.entries
	b.entries, b.bytes = make([]bulkEntry, 0, len(entries)), 0
	b.group.Go(func() error {
		return b.store.Update(b.ctx, func(w Writer) error {
			for _, e := range entries {
				if err := e.write(w); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (e bulkEntry) write(w Writer) error {
	switch {
	case e.deleted:
		return w.Delete(e.Key)
	case e.Expires.IsZero():
		return w.Put(e.Key, e.Value)
	}
	return w.PutExpiring(e.Key, e.Value, e.Expires)
}

// wait writes the rest and returns the first error.
func (b *bulk) wait() error {
	if len(b.entries) > 0 {
		b.flush()
	}
	return b.group.Wait()
}

// Get, Put, PutExpiring and Delete make a bulk a Writer of what is only written.

func (b *bulk) Get(string) ([]byte, error)         { return nil, ErrNotFound }
func (b *bulk) Put(key string, value []byte) error { return b.put(Entry{Key: key, Value: value}) }
func (b *bulk) Delete(key string) error            { return b.delete(key) }
func (b *bulk) PutExpiring(key string, value []byte, expires time.Time) error {
	return b.put(Entry{Key: key, Value: value, Expires: expires})
}

// clearPage is how many keys are looked up at once.
const clearPage = 4096

// clearStore deletes everything but the mark of a restore.
func clearStore(ctx context.Context, s Store) error {
	for {
		var keys []string
		err := s.View(ctx, func(v Reader) (err error) {
			keys, err = v.Keys("", "", clearPage)
			return err
		})
		if err != nil || len(keys) == 0 || len(keys) == 1 && keys[0] == bindingKey {
			return err
		}
		b := newBulk(ctx, s)
		for _, key := range keys {
			if key == bindingKey {
				continue
			}
			if err := b.delete(key); err != nil {
				return errors.Join(err, b.wait())
			}
		}
		if err := b.wait(); err != nil {
			return err
		}
	}
}
