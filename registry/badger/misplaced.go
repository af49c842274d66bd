package badger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"github.com/dgraph-io/badger/v4/y"
)

// Each value of the value log has its key beside it, and Badger does not compare that with
// the key that it is asked for. A file of another copy, or two files that have changed
// their names, would answer with good values of other keys.

const (
	// checkedTables is how many bytes of tables are read for what they point to, in 0.3 s.
	// Where there are more, only what the logs point to is looked at.
	checkedTables = 64 << 20
	// checkedPlaces is how many places of one file are looked at, from its beginning and
	// from its end: in a file of another copy they are all wrong, or the last ones.
	checkedPlaces = 32
)

// pointing is an entry whose value is in the value log.
type pointing struct {
	key     string
	version uint64
	to      valuePointer
}

// misplaced is an ErrLoss that cannot be accepted, where a file of the value log holds
// other values than the entries that point into it. What comes after a cut does not count.
func (i *inspection) misplaced() error {
	all := map[uint32][]pointing{}
	for n, w := range i.logs {
		for _, e := range w.entries {
			gone := i.cut != nil && (n > i.cut.log || n == i.cut.log && e.offset >= i.cut.offset)
			if e.meta&bitPointer > 0 && !gone {
				all[e.pointer.file] = append(all[e.pointer.file], pointing{e.key, e.version, e.pointer})
			}
		}
	}
	if i.tables.size <= checkedTables {
		if err := i.tables.pointing(all); err != nil {
			return fmt.Errorf("%w: %w; %s", ErrLoss, err, restoreIt)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(all)) {
		path := valueFileName(i.dir, number)
		at, wrong, err := holdsOthers(path, all[number])
		if err != nil {
			return err
		}
		if wrong {
			return fmt.Errorf("%w: %s is of another copy than the other files, or has the name of another file: at %d it does not have the value that belongs there; %s", ErrLoss, path, at, restoreIt)
		}
	}
	return nil
}

// pointing adds the entries of the tables whose value is in the value log, by file.
func (t *tables) pointing(all map[uint32][]pointing) error {
	return t.entries(func(key string, version uint64, v y.ValueStruct) {
		if p, ok := parsePointer(v.Value); ok && v.Meta&bitPointer > 0 {
			all[p.file] = append(all[p.file], pointing{key, version, p})
		}
	})
}

// holdsOthers tells whether a file has good records where the entries point to, and not
// theirs. A file that is missing, or damaged there, is another matter.
func holdsOthers(path string, entries []pointing) (at int, wrong bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("registry/badger: %w", err)
	}
	defer f.Close()
	slices.SortFunc(entries, func(a, b pointing) int { return cmp.Compare(a.to.offset, b.to.offset) })
	if len(entries) > 2*checkedPlaces {
		entries = slices.Concat(entries[:checkedPlaces], entries[len(entries)-checkedPlaces:])
	}
	if !slices.ContainsFunc(entries, func(e pointing) bool { return !e.in(f) }) {
		return 0, false, nil
	}
	// In a damaged file no record is good from there on.
	data, err := io.ReadAll(f)
	if err != nil {
		return 0, false, fmt.Errorf("registry/badger: %w", err)
	}
	records := map[uint32]walRecord{}
	end := min(fileHeader, len(data))
	for r, ok := parseRecord(data[end:]); ok; r, ok = parseRecord(data[end:]) {
		records[uint32(end)] = r
		end += r.size
	}
	for _, e := range entries {
		r, ok := records[e.to.offset]
		if int64(e.to.offset) < int64(end) && (!ok || string(r.key) != e.key || r.version != e.version) {
			return int(e.to.offset), true, nil
		}
	}
	return 0, false, nil
}

// in tells whether the entry's own record begins where it points to.
func (e pointing) in(f io.ReaderAt) bool {
	key := binary.BigEndian.AppendUint64([]byte(e.key), math.MaxUint64-e.version)
	data := make([]byte, 2+3*binary.MaxVarintLen64+len(key))
	n, _ := f.ReadAt(data, int64(e.to.offset)) // at the end of the file it is less
	data = data[:n]
	at, length := 2, uint64(0)
	for field := range 3 { // the lengths of key and value, and the expiry
		if at > len(data) {
			return false
		}
		v, size := binary.Uvarint(data[at:])
		if size <= 0 {
			return false
		}
		if field == 0 {
			length = v
		}
		at += size
	}
	return length == uint64(len(key)) && len(data)-at >= len(key) && string(data[at:at+len(key)]) == string(key)
}
