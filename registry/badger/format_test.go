package badger

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/caddy-dcr/caddy-dcr/registry"
)

// TestFormat holds the own reader of Badger's files against the Badger that this is built
// with: every kind of record, in both kinds of files, and what it moves in a collection.
func TestFormat(t *testing.T) {
	t.Parallel()
	running := filepath.Join(t.TempDir(), "running")
	s := openIn(t, running, small)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	err := s.Update(t.Context(), func(w registry.Writer) error {
		return firstOf(
			w.Put("small", []byte("value")), w.Put("large", document("large")), w.Put("empty", nil),
			w.PutExpiring("expiring", []byte("x"), expires), w.Delete("deleted"),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := copyOf(t, running)
	w, err := readWAL(newest(t, dir, "mem"))
	if err != nil {
		t.Fatal(err)
	}
	if len(w.commits) != 2 || len(w.stray) != 0 || w.bad != -1 || !w.commits[1].chained {
		t.Fatalf("read %+v", w)
	}
	if w.commits[0].previous != (link{}) || w.commits[1].previous != w.commits[0].mark.link || w.commits[1].sequence != w.commits[0].sequence+1 {
		t.Errorf("the commits do not follow each other: %+v", w.commits)
	}
	entries := map[string]walEntry{}
	for _, e := range w.entries {
		entries[e.key] = e
	}
	for key, meta := range map[string]byte{"small": bitTxn, "large": bitTxn | bitPointer, "empty": bitTxn, "expiring": bitTxn, "deleted": bitTxn | bitDelete, chainKey: bitTxn} {
		e, ok := entries[key]
		if !ok || e.meta != meta || e.version != w.commits[1].sequence {
			t.Errorf("%s is %+v, %v, want meta %b", key, e, ok, meta)
		}
	}
	if e := entries["expiring"]; e.expires != uint64(expires.Unix()) {
		t.Errorf("expiring is %+v, want %d", e, expires.Unix())
	}
	values := mustRead(t, newest(t, dir, "vlog"))
	p := entries["large"].pointer
	r, ok := parseRecord(values[p.offset:])
	if !ok || r.size != int(p.length) || string(r.key) != "large" || !bytes.Equal(r.value, document("large")) || p.file != 1 {
		t.Errorf("the value of large at %+v is %v, %.20q", p, ok, r.value)
	}
	db := s.db.Tables()
	if len(db) != 0 {
		t.Fatalf("%d tables", len(db))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := readTables(running)
	if err != nil || len(tables.files) != 1 || tables.newest != w.commits[1].sequence || tables.chain.link != w.commits[1].mark.link {
		t.Errorf("tables are %+v, %v", tables, err)
	}
}

// TestMovedValues: what a collection has moved is read as entries of no transaction, with
// a commit after them.
func TestMovedValues(t *testing.T) {
	t.Parallel()
	running := filepath.Join(t.TempDir(), "store")
	s := openIn(t, running, small)
	writeGarbage(t, s, 90)
	if collect(t, s) == 0 {
		t.Fatal("nothing was collected")
	}
	dir := copyOf(t, running)
	moved, last := 0, 0
	paths, err := walFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		w, err := readWAL(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range w.entries {
			if e.meta&bitTxn == 0 {
				moved, last = moved+1, e.offset
			}
		}
		if moved > 0 && (len(w.commits) == 0 || w.commits[len(w.commits)-1].begins < last) {
			t.Error("no commit follows what was moved")
		}
	}
	if moved == 0 {
		t.Error("nothing was moved")
	}
	if _, err := found(t, dir); err != nil {
		t.Error(err)
	}
}

// TestFilesRemovedUnlisted: a collection removes a file, and the process ends before HEAD
// knows of it. Nothing is missing then.
func TestFilesRemovedUnlisted(t *testing.T) {
	t.Parallel()
	running := filepath.Join(t.TempDir(), "store")
	s := openIn(t, running, small)
	writeGarbage(t, s, 90)
	if err := s.committer.chain.head.listValues(); err != nil {
		t.Fatal(err)
	}
	before := mustRead(t, filepath.Join(running, headName))
	if collect(t, s) == 0 {
		t.Fatal("nothing was collected")
	}
	dir := copyOf(t, running)
	alter(t, filepath.Join(dir, headName), func([]byte) []byte { return before })
	i, err := found(t, dir)
	if err != nil || len(i.harm.missing) == 0 {
		t.Errorf("missing %v, %v", i.harm.missing, err)
	}
	// Where another one is missing, it is.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	numbers, err := valueFiles(running)
	if err != nil {
		t.Fatal(err)
	}
	index := slices.IndexFunc(numbers, func(f valueFile) bool { return f.size > 100<<10 })
	alter(t, valueFileName(running, numbers[index].number), func([]byte) []byte { return nil })
	if _, err := found(t, running); err == nil {
		t.Errorf("the file %d is empty, and that was not noticed", numbers[index].number)
	}
}

// TestKilledBeforeBadger: HEAD is made before Badger's first file.
func TestKilledBeforeBadger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := createHead(dir, head{}); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir, small)
}

// newHead opens the HEAD of a directory that has nothing else.
func newHead(t *testing.T) (dir string, f *headFile) {
	t.Helper()
	dir = t.TempDir()
	if err := createHead(dir, head{}); err != nil {
		t.Fatal(err)
	}
	r, err := readHead(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = openHead(dir, *r.newest, r.at); err != nil {
		t.Fatal(err)
	}
	return dir, f
}

// TestHeadTorn: whichever one or two slots of HEAD a power failure has torn, there is one.
func TestHeadTorn(t *testing.T) {
	t.Parallel()
	dir, f := newHead(t)
	defer f.file.Close()
	path := filepath.Join(dir, headName)
	var synced []byte // what the disk has for sure
	for n := range uint64(20) {
		m := mark{sequence: n + 1, link: newLink()}
		if err := f.commit(m); err != nil {
			t.Fatal(err)
		}
		now := mustRead(t, path)
		if n >= 2 {
			// Every slot that differs from what was synced may be torn.
			torn := bytes.Clone(now)
			for slot := range headSlots {
				part := torn[slot*slotSize : (slot+1)*slotSize]
				if !bytes.Equal(part, synced[slot*slotSize:(slot+1)*slotSize]) {
					clear(part[20:])
				}
			}
			alter(t, path, func([]byte) []byte { return torn })
			if r, err := readHead(dir); err != nil || r.harm != "" || r.newest == nil || r.newest.sequence+3 < m.sequence {
				t.Fatalf("after %d: %+v, %v", m.sequence, r, err)
			}
			alter(t, path, func([]byte) []byte { return now })
		}
		if n%2 == 1 {
			synced = now
			if err := f.sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// FuzzWAL: whatever a file holds, the reader ends, within it, and finds in what it keeps
// the same once more.
func FuzzWAL(f *testing.F) {
	dir := f.TempDir()
	db, err := badger.Open(earlier(dir))
	if err != nil {
		f.Fatal(err)
	}
	for n := range 3 {
		if err := db.Update(func(txn *badger.Txn) error { return txn.Set([]byte(fmt.Sprint("key", n)), []byte("value")) }); err != nil {
			f.Fatal(err)
		}
	}
	w, err := readWAL(filepath.Join(dir, "00001.mem"))
	if err != nil {
		f.Fatal(err)
	}
	data, err := readUsed(w.path, w.end)
	if err != nil {
		f.Fatal(err)
	}
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-5])
	f.Add(append(bytes.Clone(data), make([]byte, 100)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := parseWAL(data)
		if w.end > max(len(data), fileHeader) || w.bad >= len(data) {
			t.Fatalf("end %d and bad %d of %d", w.end, w.bad, len(data))
		}
		for _, s := range w.stray {
			if s.offset < w.end || s.offset >= len(data) {
				t.Fatalf("stray at %d, end %d of %d", s.offset, w.end, len(data))
			}
		}
		w.torn(0, true)
		if w.foreign == "" && len(data) >= w.end {
			again := parseWAL(data[:w.end])
			if again.end != w.end || len(again.commits) != len(w.commits) || len(again.stray) > 0 || again.bad >= 0 {
				t.Fatalf("kept %d bytes with %d commits, and read %d with %d", w.end, len(w.commits), again.end, len(again.commits))
			}
		}
	})
}

// FuzzHead: a slot that is read is written the same.
func FuzzHead(f *testing.F) {
	h := head{mark: mark{sequence: 7, link: link{1}, time: 99}, generation: 3}
	h.setValues([]uint32{1, 2, 300})
	f.Add(h.append(nil))
	f.Add((&head{}).append(nil))
	f.Fuzz(func(t *testing.T, slot []byte) {
		h, ok := parseHead(slot)
		if !ok {
			return
		}
		if again := h.append(nil); !bytes.HasPrefix(slot, again) {
			t.Fatalf("%x was read from %x", again, slot)
		}
	})
}

// TestClosedHead: a store that is closed leaves HEAD on the disk, with every file.
func TestClosedHead(t *testing.T) {
	t.Parallel()
	dir := image(t)
	s := openIn(t, dir, small)
	if err := s.Update(t.Context(), func(w registry.Writer) error { return w.Put("large", document("large")) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := readHead(dir)
	if err != nil || r.newest == nil {
		t.Fatalf("%+v, %v; want records, and the newest of them", r, err)
	}
	h := r.newest
	files, err := valueFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f := s.committer.chain.head; f.unsynced || h.mark != s.committer.chain.last || !slices.Equal(h.values, files.numbers()) {
		t.Errorf("synced %v, HEAD %+v, last %v, files %v", !f.unsynced, h, s.committer.chain.last, files)
	}
}
