package backup

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Writer writes one backup. It is for one goroutine.
type Writer struct {
	out     *counted
	stream  io.WriteCloser
	plain   *bufio.Writer
	scratch []byte
	last    string
	records int64
	// err is the first error: nothing follows a stream with a gap.
	err error
}

// NewWriter writes the beginning. Without Close there is no end, and no reader takes the file.
func NewWriter(w io.Writer, s Sealer, h Header) (*Writer, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	if len(text) > maxHeader {
		return nil, fmt.Errorf("backup: a header of %d bytes, the limit is %d: too many workspaces", len(text), maxHeader)
	}
	prelude := []byte(magic + format + "\n")
	prelude = appendSized(prelude, text)
	fileKey := make([]byte, fileKeySize)
	rand.Read(fileKey) // never fails, as its documentation says
	sealed, err := s.Seal(fileKey, string(prelude))
	if err != nil {
		return nil, fmt.Errorf("backup: sealing the key of the file: %w", err)
	}
	prelude = appendSized(prelude, sealed)
	out := &counted{w: w}
	if _, err := out.Write(prelude); err != nil {
		return nil, err
	}
	c, err := cipher(fileKey)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(prelude)
	stream, err := c.NewEncryptingWriter(out, sum[:])
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return &Writer{out: out, stream: stream, plain: bufio.NewWriterSize(stream, segmentSize)}, nil
}

func appendSized(to, what []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(what))), what...)
}

// Put writes one record. Keys come in ascending order, as a scan of a store yields them.
func (w *Writer) Put(r Record) error {
	if w.err != nil {
		return w.err
	}
	switch {
	case r.Key == "" || len(r.Key) > maxKey || len(r.Value) > maxValue:
		w.err = fmt.Errorf("backup: a key of %d bytes with a value of %d cannot be written", len(r.Key), len(r.Value))
	case r.Key <= w.last:
		w.err = fmt.Errorf("backup: the key %q comes after %q", r.Key, w.last)
	default:
		w.last = r.Key
		w.records++
		w.err = w.put(r)
	}
	return w.err
}

func (w *Writer) put(r Record) error {
	tag := byte(tagLasting)
	if !r.Expires.IsZero() {
		tag = tagExpiring
	}
	b := append(w.scratch[:0], tag)
	b = binary.AppendUvarint(b, uint64(len(r.Key)))
	b = append(b, r.Key...)
	b = binary.AppendUvarint(b, uint64(len(r.Value)))
	b = append(b, r.Value...)
	if tag == tagExpiring {
		b = binary.AppendVarint(b, r.Expires.Unix())
		b = binary.AppendUvarint(b, uint64(r.Expires.Nanosecond()))
	}
	w.scratch = b
	_, err := w.plain.Write(b)
	return err
}

// Close writes the end. It does not close what is below.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	_, err := w.plain.Write(binary.AppendUvarint([]byte{tagEnd}, uint64(w.records)))
	if err == nil {
		err = w.plain.Flush()
	}
	if err == nil {
		err = w.stream.Close()
	}
	w.err = errors.New("backup: it is closed")
	return err
}

// Records is how many were put, and Bytes what has reached the file.
func (w *Writer) Records() int64 { return w.records }

// Bytes is what has reached the file.
func (w *Writer) Bytes() int64 { return w.out.n }

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
