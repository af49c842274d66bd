package badger

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4/y"
)

// valueFile is one file of the value log, where large values are.
type valueFile struct {
	number uint32
	size   int64
}

type valueFileList []valueFile

// valueFiles lists them, ascending.
func valueFiles(dir string) (files valueFileList, err error) {
	found, err := numberedFiles(dir, ".vlog")
	for _, f := range found {
		info, err := f.entry.Info()
		if err != nil {
			continue // removed meanwhile
		}
		files = append(files, valueFile{f.number, info.Size()})
	}
	return files, err
}

// numberedFile is a file of Badger's whose name is a number.
type numberedFile struct {
	number uint32
	entry  os.DirEntry
}

// numberedFiles lists those of a kind, ascending.
func numberedFiles(dir, suffix string) (files []numberedFile, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("registry/badger: %w", err)
	}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), suffix)
		if !ok || entry.IsDir() {
			continue
		}
		number, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			continue // Badger refuses it
		}
		files = append(files, numberedFile{uint32(number), entry})
	}
	slices.SortFunc(files, func(a, b numberedFile) int { return cmp.Compare(a.number, b.number) })
	return files, nil
}

// numbers are those of the files in which something may be. Badger removes the others.
func (l valueFileList) numbers() []uint32 {
	var numbers []uint32
	for _, f := range l {
		if f.size > fileHeader {
			numbers = append(numbers, f.number)
		}
	}
	return numbers
}

func valueFileName(dir string, number uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%06d.vlog", number))
}

// valueHarm is what seems wrong with the value log.
type valueHarm struct {
	// missing are files that HEAD lists and that are not there, or empty.
	missing []uint32
	// newest is the file that Badger cuts off at the first bad record, end where that
	// is, and unclean that there is something after it.
	newest  uint32
	end     int64
	unclean bool
	// foreign tells that Badger does not open the newest file at all.
	foreign bool
	// highest is the highest number of a file that anything names.
	highest uint32
}

// readValueLog compares the files with HEAD's list and follows Badger through the newest.
func readValueLog(dir string, h *head) (harm valueHarm, err error) {
	files, err := valueFiles(dir)
	if err != nil {
		return harm, err
	}
	whole := map[uint32]bool{}
	for _, f := range files {
		whole[f.number] = f.size >= fileHeader
	}
	if h != nil && h.listed {
		for _, number := range h.values {
			if !whole[number] {
				harm.missing = append(harm.missing, number)
				harm.highest = max(harm.highest, number)
			}
		}
	}
	if len(files) == 0 {
		return harm, nil
	}
	harm.newest = files[len(files)-1].number
	harm.highest = max(harm.highest, harm.newest)
	data, err := readToZeros(valueFileName(dir, harm.newest))
	if err != nil {
		return harm, err
	}
	if len(data) < fileHeader {
		return harm, nil
	}
	if harm.foreign = binary.BigEndian.Uint64(data[:keyIDSize]) != 0; harm.foreign {
		harm.unclean = true
		return harm, nil
	}
	at := fileHeader
	for r, ok := parseRecord(data[at:]); ok; r, ok = parseRecord(data[at:]) {
		at += r.size
	}
	harm.end = int64(at)
	harm.unclean = at+leadingZeros(data[at:]) < len(data)
	return harm, nil
}

// lost tells whether the value that p points to is not there any more. Pointers that an
// accepted loss has left are to other files.
func (h valueHarm) lost(p valuePointer) bool {
	return slices.Contains(h.missing, p.file) || p.file > h.newest || p.file == h.newest && int64(p.offset)+int64(p.length) > h.end
}

// lostValues are the keys whose value is lost for a reason in h, with the pointer. The
// logs are always looked through. The tables only where something is wrong, because that
// takes as long as reading them: files that a collection has removed just before a kill
// are still listed, and what a kill in the middle of a write leaves at the end of the
// newest file is no record.
func (h valueHarm) lostValues(t *tables, logs []*wal, now time.Time) (map[string]valuePointer, error) {
	suspects := map[string]newestEntry{}
	for _, w := range logs {
		for _, e := range w.entries {
			if e.meta&bitPointer > 0 && h.lost(e.pointer) {
				suspects[e.key] = newestEntry{}
			}
		}
	}
	thorough := len(h.missing) > 0 || h.unclean
	if thorough {
		if err := t.entries(func(key string, _ uint64, v y.ValueStruct) {
			if p, ok := parsePointer(v.Value); ok && v.Meta&bitPointer > 0 && h.lost(p) {
				suspects[key] = newestEntry{}
			}
		}); err != nil {
			return nil, err
		}
	}
	if len(suspects) == 0 {
		return nil, nil
	}
	return h.stillLost(suspects, t, logs, now)
}

// newestEntry is what counts for a key: the highest version, and of one version that
// a collection has moved the place it was moved to.
type newestEntry struct {
	version uint64
	meta    byte
	expires uint64
	pointer valuePointer
}

func (n newestEntry) before(o newestEntry) bool {
	return cmp.Or(cmp.Compare(n.version, o.version), cmp.Compare(n.pointer.file, o.pointer.file), cmp.Compare(n.pointer.offset, o.pointer.offset)) < 0
}

// stillLost leaves of the suspects those whose newest entry is lost.
func (h valueHarm) stillLost(suspects map[string]newestEntry, t *tables, logs []*wal, now time.Time) (map[string]valuePointer, error) {
	note := func(key string, e newestEntry) {
		if known, ok := suspects[key]; ok && known.before(e) {
			suspects[key] = e
		}
	}
	for _, w := range logs {
		for _, e := range w.entries {
			note(e.key, newestEntry{e.version, e.meta, e.expires, e.pointer})
		}
	}
	if err := t.entries(func(key string, version uint64, v y.ValueStruct) {
		e := newestEntry{version: version, meta: v.Meta, expires: v.ExpiresAt}
		if v.Meta&bitPointer > 0 {
			e.pointer, _ = parsePointer(v.Value)
		}
		note(key, e)
	}); err != nil {
		return nil, err
	}
	lost := map[string]valuePointer{}
	for key, e := range suspects {
		expired := e.expires > 0 && e.expires <= uint64(now.Unix())
		if e.meta&bitDelete == 0 && e.meta&bitPointer > 0 && !expired && h.lost(e.pointer) {
			lost[key] = e.pointer
		}
	}
	return lost, nil
}

// entries calls visit for every entry of every table.
func (t *tables) entries(visit func(key string, version uint64, v y.ValueStruct)) error {
	for _, f := range t.files {
		err := f.each("", func(key string, version uint64, v y.ValueStruct) bool {
			visit(key, version, v)
			return true
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	return nil
}
