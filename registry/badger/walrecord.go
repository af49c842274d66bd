package badger

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"
)

// What Badger 4 writes into its files; TestFormat compares it with the Badger that
// this is built with.
const (
	// fileHeader begins .mem and .vlog files: the id of a data key, zero without
	// encryption, and an initial vector.
	fileHeader = 20
	keyIDSize  = 8
	// The bits of a record's meta that tell what it is.
	bitDelete  = 1 << 0
	bitPointer = 1 << 1 // the value is a pointer into the value log
	bitTxn     = 1 << 6 // part of a transaction
	bitFin     = 1 << 7 // ends a transaction; the value is its version in decimal
	bitsKnown  = bitDelete | bitPointer | 1<<2 | 1<<3 | bitTxn | bitFin
	// versionSize is how many bytes of a key are its version.
	versionSize = 8
	maxKey      = 1 << 16
	pointerSize = 12
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// walRecord is one entry of a .mem or .vlog file: a header of varints, the key with
// its version, the value and a checksum.
type walRecord struct {
	meta    byte
	key     []byte // without the version
	version uint64
	value   []byte
	expires uint64
	size    int
}

// parseRecord reads the record at the beginning of data. ok is false for anything
// that Badger would stop at. The record's slices are data's.
func parseRecord(data []byte) (r walRecord, ok bool) {
	if len(data) < 2 {
		return r, false
	}
	r.meta = data[0]
	at := 2
	var lengths [3]uint64 // of key and value, and the expiry
	for i := range lengths {
		n, size := binary.Uvarint(data[at:])
		if size <= 0 {
			return r, false
		}
		lengths[i] = n
		at += size
	}
	keyLength, valueLength := lengths[0], lengths[1]
	if keyLength <= versionSize || keyLength > maxKey || valueLength > math.MaxUint32 {
		return r, false
	}
	end := uint64(at) + keyLength + valueLength
	if end+crc32.Size > uint64(len(data)) {
		return r, false
	}
	key := data[at : at+int(keyLength)]
	r.key = key[:len(key)-versionSize]
	r.version = math.MaxUint64 - binary.BigEndian.Uint64(key[len(key)-versionSize:])
	r.value = data[at+int(keyLength) : end]
	r.expires = lengths[2]
	r.size = int(end) + crc32.Size
	return r, crc32.Checksum(data[:end], castagnoli) == binary.BigEndian.Uint32(data[end:])
}

// plausible tells cheaply whether a record may begin here, before anybody computes a
// checksum over what its lengths say. It may refuse what nobody here writes.
func plausible(data []byte) bool {
	if len(data) < 2 || data[0]&^bitsKnown != 0 || data[1] != 0 {
		return false
	}
	at := 2
	keyLength, size := binary.Uvarint(data[at:])
	if size <= 0 || keyLength <= versionSize || keyLength > maxKey {
		return false
	}
	at += size
	for range 2 {
		if _, size = binary.Uvarint(data[at:]); size <= 0 {
			return false
		}
		at += size
	}
	// A version counts commits: no store has made 2 to the power of 40.
	at += int(keyLength) - versionSize
	return at+3 <= len(data) && data[at] == 0xff && data[at+1] == 0xff && data[at+2] == 0xff
}

// fin is the version that a closing record ends.
func (r walRecord) fin() (version uint64, ok bool) {
	version, err := strconv.ParseUint(string(r.value), 10, 64)
	return version, err == nil && version == r.version
}

// valuePointer is where a value is: a file of the value log, and a place in it.
type valuePointer struct{ file, length, offset uint32 }

// parsePointer reads what Badger writes: its struct, in the machine's byte order.
func parsePointer(value []byte) (p valuePointer, ok bool) {
	if len(value) != pointerSize {
		return p, false
	}
	return valuePointer{
		file:   binary.NativeEndian.Uint32(value),
		length: binary.NativeEndian.Uint32(value[4:]),
		offset: binary.NativeEndian.Uint32(value[8:]),
	}, true
}

// findRecords calls each for the good records after from. first is the offset of the first byte that belongs to no good record and is
// not zero, or -1.
func findRecords(data []byte, from int, each func(at int, r walRecord)) (first int) {
	first = -1
	for at := from; at < len(data); {
		// A record may begin with two zeros, and a hole may be megabytes.
		if next := at + leadingZeros(data[at:]); next == len(data) {
			return first
		} else if next > at+2 {
			at = next - 2
		}
		if plausible(data[at:]) {
			if r, ok := parseRecord(data[at:]); ok {
				each(at, r)
				at += r.size
				continue
			}
		}
		if first < 0 && data[at] != 0 {
			first = at
		}
		at++
	}
	return first
}

// blank is a page without anything.
var blank [4096]byte

// leadingZeros is how many zeros data begins with.
func leadingZeros(data []byte) (n int) {
	for len(data)-n >= len(blank) && string(data[n:n+len(blank)]) == string(blank[:]) {
		n += len(blank)
	}
	for n < len(data) && data[n] == 0 {
		n++
	}
	return n
}
