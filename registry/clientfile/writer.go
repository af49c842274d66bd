package clientfile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/caddy-dcr/caddy-dcr/verify/strictjson"
)

// Writer writes a file.
type Writer struct {
	w       io.Writer
	sum     hash.Hash
	want    int
	clients int
	bytes   int64
}

// NewWriter writes the header, with how many clients there will be.
func NewWriter(w io.Writer, h Header, clients int) (*Writer, error) {
	h.Format, h.Version, h.Count = Format, Version, &clients
	out := &Writer{w: w, sum: sha256.New(), want: clients}
	return out, out.line(h)
}

// Line is a client as a line of a file, which may be written to a terminal.
func Line(c *Client) ([]byte, error) {
	if c.RegistrationAccessToken != "" || c.ClientSecret != "" {
		return nil, errors.New("clientfile: a secret in clear is never written")
	}
	line, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if line = append(strictjson.Printable(line), '\n'); len(line) > MaxLine {
		return nil, fmt.Errorf("client_id %q has %d bytes, and a line at most %d", c.ClientID, len(line), MaxLine)
	}
	return line, nil
}

// Put writes what Line has made.
func (o *Writer) Put(line []byte) error {
	o.clients++
	return o.write(line)
}

// Close writes the end. It does not close what is written to.
func (o *Writer) Close() error {
	if o.clients != o.want {
		return fmt.Errorf("clientfile: %d clients were written, and the header has %d", o.clients, o.want)
	}
	return o.line(map[string]end{"end": {Clients: o.clients, SHA256: hex.EncodeToString(o.sum.Sum(nil))}})
}

// Clients and Bytes are how many were written.
func (o *Writer) Clients() int { return o.clients }
func (o *Writer) Bytes() int64 { return o.bytes }

func (o *Writer) line(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return o.write(append(strictjson.Printable(line), '\n'))
}

func (o *Writer) write(line []byte) error {
	o.sum.Write(line)
	n, err := o.w.Write(line)
	o.bytes += int64(n)
	return err
}
