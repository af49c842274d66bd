package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// ErrCursor is a cursor that no page of the list has given.
var ErrCursor = errors.New("registry: the cursor is of another list; it is the next of the page before, in an address percent-encoded")

// workspacePrefix is where the keys of a kind are, of one workspace or of all.
func workspacePrefix(kind, workspace string) string {
	if workspace == "" {
		return key(kind) + "/"
	}
	return key(kind, workspace) + "/"
}

// page is one page of what is under a prefix, each entry read by read, and the cursor
// to go on with, empty at the end.
func page[T any](ctx context.Context, r *Registry, prefix, cursor string, limit int, read func(Reader, Entry) (T, error)) (list []T, next string, err error) {
	if cursor != "" && !strings.HasPrefix(cursor, prefix) {
		return nil, "", ErrCursor
	}
	err = r.store.View(ctx, func(v Reader) error {
		list, next = nil, ""
		entries, err := v.Scan(prefix, cursor, limit)
		if err != nil {
			return err
		}
		for _, e := range entries {
			one, err := read(v, e)
			if err != nil {
				return fmt.Errorf("registry: %s: %w", e.Key, err)
			}
			list = append(list, one)
		}
		if len(entries) == limit {
			next = entries[limit-1].Key
		}
		return nil
	})
	return list, next, err
}

// walk yields what is under a prefix. It reads page by page, so that entries may come and
// go meanwhile. An error is the last that it yields.
func walk(ctx context.Context, s Store, prefix string, page int) iter.Seq2[Entry, error] {
	return walkFrom(ctx, s, prefix, "", page)
}

// walkFrom is walk from the entry on that follows after.
func walkFrom(ctx context.Context, s Store, prefix, after string, page int) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for after, full := after, true; full; {
			var entries []Entry
			err := s.View(ctx, func(v Reader) (err error) {
				entries, err = v.Scan(prefix, after, page)
				return err
			})
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
				after = e.Key
			}
			full = len(entries) == page
		}
	}
}

// fromJSON reads a value that is JSON.
func fromJSON[T any](_ Reader, e Entry) (one T, err error) {
	err = json.Unmarshal(e.Value, &one)
	return one, err
}

// List returns at most limit clients that an index names, in the index's order,
// and the cursor to go on with, empty at the end.
func (r *Registry) List(ctx context.Context, workspace string, by Index, value, cursor string, limit int) (list []*Client, next string, err error) {
	prefix := indexPrefix(by, workspace, value)
	return page(ctx, r, prefix, cursor, limit, func(v Reader, e Entry) (*Client, error) {
		id := e.Key[len(prefix):]
		if by == ByTime {
			id = timeEntryID(id)
		}
		return loadClient(v, workspace, id)
	})
}

// timeEntryID is the client of an entry of ByTime.
func timeEntryID(entry string) string {
	_, id, _ := strings.Cut(entry, "-")
	return id
}
