package clientfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/caddy-dcr/caddy-dcr/verify/refusal"
	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Reader reads a file line by line, and holds no more than one of them.
type Reader struct {
	in      *bufio.Reader
	sum     hash.Hash
	header  Header
	line    int
	clients int
	bytes   int64
	// last is the fault of the whole file, and then io.EOF.
	last error
}

// NewReader reads the header.
//
// Errors: ErrNoClients, ErrNewer, those of r.
func NewReader(r io.Reader) (*Reader, error) {
	in := &Reader{in: bufio.NewReaderSize(r, MaxLine), sum: sha256.New()}
	line, err := in.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it is empty", ErrNoClients)
	case err != nil && !errors.As(err, new(*LineError)):
		return nil, err
	}
	for _, odd := range []struct{ begins, is string }{
		{"\x1f\x8b", "it is compressed (gzip); uncompress it first"},
		{"\xef\xbb\xbf", "it begins with a byte order mark; save it as UTF-8 without one"},
		{"\xff\xfe", "it is UTF-16; save it as UTF-8"}, {"\xfe\xff", "it is UTF-16; save it as UTF-8"},
	} {
		if bytes.HasPrefix(line, []byte(odd.begins)) {
			return nil, fmt.Errorf("%w: %s", ErrNoClients, odd.is)
		}
	}
	if err == nil {
		err = in.readHeader(line)
	}
	if err != nil && !errors.Is(err, ErrNewer) {
		err = fmt.Errorf(`%w: its first line must be a header, {"format":%q,"version":%d}: %w`, ErrNoClients, Format, Version, err)
	}
	if err != nil {
		return nil, err
	}
	return in, nil
}

func (r *Reader) readHeader(line []byte) error {
	o, err := strictjson.Parse(line)
	if err != nil {
		return err
	}
	if format, _, err := o.String("format"); err != nil || format != Format {
		return errors.New("format is missing, or another one")
	}
	if version, ok, err := o.Integer("version"); err != nil || !ok || version < 1 {
		return errors.New("version is missing, or no number from 1")
	} else if version > Version {
		return ErrNewer
	}
	if err := decode(o, line, &r.header); err != nil {
		return err
	}
	if n := r.header.Count; n != nil && (*n < 0 || *n > MaxClients) {
		return fmt.Errorf("count is no number from 0 to %d", MaxClients)
	}
	return nil
}

// Header is the file's.
func (r *Reader) Header() Header { return r.header }

// Line is the number of the line that was read last, Clients how many lines of clients there
// were, Bytes how many bytes.
func (r *Reader) Line() int    { return r.line }
func (r *Reader) Clients() int { return r.clients }
func (r *Reader) Bytes() int64 { return r.bytes }

// Sum is the hash of all that was read: after io.EOF of the whole file.
func (r *Reader) Sum() (sum [sha256.Size]byte) { return [sha256.Size]byte(r.sum.Sum(nil)) }

// Next is the next client.
//
// Errors: *LineError for a line that is wrong, after which Next goes on; io.EOF at the end;
// ErrTooLarge and those of the file, after which there is nothing more.
func (r *Reader) Next() (*Client, error) {
	if r.last != nil {
		return nil, r.last
	}
	before := r.sum.Sum(nil)
	line, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		r.last = io.EOF
		if n := r.header.Count; n != nil {
			return nil, r.fault("", "%w: it has no end, and %d of %d clients; make it again", ErrCutOff, r.clients, *n)
		}
		return nil, r.last
	case errors.As(err, new(*LineError)):
		return nil, err
	case err != nil:
		r.last = err
		return nil, err
	}
	o, err := strictjson.Parse(line)
	if err == nil && o.Has("end") {
		return nil, r.readEnd(o, before)
	}
	if r.clients++; err != nil {
		return nil, r.fault("", "%w", err)
	}
	var c Client
	if err := decode(o, line, &c); err != nil {
		id, _, _ := o.String("client_id")
		return nil, r.fault(id, "%w", err)
	}
	return &c, nil
}

func (r *Reader) fault(id, format string, args ...any) *LineError {
	return &LineError{Line: r.line, ClientID: id, Err: fmt.Errorf(format, args...)}
}

// readEnd reads the last line, after which nothing may come.
func (r *Reader) readEnd(o strictjson.Object, before []byte) error {
	r.last = io.EOF
	var e end
	inner, _, err := o.Object("end")
	if err == nil && len(o.Members()) > 1 {
		err = errors.New("a member beside end")
	}
	if err == nil {
		err = decode(inner, o.Raw("end"), &e)
	}
	switch {
	case err != nil:
		return r.fault("", "the end cannot be read: %w", err)
	case r.header.Count == nil || *r.header.Count != e.Clients || e.Clients != r.clients:
		return r.fault("", "%w: header, lines and end have different numbers of clients; make it again, or leave out count and end", ErrCutOff)
	case hex.EncodeToString(before) != e.SHA256:
		return r.fault("", "%w: the hash at its end is of other lines; make it again, or leave out count and end", ErrCutOff)
	}
	if _, err := r.next(); !errors.Is(err, io.EOF) {
		return r.fault("", "%w: something comes after its end", ErrCutOff)
	}
	return io.EOF
}

// next is the next line, without what ends it. It is good until the next call.
func (r *Reader) next() ([]byte, error) {
	line, err := r.slice()
	if len(line) == 0 && err != nil {
		return nil, err
	}
	if r.line++; r.line > MaxClients+2 { // header and end
		return nil, fmt.Errorf("%w: it has more than %d clients; make several of it", ErrTooLarge, MaxClients)
	}
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		first := bytes.Clone(line[:min(len(line), 64)])
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.slice()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return first, r.fault("", "it is longer than %d bytes", MaxLine)
	case errors.Is(err, io.EOF):
		return line, r.fault("", "%w: it has no line end; end every line with one", ErrCutOff)
	case err != nil:
		return nil, err
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	if len(line) == 0 {
		return line, r.fault("", "it is empty; remove it")
	}
	return line, nil
}

// slice is a line, or a part of one that is too long.
func (r *Reader) slice() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	r.sum.Write(line)
	if r.bytes += int64(len(line)); r.bytes > MaxFile {
		return nil, fmt.Errorf("%w: it has more than %d bytes; make several of it", ErrTooLarge, MaxFile)
	}
	return line, err
}

// quoted is a name in an error.
func quoted(name string) string { return refusal.Quote(name) }
