// Package backup is the file format of a backup: all records of a store at one moment, as
// one stream that is encrypted and authenticated. It knows nothing of what the records mean.
//
//	prelude   "caddy-dcr backup 1\n"
//	          length 4, Header as JSON
//	          length 4, the file's own key, sealed with the store's keyset
//	stream    Tink streaming AEAD (AES256-GCM-HKDF, SHA-256, segments of 64 KiB) of
//	          0x01 length key length value                        a record that lasts
//	          0x02 length key length value seconds nanoseconds    one that expires
//	          0x00 records                                        the end
//
// Numbers of the prelude are big-endian, those of the stream varints. The prelude is in
// clear, so that a person sees what a file is without a key. All of it before the sealed
// key is that key's associated data, and its hash with the sealed key is the stream's: a
// changed byte anywhere opens nothing. Each segment is numbered, and the last one says that
// it is: a file that was cut off, at the border of a segment too, has no end, and after the
// end there is nothing. Who has not the keyset can neither read a backup nor make one.
package backup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

const (
	// magic begins every file of any version, and is followed by the version and a line end.
	magic  = "caddy-dcr backup "
	format = "1"

	fileKeySize = 32
	segmentSize = 64 << 10
)

// Bounds of what is read, in bytes: far above what a store can hold.
const (
	maxHeader = 4 << 20
	maxSealed = 1 << 10
	maxKey    = 1 << 16
	maxValue  = 1 << 20
)

// The first byte of each thing in the stream.
const (
	tagEnd      = 0
	tagLasting  = 1
	tagExpiring = 2
)

var (
	// ErrNoBackup is a file that does not begin as a backup does.
	ErrNoBackup = errors.New("this is not a backup of caddy-dcr")
	// ErrNewer is a backup whose format this version does not know.
	ErrNewer = errors.New("the backup was made by a newer version: run that version, or a later one")
	// ErrAltered is a backup that does not hold what was written.
	ErrAltered = errors.New("the backup is damaged: it was cut off or altered, nothing of it can be trusted")
	// ErrForeign is a backup whose own key the keyset does not open.
	ErrForeign = errors.New("the keyset does not open the backup: it is another keyset, or the beginning of the file was altered")
)

// Sealer seals the file's own key. context is the associated data.
type Sealer interface {
	Seal(secret []byte, context string) ([]byte, error)
	Open(sealed []byte, context string) ([]byte, error)
}

// Header is what a backup says in clear. It is authenticated once NewReader returns it.
type Header struct {
	// Schema is that of the records.
	Schema int `json:"schema"`
	// Time is when the snapshot was taken.
	Time time.Time `json:"time"`
	// Sequence is the last commit in the snapshot, where the engine numbers them.
	Sequence uint64 `json:"sequence,omitempty"`
	// KeysetIDs are the keys that records are sealed with, as tinkey prints them. Never the keys.
	KeysetIDs []uint32 `json:"keyset_ids"`
	// Workspaces are those that have clients.
	Workspaces []string `json:"workspaces"`
	// Counts are the records by their kind, the first part of the key. Those that expire
	// while a backup is made may be missing in the stream.
	Counts map[string]int64 `json:"counts"`
}

// Kind is what Counts counts a key as: its first part. Text of a header is UTF-8.
func Kind(key string) string {
	kind, _, _ := strings.Cut(key, "/")
	return strings.ToValidUTF8(kind, "\uFFFD")
}

// Records is the number of all records.
func (h Header) Records() (n int64) {
	for _, count := range h.Counts {
		n += count
	}
	return n
}

// Record is one record.
type Record struct {
	Key   string
	Value []byte
	// Expires is when it may be forgotten, zero for never.
	Expires time.Time
}

// cipher is the stream's.
func cipher(fileKey []byte) (*subtle.AESGCMHKDF, error) {
	c, err := subtle.NewAESGCMHKDF(fileKey, "SHA256", fileKeySize, segmentSize, 0)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return c, nil
}
