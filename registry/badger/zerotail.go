package badger

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// piece is how much of a file is read at a time, in bytes. No record is longer: an update
// writes at most 512 KiB.
const piece = 1 << 20

// readToZeros reads a .mem or .vlog file, and leaves out the zeros at its end but for one
// piece of them, in which a record may end. Badger makes these files as large as they may
// become, and most of each is zeros: a start would need 50 MB of memory for them.
func readToZeros(path string) (data []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("registry/badger: %w", err)
	}
	defer file.Close()
	buffer := make([]byte, piece)
	zeros := 0 // read, and not in data
	for {
		n, err := io.ReadFull(file, buffer)
		switch read := buffer[:n]; {
		case leadingZeros(read) == n:
			zeros += n
		default:
			data = append(append(data, make([]byte, zeros)...), read...)
			zeros = 0
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return append(data, make([]byte, min(zeros, piece))...), nil
		}
		if err != nil {
			return nil, fmt.Errorf("registry/badger: %w", err)
		}
	}
}
