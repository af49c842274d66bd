package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// connection speaks HTTP/1.1 to one server and keeps the connection. It does
// what the load needs and nothing else, because net/http would take a third of
// the two cores that the gateway is measured on.
type connection struct {
	net.Conn
	reader *bufio.Reader
	writer *bufio.Writer
}

// bufferSize holds a whole registration request, so that it is one write.
const bufferSize = 64 << 10

func dial(ctx context.Context, address string, config *tls.Config) (*connection, error) {
	dialer := tls.Dialer{Config: config}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, reader: bufio.NewReaderSize(c, bufferSize), writer: bufio.NewWriterSize(c, bufferSize)}, nil
}

// exchange sends a request and reads its answer, which must have the status.
func (c *connection) exchange(r request, status int) error {
	// What a bufio.Writer could not write, Flush reports.
	_, _ = c.writer.Write(r.head)
	_, _ = c.writer.Write(r.body)
	if err := c.writer.Flush(); err != nil {
		return err
	}
	got, length, err := readHead(c.reader)
	if err != nil {
		return err
	}
	if got != status {
		excerpt, err := c.reader.Peek(min(length, 400))
		return errors.Join(fmt.Errorf("answered %d, not %d: %s", got, status, excerpt), err)
	}
	_, err = c.reader.Discard(length)
	return err
}

var (
	protocol         = []byte("HTTP/1.1 ")
	contentLength    = []byte("content-length:")
	transferEncoding = []byte("transfer-encoding:")
)

// readHead reads a request or an answer up to its body, and returns the status
// (0 of a request) and the length of the body.
func readHead(r *bufio.Reader) (status, length int, err error) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if rest, ok := bytes.CutPrefix(line, protocol); ok {
				if status, err = strconv.Atoi(string(rest[:min(3, len(rest))])); err != nil {
					return 0, 0, fmt.Errorf("status line %q", line)
				}
			}
		case len(line) == 0:
			return status, length, nil
		default:
			if value, ok := field(line, contentLength); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return 0, 0, err
				}
			} else if _, ok := field(line, transferEncoding); ok {
				return 0, 0, fmt.Errorf("%q: only bodies with Content-Length are read here", line)
			}
		}
	}
}

// field is the value of a header line, if it is the one of that name.
func field(line, name []byte) (value []byte, ok bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return line[len(name):], true
}
