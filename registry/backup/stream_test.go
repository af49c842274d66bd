package backup

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
)

// clear is a sealer that hides nothing.
type clear struct{}

func (clear) Seal(secret []byte, _ string) ([]byte, error) { return secret, nil }
func (clear) Open(sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// FuzzStream reads a stream of any text that somebody has encrypted who has the keyset: it
// ends, and no record in it is larger than one may be.
func FuzzStream(f *testing.F) {
	f.Add([]byte{tagEnd, 0})
	f.Add([]byte{tagLasting, 1, 'a', 1, 'b', tagExpiring, 1, 'b', 0, 2, 3, tagEnd, 2})
	f.Add([]byte{tagLasting, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{tagExpiring, 1, 'a', 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		prelude := appendSized([]byte(magic+format+"\n"), []byte(`{"counts":{"a":3,"b":3}}`))
		key := make([]byte, fileKeySize)
		prelude = appendSized(prelude, key)
		c, err := cipher(key)
		if err != nil {
			t.Fatal(err)
		}
		file := bytes.NewBuffer(prelude)
		sum := sha256.Sum256(prelude)
		w, err := c.NewEncryptingWriter(file, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(file, clear{})
		if err != nil {
			t.Fatal(err)
		}
		for {
			record, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrAltered) {
					t.Errorf("got %v, want io.EOF or ErrAltered", err)
				}
				return
			}
			if len(record.Key) == 0 || len(record.Key)+len(record.Value) > len(text) {
				t.Errorf("got a key of %d bytes and a value of %d from a text of %d", len(record.Key), len(record.Value), len(text))
			}
		}
	})
}
