package badger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestReadToZeros: what is left out is zeros, at the end, and not all of them.
func TestReadToZeros(t *testing.T) {
	sparse := func(size int, at ...int) []byte {
		data := make([]byte, size)
		for _, i := range at {
			data[i] = 1
		}
		return data
	}
	for _, c := range []struct {
		name string
		file []byte
		want int // bytes read
	}{
		{"empty", nil, 0},
		{"shorter than a header", sparse(3), 3},
		{"nothing but zeros", sparse(5 * piece), piece},
		{"a byte at the begin", sparse(5*piece, 0), 2 * piece},
		{"a byte at the end of a piece", sparse(5*piece, piece-1), 2 * piece},
		{"a byte at the begin of the next", sparse(5*piece, piece), 3 * piece},
		{"a byte behind a hole", sparse(5*piece+7, 0, 3*piece+9), 5 * piece},
		{"the last byte", sparse(5*piece+7, 0, 5*piece+6), 5*piece + 7},
		{"a short piece of zeros", sparse(piece+7, 0), piece + 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			data, err := readToZeros(path)
			if err != nil || len(data) != c.want || !bytes.HasPrefix(c.file, data) || leadingZeros(c.file[len(data):]) != len(c.file)-len(data) {
				t.Errorf("got %d bytes, %v, want the first %d and zeros behind them", len(data), err, c.want)
			}
		})
	}
	if _, err := readToZeros(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}
