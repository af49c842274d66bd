package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// The states of an ImportRecord. One that is writing was killed, or is at work.
const (
	ImportWriting = "writing"
	ImportDone    = "done"
	ImportUndoing = "undoing"
	ImportUndone  = "undone"
)

// ImportRetention is how long an import can be undone after it has ended.
const ImportRetention = 90 * 24 * time.Hour

// ImportRecord is an import that was begun. What it has written is listed beside it.
type ImportRecord struct {
	Schema int `json:"v"`
	// ID names it: the same file has the same.
	ID string `json:"id"`
	// State is one of those above.
	State string `json:"state"`
	// SHA256 is the hash of the file, hexadecimal, Workspace that of its lines which name none.
	SHA256    string `json:"sha256"`
	Workspace string `json:"workspace,omitempty"`
	// Clients is how many the file has, Written how many of them were written, or soon after
	// were; Conflicts how many not, because their client_id was taken meanwhile.
	Clients   int `json:"clients"`
	Written   int `json:"written"`
	Conflicts int `json:"conflicts,omitempty"`
	// Undone is how many were removed again, Kept how many not, because they have changed.
	Undone int `json:"undone,omitempty"`
	Kept   int `json:"kept,omitempty"`
	// Began and Ended are seconds since 1970; Ended is 0 while it is not at its end.
	Began int64 `json:"began"`
	Ended int64 `json:"ended,omitempty"`
	// Act is that of the operator who has begun it, or last gone on with it.
	Act
}

// importedEntry is a client that an import has written, as it was then.
type importedEntry struct {
	Schema       int    `json:"v"`
	Registration string `json:"registration"`
	// Sum is stateOf the client. Alike: the import has written alikeKey. Suspended: it has
	// suspended the client.
	Sum       []byte `json:"sum"`
	Alike     bool   `json:"alike,omitempty"`
	Suspended bool   `json:"suspended,omitempty"`
	// At is when it was written, seconds since 1970.
	At int64 `json:"at"`
}

func importKey(id string) string { return key("import", id) }

const importPrefix = "import/"

// importedKey is where it is listed that an import has written a client.
func importedKey(id string, c *Client) string { return key("imported", id, c.Workspace, c.ClientID) }

func importedPrefix(id string) string { return key("imported", id) + "/" }

// stateOf names the content of a client's record: it is another one after any change, but for
// the leases of changes, which leave none.
func stateOf(c *Client) ([]byte, error) {
	one := *c
	one.Change, one.ChangeUntil = "", 0
	text, err := json.Marshal(&one)
	sum := sha256.Sum256(text)
	return sum[:], err
}

// statementRequest stands for the request of a client of which there is only the statement.
func statementRequest(statement string) []byte {
	return append(strictjson.AppendString([]byte(`{"software_statement":`), statement), '}')
}

func readImport(r getter, id string) (*ImportRecord, error) {
	data, err := r.Get(importKey(id))
	if err != nil {
		return nil, err
	}
	var m ImportRecord
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("registry: unreadable import: %w", err)
	}
	if m.Schema > schema {
		return nil, fmt.Errorf("registry: import of schema %d, this version knows %d: run the newer version", m.Schema, schema)
	}
	return &m, nil
}

// put writes the record. One that has not ended stays.
func (m *ImportRecord) put(w Writer, now time.Time) error {
	m.Schema = schema
	if m.Ended == 0 {
		return putRecord(w, importKey(m.ID), m)
	}
	return putExpiringRecord(w, importKey(m.ID), m, now.Add(ImportRetention))
}

// ImportRecord returns an import that was begun, and its entity tag, see Act.
//
// Errors: ErrNotFound.
func (r *Registry) ImportRecord(ctx context.Context, id string) (m *ImportRecord, tag string, err error) {
	err = r.store.View(ctx, func(v Reader) error {
		if m, err = readImport(v, id); err == nil {
			tag, err = entityTag(v, importKey(id))
		}
		return err
	})
	return m, tag, err
}

// ImportRecords lists at most limit imports, and the cursor to go on with, empty at the end.
func (r *Registry) ImportRecords(ctx context.Context, cursor string, limit int) (list []ImportRecord, next string, err error) {
	return page(ctx, r, importPrefix, cursor, limit, fromJSON[ImportRecord])
}

// sameFile tells whether an import is of this file.
func (m *ImportRecord) sameFile(sum [sha256.Size]byte) bool {
	had, err := hex.DecodeString(m.SHA256)
	return err == nil && bytes.Equal(had, sum[:])
}
