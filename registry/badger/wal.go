package badger

import (
	"encoding/binary"
	"fmt"
)

// wal is what one .mem file holds.
type wal struct {
	path string
	// commits are the whole transactions, in the order of the file, up to end.
	commits []commit
	// end is where Badger stops: what comes after is cut off when it opens the file.
	end int
	// entries are those up to end.
	entries []walEntry
	// stray are the good records after end, bad the first byte after it that is part
	// of none; -1 where there is none.
	stray []strayRecord
	bad   int
	// foreign is why the file cannot be Badger's at all.
	foreign string
}

// commit is one transaction.
type commit struct {
	mark
	chainValue
	chained bool
	begins  int
}

// walEntry is a key with what it was set to.
type walEntry struct {
	key     string
	version uint64
	meta    byte
	expires uint64
	pointer valuePointer
	offset  int
}

// strayRecord is a good record behind a bad one.
type strayRecord struct {
	offset  int
	meta    byte
	version uint64
}

// readWAL reads a file, which has at most twice the size of a memtable, 16 MB.
func readWAL(path string) (*wal, error) {
	data, err := readToZeros(path)
	if err != nil {
		return nil, err
	}
	w := parseWAL(data)
	w.path = path
	return w, nil
}

// parseWAL follows Badger's own replay (memtable.go, logFile.iterate) and then looks at
// what that would cut off. A file that is shorter than its header is an empty one: so
// is what a kill leaves between the file's creation and its first byte.
func parseWAL(data []byte) *wal {
	w := &wal{end: fileHeader, bad: -1}
	if len(data) < fileHeader {
		return w
	}
	if id := binary.BigEndian.Uint64(data[:keyIDSize]); id != 0 {
		w.foreign = fmt.Sprintf("its header names data key %d, and no data is encrypted", id)
		return w
	}
	p := walParser{wal: w}
	for at := fileHeader; ; {
		r, ok := parseRecord(data[at:])
		if !ok || !p.add(at, r) {
			break
		}
		at += r.size
	}
	w.bad = findRecords(data, w.end, func(at int, r walRecord) {
		w.stray = append(w.stray, strayRecord{offset: at, meta: r.meta, version: r.version})
	})
	return w
}

// walParser is the state of a replay.
type walParser struct {
	*wal
	open    bool
	current commit
	pending []walEntry
}

// add takes the next record. It returns false where Badger stops.
func (p *walParser) add(at int, r walRecord) bool {
	switch {
	case r.meta&bitTxn > 0:
		if !p.open {
			p.open, p.current, p.pending = true, commit{mark: mark{sequence: r.version}, begins: at}, p.pending[:0]
		}
		if r.version != p.current.sequence {
			return false
		}
		if c, ok := parseChain(r); ok {
			p.current.chained, p.current.chainValue = true, c
			p.current.mark.link, p.current.mark.time = c.link, c.time
		}
		p.pending = append(p.pending, entryOf(at, r))
	case r.meta&bitFin > 0:
		if version, ok := r.fin(); !ok || !p.open || version != p.current.sequence {
			return false
		}
		p.open = false
		p.end = at + r.size
		p.commits = append(p.commits, p.current)
		p.entries = append(p.entries, p.pending...)
	default:
		// Written by a collection of the value log, which moves values that are still
		// used: an old version, in no transaction.
		if p.open {
			return false
		}
		p.end = at + r.size
		p.entries = append(p.entries, entryOf(at, r))
	}
	return true
}

func entryOf(at int, r walRecord) walEntry {
	e := walEntry{key: string(r.key), version: r.version, meta: r.meta, expires: r.expires, offset: at}
	if r.meta&bitPointer > 0 {
		e.pointer, _ = parsePointer(r.value)
	}
	return e
}

// torn tells whether what Badger cuts off is what an end in the middle of a commit
// leaves: no more than records of the one transaction after last, whichever of its
// pages have reached the disk; or of a collection of the value log that had not ended,
// since a collection that ends is followed by a commit. Whether that transaction was
// answered, HEAD says.
//
// A store from before the chain says less: there it is any one transaction after last.
func (w *wal) torn(last uint64, chained bool) bool {
	next := last + 1
	if version := w.newestStray(); !chained && version > last {
		next = version
	}
	collected := 0
	for _, s := range w.stray {
		switch {
		case s.meta&(bitTxn|bitFin) == 0:
			collected++
		case s.version != next:
			return false
		}
	}
	return collected == 0 || collected == len(w.stray)
}

// newestStray is the highest version after end, or 0.
func (w *wal) newestStray() (version uint64) {
	for _, s := range w.stray {
		if s.meta&(bitTxn|bitFin) > 0 {
			version = max(version, s.version)
		}
	}
	return version
}
