package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Reader reads one backup. What Next returns is authentic, but only once it has returned
// io.EOF is the backup known to be whole. It is for one goroutine.
type Reader struct {
	// Header is authenticated.
	Header Header

	from    *source
	plain   *bufio.Reader
	last    string
	records int64
	counts  map[string]int64
	// err is the last word: after it there is nothing.
	err error
}

// ReadHeader reads what is in clear. Nothing of it is authenticated: it tells which keyset
// a backup wants.
//
// Errors: ErrNoBackup, ErrNewer, ErrAltered.
func ReadHeader(r io.Reader) (Header, error) {
	h, _, err := readHeader(&source{r: r})
	return h, err
}

// NewReader reads and authenticates the beginning.
//
// Errors: those of ReadHeader, ErrForeign.
func NewReader(r io.Reader, s Sealer) (*Reader, error) {
	from := &source{r: r}
	h, prelude, err := readHeader(from)
	if err != nil {
		return nil, err
	}
	sealed, err := from.sized(maxSealed)
	if err != nil {
		return nil, err
	}
	fileKey, err := s.Open(sealed, string(prelude))
	if err != nil || len(fileKey) != fileKeySize {
		return nil, ErrForeign
	}
	c, err := cipher(fileKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(appendSized(prelude, sealed))
	stream, err := c.NewDecryptingReader(from, sum[:])
	if err != nil {
		return nil, from.fault()
	}
	return &Reader{Header: h, from: from, plain: bufio.NewReaderSize(stream, segmentSize), counts: map[string]int64{}}, nil
}

// readHeader returns what it has read too.
func readHeader(from *source) (h Header, prelude []byte, err error) {
	line := make([]byte, len(magic)+len(format)+1)
	if _, err := io.ReadFull(from, line); err != nil {
		if from.err != nil {
			return h, nil, from.err
		}
		return h, nil, ErrNoBackup
	}
	version, ok := strings.CutPrefix(string(line), magic)
	switch {
	case !ok:
		return h, nil, ErrNoBackup
	case version != format+"\n" && version[0] >= '1' && version[0] <= '9':
		return h, nil, ErrNewer
	case version != format+"\n":
		return h, nil, ErrAltered
	}
	text, err := from.sized(maxHeader)
	if err != nil {
		return h, nil, err
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, nil, ErrAltered
	}
	return h, appendSized(line, text), nil
}

// Next returns the next record, or io.EOF after the last one, when the whole backup was
// read and is as it was written.
//
// Errors: ErrAltered, io.EOF, and those of the file.
func (r *Reader) Next() (Record, error) {
	if r.err != nil {
		return Record{}, r.err
	}
	record, err := r.next()
	if err != nil {
		r.err = err
		return Record{}, err
	}
	return record, nil
}

func (r *Reader) next() (record Record, err error) {
	tag, err := r.plain.ReadByte()
	if err != nil {
		return record, r.from.fault()
	}
	switch tag {
	case tagEnd:
		return record, r.end()
	case tagLasting, tagExpiring:
	default:
		return record, ErrAltered
	}
	key, err := r.sized(maxKey)
	if err == nil {
		record.Value, err = r.sized(maxValue)
	}
	if err == nil && tag == tagExpiring {
		record.Expires, err = r.time()
	}
	if err != nil {
		return record, err
	}
	record.Key = string(key)
	if record.Key <= r.last {
		return record, ErrAltered
	}
	kind := Kind(record.Key)
	r.last = record.Key
	r.records++
	if r.counts[kind]++; r.counts[kind] > r.Header.Counts[kind] {
		return record, ErrAltered
	}
	return record, nil
}

// end is io.EOF where everything is as it must be.
func (r *Reader) end() error {
	n, err := binary.ReadUvarint(r.plain)
	if err != nil {
		return r.from.fault()
	}
	// Only behind the last segment the stream ends, and only then it is known to be the last.
	if _, err := r.plain.ReadByte(); !errors.Is(err, io.EOF) {
		return r.from.fault()
	}
	if n != uint64(r.records) || r.from.err != nil {
		return r.from.fault()
	}
	return io.EOF
}

func (r *Reader) sized(limit uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(r.plain)
	if err != nil {
		return nil, r.from.fault()
	}
	if n > limit {
		return nil, ErrAltered
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.plain, b); err != nil {
		return nil, r.from.fault()
	}
	return b, nil
}

func (r *Reader) time() (time.Time, error) {
	seconds, err := binary.ReadVarint(r.plain)
	if err != nil {
		return time.Time{}, r.from.fault()
	}
	nanoseconds, err := binary.ReadUvarint(r.plain)
	if err != nil {
		return time.Time{}, r.from.fault()
	}
	if nanoseconds >= uint64(time.Second) {
		return time.Time{}, ErrAltered
	}
	return time.Unix(seconds, int64(nanoseconds)), nil
}

// Records is how many were read.
func (r *Reader) Records() int64 { return r.records }

// source remembers why the file could not be read: that is no word about what is in it.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = fmt.Errorf("backup: reading: %w", err)
	}
	return n, err
}

// fault is why the stream does not go on: the file cannot be read, or is not as it was written.
func (s *source) fault() error {
	if s.err != nil {
		return s.err
	}
	return ErrAltered
}

func (s *source) sized(limit uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(s, length[:]); err != nil {
		return nil, s.fault()
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > limit {
		return nil, ErrAltered
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s, b); err != nil {
		return nil, s.fault()
	}
	return b, nil
}
