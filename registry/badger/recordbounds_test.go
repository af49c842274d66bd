package badger

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// TestRecordKeyLength: a record's key has 65,536 bytes at most, with its version.
func TestRecordKeyLength(t *testing.T) {
	for length, want := range map[int]bool{65_536: true, 65_537: false} {
		record := []byte{0, 0} // meta, and the user's
		for _, n := range []int{length, 1, 0} {
			record = binary.AppendUvarint(record, uint64(n))
		}
		record = append(record, make([]byte, length-versionSize)...)
		record = append(record, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 'x') // version 1, and the value
		record = binary.BigEndian.AppendUint32(record, crc32.Checksum(record, castagnoli))
		r, got := parseRecord(record)
		if got != want || want && (r.version != 1 || string(r.value) != "x") {
			t.Errorf("a key of %d bytes: read %v, version %d, want %v, version 1", length, got, r.version, want)
		}
		if got := plausible(record); got != want {
			t.Errorf("a key of %d bytes: plausible is %v, want %v", length, got, want)
		}
	}
}

// TestHeadListLength: HEAD lists 4048 files of the value log that follow each other, and none
// where there are more, so that a slot keeps its 4096 bytes.
func TestHeadListLength(t *testing.T) {
	for count, want := range map[int]bool{4048: true, 4049: false} {
		files := make([]uint32, count)
		for i := range files {
			files[i] = uint32(i + 1)
		}
		h := head{}
		h.setValues(files)
		slot := h.append(nil)
		again, ok := parseHead(append(slot, make([]byte, max(0, 4096-len(slot)))...))
		if h.listed != want || !ok || len(slot) > 4096 || again.listed != want || want && len(again.values) != count {
			t.Errorf("%d files: listed %v, %d bytes, read %v with %d files, want listed %v and at most 4096 bytes", count, h.listed, len(slot), ok, len(again.values), want)
		}
	}
}
