package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Backlog is what one workspace's AS has yet to be told. A number that stays, or an
// oldest entry that does, is an AS that cannot be reached or does not take it.
type Backlog struct {
	Workspace string `json:"workspace"`
	// Configured: a configuration has attached the connector. Without, entries wait.
	Configured bool `json:"configured"`
	// Waiting is the number of entries: due, put off, or overdue after a crash. Not
	// those of requests that are at work.
	Waiting int `json:"waiting"`
	// Oldest is when the oldest of them was made, seconds since 1970; 0 for none, and
	// where none of them says.
	Oldest int64 `json:"oldest,omitempty"`
	// LastError is that of the last attempt that failed, at LastTried.
	LastError string `json:"last_error,omitempty"`
	LastTried int64  `json:"last_tried,omitempty"`
	// Discrepancies counts them by kind.
	Discrepancies map[string]int `json:"discrepancies,omitempty"`
}

// OutboxEntry is work that waits, for operators.
type OutboxEntry struct {
	// ID names the entry as long as it lasts.
	ID        string `json:"id"`
	Workspace string `json:"workspace"`
	// Kind is revoke, undo, delete or restore.
	Kind string `json:"kind"`
	// Registration is the registry's id of the client; empty for a revocation.
	Registration string `json:"registration,omitempty"`
	// Since, Tried and Due are seconds since 1970: when it was made, last tried, and
	// when it will be tried next.
	Since     int64  `json:"since"`
	Tried     int64  `json:"tried,omitempty"`
	Due       int64  `json:"due"`
	Attempts  int    `json:"attempts"`
	LastError string `json:"last_error,omitempty"`
}

// backlogPage is how many entries are read in one transaction.
const backlogPage = 1000

// Backlogs counts the outbox, for every workspace that is configured or has entries.
func (r *Registry) Backlogs(ctx context.Context) ([]Backlog, error) {
	found := map[string]*Backlog{}
	of := func(workspace string) *Backlog {
		b := found[workspace]
		if b == nil {
			_, configured := r.attached(workspace)
			b = &Backlog{Workspace: workspace, Configured: configured}
			found[workspace] = b
		}
		return b
	}
	for _, name := range r.attachedNames() {
		of(name)
	}
	err := r.eachEntry(ctx, "", func(_ string, e OutboxEntry) bool {
		of(e.Workspace).count(e)
		return true
	})
	if err != nil {
		return nil, err
	}
	for cursor := ""; ; {
		list, next, err := r.Discrepancies(ctx, "", cursor, backlogPage)
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			b := of(d.Workspace)
			if b.Discrepancies == nil {
				b.Discrepancies = map[string]int{}
			}
			b.Discrepancies[d.Kind]++
		}
		if cursor = next; next == "" {
			break
		}
	}
	backlogs := make([]Backlog, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		backlogs = append(backlogs, *found[name])
	}
	return backlogs, nil
}

func (b *Backlog) count(e OutboxEntry) {
	b.Waiting++
	b.Oldest = older(b.Oldest, e.Since)
	if e.Tried > b.LastTried || e.Tried == b.LastTried && e.LastError > b.LastError {
		b.LastTried, b.LastError = e.Tried, e.LastError
	}
}

// Outbox lists at most limit entries of a workspace ("" for all): first those that a crash has
// left and whose lease has ended, then the others, each as they are due. It looks at no more
// than 2,000, so that a page may be empty; next is the cursor to go on with, empty at the end.
//
// Errors: ErrCursor.
func (r *Registry) Outbox(ctx context.Context, workspace, cursor string, limit int) (list []OutboxEntry, next string, err error) {
	after, err := outboxCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	looked := 0
	err = r.eachEntry(ctx, after, func(key string, e OutboxEntry) bool {
		if workspace == "" || workspace == e.Workspace {
			list = append(list, e)
		}
		if looked++; len(list) == limit || looked == maxSearched {
			next = base64.RawURLEncoding.EncodeToString([]byte(key))
		}
		return next == ""
	})
	return list, next, err
}

// outboxCursor is the key after which a page begins.
func outboxCursor(cursor string) (after string, err error) {
	key, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(key) > maxOutboxKey || len(key) > 0 && outboxDue(string(key)).IsZero() {
		return "", ErrCursor
	}
	after = string(key)
	if after != "" && !strings.HasPrefix(after, laterPrefix) && !strings.HasPrefix(after, outboxPrefix) {
		return "", ErrCursor
	}
	return after, nil
}

// maxOutboxKey is longer than the key of any entry, in bytes.
const maxOutboxKey = 200

// eachEntry calls f for every entry that waits and follows the key after ("" for all), until f
// has enough.
func (r *Registry) eachEntry(ctx context.Context, after string, f func(key string, e OutboxEntry) bool) error {
	now := r.now()
	for _, prefix := range []string{laterPrefix, outboxPrefix} {
		from := ""
		switch {
		case strings.HasPrefix(after, prefix):
			from = after
		case after != "" && prefix == laterPrefix:
			continue // it is behind these
		}
		for e, err := range walkFrom(ctx, r.store, prefix, from, backlogPage) {
			if err != nil {
				return err
			}
			due := outboxDue(e.Key)
			if prefix == laterPrefix && due.After(now) {
				break // so are all that follow: leases of requests at work
			}
			one, err := outboxEntry(e, due)
			if err != nil {
				return err
			}
			if !f(e.Key, one) {
				return nil
			}
		}
	}
	return nil
}

func outboxEntry(e Entry, due time.Time) (OutboxEntry, error) {
	var k work
	if err := json.Unmarshal(e.Value, &k); err != nil {
		return OutboxEntry{}, fmt.Errorf("registry: unreadable outbox entry %s: %w", e.Key, err)
	}
	return OutboxEntry{
		ID: k.name(), Workspace: k.Workspace, Kind: k.Kind, Registration: k.Registration,
		Since: k.Since, Tried: k.Tried, Due: due.Unix(), Attempts: k.Attempts, LastError: k.LastError,
	}, nil
}
