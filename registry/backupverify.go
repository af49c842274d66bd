package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/caddy-dcr/caddy-dcr/registry/backup"
)

// ErrMissingKeys is for a backup with records that the keyset cannot open.
var ErrMissingKeys = errors.New("the backup was made with another keyset")

// VerifiedBackup is a backup that is whole and that a keyset opens.
type VerifiedBackup struct {
	backup.Header
	// Records is how many it has.
	Records int64
	// Label names the restore in the Epoch; empty where nothing was written.
	Label string

	sum [sha256.Size]byte
}

// VerifyBackup reads a backup to its end, and finds out whether a keyset opens it and this
// version can read it. Nothing is written.
//
// Errors: those of package backup, ErrMissingKeys, a newer schema.
func VerifyBackup(ctx context.Context, from io.ReadSeeker, s Sealer, progress func(BackupProgress)) (*VerifiedBackup, error) {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("registry: reading the backup: %w", err)
	}
	h, err := backup.ReadHeader(from)
	if err != nil {
		return nil, err
	}
	if _, err := migrateFrom(h.Schema); err != nil {
		return nil, err
	}
	if missing := missingKeys(h.KeysetIDs, s); len(missing) > 0 {
		return nil, fmt.Errorf("%w: the keyset lacks its keys %s; put back the keyset of that time, or one that has these keys too", ErrMissingKeys, ids(missing))
	}
	v := &VerifiedBackup{}
	r, err := readBackup(ctx, from, s, progress, func(r backup.Record) error {
		if !strings.HasPrefix(r.Key, clientPrefix) {
			return nil
		}
		_, err := readClient(r.Value)
		return err
	})
	if err != nil {
		return nil, err
	}
	v.Header, v.Records, v.sum = r.Header, r.records, r.sum
	return v, nil
}

func ids(list []uint32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

// readFile is what one reading of the whole file has found.
type readFile struct {
	Header  backup.Header
	records int64
	sum     [sha256.Size]byte
}

// readBackup calls f with every record, in the schema of this version. Only when it returns
// without an error the file is whole.
func readBackup(ctx context.Context, from io.ReadSeeker, s Sealer, progress func(BackupProgress), f func(backup.Record) error) (*readFile, error) {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("registry: reading the backup: %w", err)
	}
	hash := sha256.New()
	file := &countedReader{r: io.TeeReader(from, hash)}
	r, err := backup.NewReader(file, s)
	if err != nil {
		return nil, err
	}
	migrate, err := migrateFrom(r.Header.Schema)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		if n%progressEvery == 0 {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if progress != nil {
				progress(BackupProgress{Records: r.Records(), Total: r.Header.Records(), Bytes: file.n})
			}
		}
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return &readFile{r.Header, r.Records(), [sha256.Size]byte(hash.Sum(nil))}, nil
		}
		if err != nil {
			return nil, err
		}
		records, err := migrate(record)
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			if err := f(record); err != nil {
				return nil, err
			}
		}
	}
}

// progressEvery is after how many records a context is looked at and progress told.
const progressEvery = 100

type countedReader struct {
	r io.Reader
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
